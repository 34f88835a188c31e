"""Our tables in a person's file, and the steps from one version of them to the next."""

from __future__ import annotations

import sqlite3

from .errors import NewerSchema
from .transactions import transaction

# Comments inside the statements stay in the file: `.schema` explains the tables to whoever opens it.
_VERSION_1 = (
    "create table _embed_schema (version integer not null)",
    """create table _embed_collections (
    id integer primary key,
    name text not null collate nocase unique,
    source_table text not null,
    columns text not null, -- JSON array of column names, joined by newlines
    template text, -- null: the columns alone
    model text not null, -- model_id; vectors of two models never share a collection
    plugin text, -- that registered the model: what to install where it is missing
    binary integer not null default 0, -- 1: one BLOB column, its bytes are the content
    dimensions integer, -- null until the first vector
    centre blob, -- float32, subtracted before codes are taken; null until there are vectors enough
    token integer not null, -- random 64 bits, replaced by every change: what caches compare
    created text not null -- UTC
)""",
    """create table _embed_jobs (
    id integer primary key,
    collection_id integer not null references _embed_collections (id),
    status text not null
        check (status in ('pending', 'running', 'paused', 'cancelled', 'finished', 'failed')),
    reason text, -- a sentence: why it is paused, failed or cancelled
    owner text, -- host, process and a random part, of the worker that runs it
    lease_expires real, -- Unix seconds; after it, another process may take the job up
    position text, -- JSON: where the walk over the rows has come to, and at which schema version
    rows_total integer, -- rows of the table when the pass began
    rows_done integer not null default 0, -- rows walked and committed
    embedded integer not null default 0, -- rows whose vector came from the model
    reused integer not null default 0, -- rows that took the vector of an equal content
    unchanged integer not null default 0, -- rows whose content hash had not changed
    empty integer not null default 0, -- rows with nothing to embed
    failed integer not null default 0, -- rows in _embed_errors by this pass
    removed integer not null default 0, -- vectors dropped because their row is gone or empty
    contents integer not null default 0, -- contents handed to the model
    rate real, -- rows per second of the last batches
    actor text, -- id of who asked for it
    created text not null, -- UTC, as are the next three
    started text,
    updated text,
    ended text
)""",
    # At most one running job a collection, whatever a program does.
    "create unique index _embed_jobs_running on _embed_jobs (collection_id) where status = 'running'",
    """create table _embed_errors (
    collection_id integer not null references _embed_collections (id),
    position text not null, -- JSON: the row's rowid, or its key where there is none
    row_key text not null, -- JSON array of the row's key values
    content_hash blob, -- of the content that failed; null where the row has no usable key
    message text not null,
    job_id integer not null, -- the last job that met it
    at text not null, -- UTC
    primary key (collection_id, position)
)""",
)
_STEPS = (_VERSION_1,)  # step n leads from version n to n + 1
VERSION = len(_STEPS)
PREFIX = "_embed_"
OWN_TABLES = ("_embed_errors", "_embed_jobs", "_embed_collections", "_embed_schema")


def has_schema(conn: sqlite3.Connection) -> bool:
    """True where the file holds our tables in a version that this code reads; NewerSchema where it is newer."""
    return _version(conn) > 0


def ensure_schema(conn: sqlite3.Connection) -> None:
    """Create our tables, or bring older ones up to date, in one transaction."""
    if _version(conn) == VERSION:
        return
    with transaction(conn):
        version = _version(conn)  # again, now that nobody else can be at it
        for statements in _STEPS[version:]:
            for statement in statements:
                conn.execute(statement)
        conn.execute("delete from _embed_schema")
        conn.execute("insert into _embed_schema values (?)", (VERSION,))


def drop_schema(conn: sqlite3.Connection) -> None:
    """Drop our tables; the caller has dropped the collections."""
    for table in OWN_TABLES:
        conn.execute(f"drop table if exists {table}")


def _version(conn: sqlite3.Connection) -> int:
    try:
        row = conn.execute("select version from _embed_schema").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return 0
        raise
    if row is None:
        return 0
    if row[0] > VERSION:
        raise NewerSchema(
            f"This file was written by a newer datasette-embed (its tables are version {row[0]}, "
            f"this one knows {VERSION}): run datasette install -U datasette-embed"
        )
    return int(row[0])
