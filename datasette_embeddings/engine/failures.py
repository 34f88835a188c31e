"""The rows that failed: kept with what went wrong, how often it did, and when they are tried again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable

from .batches import Failure
from .collections import now
from .rows import Key, Row, key_json
from .transactions import transaction

# Seconds until the second, the third and the fourth attempt at one content; a fifth is made only if somebody asks, so
# that what fails for ever is not paid for, or worked at, for ever.
PAUSES = (600.0, 7_200.0, 86_400.0)
POSTPONED = "(retry_at is null or retry_at > ?)"  # SQL of _embed_errors: at a moment, not due yet, or only if asked


def keep(conn: sqlite3.Connection, collection_id: int, job_id: int, failures: Iterable[Failure]) -> None:
    """Keep these failures in place of what was known of their rows; the same content failing again counts up."""
    for failure in failures:
        position, content_hash = key_json(failure.row.position), failure.row.content_hash
        attempts = _attempts(conn, collection_id, position, content_hash) + 1
        conn.execute(
            "insert or replace into _embed_errors"
            " (collection_id, position, row_key, content_hash, message, job_id, at, attempts, retry_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                collection_id,
                position,
                key_json(failure.row.key),
                content_hash,
                failure.message,
                job_id,
                now(),
                attempts,
                _retry_at(attempts) if failure.may_pass else None,
            ),
        )


def postpones(conn: sqlite3.Connection, collection_id: int) -> Callable[[Row], bool]:
    """Tells the rows that are left alone for now: they failed with the very content that they have, and are not due."""
    if not has_failures(conn, collection_id):
        return lambda row: False
    moment = time.time()

    def is_postponed(row: Row) -> bool:
        found = conn.execute(
            "select 1 from _embed_errors where collection_id = ? and position = ? and row_key = ? and content_hash = ?"
            f" and {POSTPONED}",
            (collection_id, key_json(row.position), key_json(row.key), row.content_hash, moment),
        )
        return found.fetchone() is not None

    return is_postponed


def postpone(conn: sqlite3.Connection, collection_id: int, job_id: int, rows: Iterable[str]) -> int:
    """Keep what is known of rows that a job met and left alone, given by position; how many failed in other jobs."""
    kept = conn.executemany(
        "update _embed_errors set job_id = ? where collection_id = ? and position = ? and job_id <> ?",
        ((job_id, collection_id, position, job_id) for position in rows),
    )
    return max(0, kept.rowcount)


def ask_again(conn: sqlite3.Connection, collection_id: int) -> bool:
    """Have the next job that meets the rows that failed try them, whatever their schedule; False where none has."""
    with transaction(conn):
        asked = conn.execute("update _embed_errors set retry_at = 0 where collection_id = ?", (collection_id,))
        return asked.rowcount > 0


def forget_unmet(conn: sqlite3.Connection, collection_id: int, job_id: int) -> None:
    """Drop what a pass over every row, now at its end, did not meet again."""
    conn.execute("delete from _embed_errors where collection_id = ? and job_id <> ?", (collection_id, job_id))


def has_failures(conn: sqlite3.Connection, collection_id: int) -> bool:
    """Whether any row of the collection has failed."""
    sql = "select 1 from _embed_errors where collection_id = ? limit 1"
    return conn.execute(sql, (collection_id,)).fetchone() is not None


def forget_settled(conn: sqlite3.Connection, collection_id: int, job_id: int, keys: Iterable[Key]) -> None:
    """Drop what is known of these keys unless this job has met it."""
    if not has_failures(conn, collection_id):
        return
    conn.executemany(
        "delete from _embed_errors where collection_id = ? and row_key = ? and job_id <> ?",
        ((collection_id, key_json(key), job_id) for key in keys),
    )


def _attempts(conn: sqlite3.Connection, collection_id: int, position: str, content_hash: bytes | None) -> int:
    row = conn.execute(
        "select attempts from _embed_errors where collection_id = ? and position = ? and content_hash is ?",
        (collection_id, position, content_hash),
    ).fetchone()
    return int(row[0]) if row else 0


def _retry_at(attempts: int) -> float | None:
    return time.time() + PAUSES[attempts - 1] if attempts <= len(PAUSES) else None
