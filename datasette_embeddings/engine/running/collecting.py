"""Python's collector of cyclic garbage, held off while thousands of rows are made or written."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_holding = 0  # threads that hold it off
_was_enabled = True


@contextmanager
def uncollected() -> Iterator[None]:
    """Hold the collector off within this block, on whatever thread; meant for a fraction of a second.

    It comes every 700 new objects and looks at them again and again. A stretch of rows is some ten objects a row, none
    of them in a cycle: a fast model's job took a fifth longer by it.
    """
    global _holding, _was_enabled
    with _lock:
        if _holding == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _holding += 1
    try:
        yield
    finally:
        with _lock:
            _holding -= 1
            if _holding == 0 and _was_enabled:
                gc.enable()
