"""Vectors of chunks whose row lacks others: kept aside, so that nobody pays twice when a job stops or a chunk fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping


def keep_chunks(conn: sqlite3.Connection, collection_id: int, job_id: int, vectors: Mapping[bytes, bytes]) -> None:
    """Keep these vectors, by content hash."""
    conn.executemany(
        "insert or replace into _embed_kept (collection_id, content_hash, vector, job_id) values (?, ?, ?, ?)",
        ((collection_id, content_hash, vector, job_id) for content_hash, vector in vectors.items()),
    )


def has_kept(conn: sqlite3.Connection, collection_id: int) -> bool:
    """Whether any vector is kept for the collection."""
    sql = "select 1 from _embed_kept where collection_id = ? limit 1"
    return conn.execute(sql, (collection_id,)).fetchone() is not None


def find_kept(conn: sqlite3.Connection, collection_id: int, content_hash: bytes) -> bytes | None:
    """A vector of this content, if one is kept."""
    row = conn.execute(
        "select vector from _embed_kept where collection_id = ? and content_hash = ?", (collection_id, content_hash)
    ).fetchone()
    return row[0] if row else None


def forget_kept(conn: sqlite3.Connection, collection_id: int, job_id: int, *, every_row: bool) -> None:
    """Drop everything at the end of a job, but for rows that fail: of those what the job has met again, where it
    looked at every row and postponed none.
    """
    conn.execute(
        "delete from _embed_kept where collection_id = ? and (? and job_id <> ?"
        " or not exists (select 1 from _embed_errors where collection_id = ?))",
        (collection_id, every_row, job_id, collection_id),
    )
