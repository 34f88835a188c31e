"""Many threads on one model, and how often a method of it is called."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from ..engine.models import EmbeddingModel

THREADS = 8
PATIENCE = 120  # seconds for what eight threads ask of a model that has to load first


def count_calls(model: EmbeddingModel, method: str) -> list[None]:
    """A list that grows by one whenever this method of the model is called."""
    calls: list[None] = []
    real = getattr(model, method)

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return real(*args, **kwargs)

    setattr(model, method, counting)
    return calls


def in_threads(function: Callable[[], Any]) -> list[Any]:
    """The results of a function that eight threads call at once, taking turns as often as Python lets them."""
    barrier, results, errors = threading.Barrier(THREADS), [], []

    def call() -> None:
        try:
            barrier.wait(PATIENCE)
            results.append(function())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(THREADS)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # seconds
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
    assert len(results) == THREADS, f"{THREADS - len(results)} of {THREADS} threads had no answer in {PATIENCE} s"
    return results
