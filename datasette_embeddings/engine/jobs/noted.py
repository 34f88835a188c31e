"""Jobs over noted rows: there may be many a day, so those that have ended make room for the next."""

from __future__ import annotations

import sqlite3

from ..collections import now
from ..transactions import transaction
from .job import NOTED, Job
from .stored import create_job


def create_noted(conn: sqlite3.Connection, collection_id: int) -> Job:
    """A new job over the noted rows, pending, in place of those before it; none of them runs."""
    with transaction(conn):
        job = create_job(conn, collection_id, kind=NOTED)
        # Afterwards, so that no two jobs ever have one id: rows in _embed_errors name it.
        conn.execute(
            "delete from _embed_jobs where collection_id = ? and kind = ? and id < ?", (collection_id, NOTED, job.id)
        )
        return job


def last_noted(conn: sqlite3.Connection, collection_id: int) -> str | None:
    """When the last job over noted rows finished, in UTC."""
    sql = "select max(ended) from _embed_jobs where collection_id = ? and kind = ? and status = 'finished'"
    return conn.execute(sql, (collection_id, NOTED)).fetchone()[0]  # type: ignore[no-any-return]


def cancel_noted(conn: sqlite3.Connection, collection_id: int) -> None:
    """Cancel the running job over noted rows, and forget the others: the notes are gone."""
    conn.execute(
        "update _embed_jobs set status = 'cancelled', owner = null, lease_expires = null, updated = ?, ended = ?"
        " where collection_id = ? and kind = ? and status = 'running'",
        (now(), now(), collection_id, NOTED),
    )
    conn.execute(
        "delete from _embed_jobs where collection_id = ? and kind = ? and status <> 'cancelled'", (collection_id, NOTED)
    )
