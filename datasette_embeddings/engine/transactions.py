"""One write transaction around a block, whether or not the caller already opened one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ReadOnlyDatabase


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[None]:
    """All of the block is written or none of it; inside a caller's transaction it is a savepoint of that."""
    begin, commit, rollback = (
        ("savepoint _embed", "release _embed", "rollback to _embed")
        if conn.in_transaction
        else ("begin immediate", "commit", "rollback")
    )
    try:
        conn.execute(begin)
    except sqlite3.OperationalError as error:
        raise _named(error) from error
    try:
        yield
        conn.execute(commit)
    except BaseException as error:
        if conn.in_transaction:
            conn.execute(rollback)
            if commit != "commit":
                conn.execute(commit)
        if isinstance(error, sqlite3.OperationalError):
            raise _named(error) from error
        raise


def _named(error: sqlite3.OperationalError) -> Exception:
    if "readonly" in str(error):
        return ReadOnlyDatabase("This database cannot be written, so nothing in it can be embedded")
    return error


def is_passing(error: BaseException) -> bool:
    """True for a fault of the moment (a full disk, a lock held by another program), after which a job can go on."""
    message = str(error)
    return isinstance(error, sqlite3.OperationalError) and any(
        part in message for part in ("is full", "is locked", "disk I/O error", "unable to open database file")
    )
