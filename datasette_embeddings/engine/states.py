"""One state of a file for all that several statements read, whatever other programs write meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_state(conn: sqlite3.Connection) -> Iterator[None]:
    """What the block reads belongs to one state of the file, as within one statement.

    Not inside an SQL function: there the statement keeps the state, and could not be ended from within.
    """
    if conn.in_transaction:
        yield
        return
    conn.execute("begin")
    try:
        yield
    finally:
        conn.commit()  # nothing was written
