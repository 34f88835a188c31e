"""The collector of cyclic garbage is held off within a block, and only there."""

import gc
import threading

import pytest

from datasette_embeddings.engine.running.collecting import uncollected


def test_held_off_and_back_again():
    """Nested, and after an error."""
    with uncollected():
        with pytest.raises(ValueError, match="in here"), uncollected():
            raise ValueError("in here")
        assert not gc.isenabled()
    assert gc.isenabled()


def test_two_threads():
    """The one that ends last switches it on."""
    inside, leave = threading.Event(), threading.Event()

    def other():
        with uncollected():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with uncollected():
        thread.start()
        assert inside.wait(60)
    assert not gc.isenabled()
    leave.set()
    thread.join(60)
    assert gc.isenabled()


def test_who_has_it_off_keeps_it_off():
    """A program that runs without it is left alone."""
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
