"""How the engine reaches a database, and the way of whoever has no Datasette: connections of our own to a file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

T = TypeVar("T")

LOCK_SECONDS = 5.0  # how long a write waits for another program's lock, as Datasette's own connections do


class Access(Protocol):
    """How the engine reaches one database from several threads: each call runs fn(conn) and gives its result."""

    def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that only reads."""
        ...

    def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that may write."""
        ...


class FileAccess:
    """Two connections to a file, one that reads and one that writes, each used by one thread at a time."""

    def __init__(self, path: str | Path, prepare: Callable[[sqlite3.Connection], None] | None = None) -> None:
        self._reading, self._writing = connect(path), connect(path)
        self._read_lock, self._write_lock = threading.Lock(), threading.Lock()
        if prepare:
            prepare(self._reading)
            prepare(self._writing)

    def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that only reads."""
        with self._read_lock:
            return fn(self._reading)

    def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that may write."""
        with self._write_lock:
            return fn(self._writing)

    def __enter__(self) -> FileAccess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.close()
        self._writing.close()


def connect(path: str | Path, *, create: bool = False) -> sqlite3.Connection:
    """A connection that never creates the file unasked and never fails on text that is not UTF-8."""
    uri = f"{Path(path).absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    conn = sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, check_same_thread=False)
    conn.text_factory = lambda data: data.decode("utf-8", "replace")  # as Datasette's connections
    return conn
