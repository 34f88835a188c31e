"""What a table was when every row was last compared: another shape means that rows may have changed unnoted."""

from __future__ import annotations

import hashlib
import sqlite3

from ..tables import SourceTable

# Stored in place of a shape, as long as changes may have gone unnoted.
LOST = "lost"  # triggers were missing
UNWATCHED = "unwatched"  # there were none before


def shape_of(conn: sqlite3.Connection, source: SourceTable) -> str:
    """A hash of the table's own statement, and without a primary key of the file's schema version too.

    Dropping a column fires no trigger. Nor does VACUUM, which renumbers the rowids of a table without a key.
    """
    (sql,) = conn.execute("select sql from sqlite_master where type = 'table' and name = ?", (source.name,)).fetchone()
    version = "" if source.has_key else conn.execute("pragma schema_version").fetchone()[0]
    return hashlib.blake2b(f"{version} {sql}".encode(), digest_size=8).hexdigest()


def stored_shape(conn: sqlite3.Connection, collection_id: int) -> str | None:
    """The shape at which every row was last compared; None before the first comparison has begun."""
    row = conn.execute("select shape from _embed_collections where id = ?", (collection_id,)).fetchone()
    return row[0] if row else None


def keep_shape(conn: sqlite3.Connection, collection_id: int, shape: str) -> None:
    """Keep a shape, or what stands in its place."""
    conn.execute("update _embed_collections set shape = ? where id = ?", (shape, collection_id))


def begin_comparison(conn: sqlite3.Connection, collection_id: int, job_id: int, shape: str) -> None:
    """A job begins to compare every row: the shape counts once it has finished, unless triggers are lost meanwhile."""
    keep_shape(conn, collection_id, f"{job_id}:{shape}")


def end_comparison(conn: sqlite3.Connection, collection_id: int, job_id: int) -> None:
    """The job has compared every row."""
    conn.execute(
        "update _embed_collections set shape = substr(shape, instr(shape, ':') + 1)"
        " where id = ? and shape like ? || ':%'",
        (collection_id, job_id),
    )
