"""The engine's way to the databases of a Datasette, from threads outside the event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .. import compat
from ..engine.errors import LeaseLost

T = TypeVar("T")


class DatabaseAccess:
    """The engine's way to one of Datasette's databases, from threads outside the event loop."""

    def __init__(self, database, loop: asyncio.AbstractEventLoop, closed: threading.Event) -> None:
        self._database, self._loop, self._closed = database, loop, closed

    def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that only reads, on one of Datasette's reading threads."""
        if self._database.is_memory:  # its connections share one cache, where a reader and a writer refuse each other
            return self.write(fn)
        return self._wait(self._database.execute_fn(fn))

    def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that may write, on the database's writing thread."""
        return self._wait(compat.write(self._database, fn))

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            if self._closed.is_set() or self._loop.is_closed():
                raise LeaseLost("The server is stopping")
            return self._result(asyncio.run_coroutine_threadsafe(call, self._loop))
        finally:
            if inspect.getcoroutinestate(call) == inspect.CORO_CREATED:
                call.close()  # the loop ended before it began: Python would warn that nobody awaited it

    def _result(self, future: concurrent.futures.Future[T]) -> T:
        while True:
            try:
                return future.result(timeout=1)
            except concurrent.futures.TimeoutError:
                if self._closed.is_set():  # the loop that would answer is gone
                    raise LeaseLost("The server is stopping") from None
            except concurrent.futures.CancelledError:
                raise LeaseLost("The server is stopping") from None
