"""Our tables in a person's file, and the steps from one version of them to the next."""

from __future__ import annotations

import sqlite3

from .errors import NewerSchema, OlderSchema
from .identifiers import quote
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
    reason text, -- a sentence: why it is paused, failed or cancelled, or what it waits for
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
    job_id integer not null, -- the last job that met it; 0 once that job began anew
    at text not null, -- UTC
    primary key (collection_id, position)
)""",
)
_VERSION_2 = (
    """alter table _embed_collections add column
    follow integer not null default 0 /* 1: triggers note the rows that change */""",
    """alter table _embed_collections add column
    shape text /* hash of the table as it was when every row was last compared; see follow/shape.py */""",
    """alter table _embed_collections add column
    chunking text /* JSON: how longer texts are cut; null: not at all */""",
    """alter table _embed_collections add column
    fingerprint blob /* a probe text's vector: other weights make another one; empty: reuse no older vectors */""",
    """alter table _embed_collections add column
    replaces integer /* id of the collection that this one takes the place of once it is complete */""",
    """alter table _embed_jobs add column
    kind text not null default 'rows' /* rows: every row; noted: those that changed; failed: those in errors */""",
    """alter table _embed_jobs add column
    tokens integer not null default 0 /* handed to the model, as far as it counts them */""",
    """alter table _embed_jobs add column
    max_cost real /* in US dollars, that this job may spend */""",
    """alter table _embed_jobs add column
    max_rows integer /* that this job may hand to the model */""",
    """alter table _embed_jobs add column
    cause text /* a sentence: why it was begun, where nobody asked for it */""",
    """alter table _embed_errors add column
    attempts integer not null default 1 /* how often the row has failed with this content */""",
    """create table _embed_kept (
    collection_id integer not null references _embed_collections (id),
    content_hash blob not null, -- of a chunk whose row lacks others, because the job stopped or a chunk failed
    vector blob not null,
    job_id integer not null, -- the last job that met it
    primary key (collection_id, content_hash)
)""",
    """alter table _embed_errors add column
    retry_at real /* Unix seconds, from which on it is tried again; 0: somebody asked; null: when somebody asks */""",
    "create index _embed_errors_key on _embed_errors (collection_id, row_key)",
)
_VERSION_3 = (
    """alter table _embed_jobs add column
    postponed integer not null default 0 /* rows that failed before with this content, and were not due */""",
)
_STEPS = (_VERSION_1, _VERSION_2, _VERSION_3)  # step n leads from version n to n + 1
VERSION = len(_STEPS)
PREFIX = "_embed_"
# Of every vectors table, from version 2 on: the hash of the whole row's content, null where the row has one chunk.
ROW_HASH = "row_hash blob"
OWN_TABLES = ("_embed_kept", "_embed_errors", "_embed_jobs", "_embed_collections", "_embed_schema")


def has_schema(conn: sqlite3.Connection) -> bool:
    """True where the file holds our tables; NewerSchema or OlderSchema where they are not of our version."""
    version = _version(conn)
    if 0 < version < VERSION:
        raise OlderSchema(
            "This file was written by an older datasette-embed: open it once where it can be written, with "
            "`datasette embed status` or `datasette serve`, and its tables are brought up to date"
        )
    return version > 0


def migrate(conn: sqlite3.Connection) -> None:
    """Bring our tables up to date where the file has any."""
    if _version(conn) > 0:
        ensure_schema(conn)


def ensure_schema(conn: sqlite3.Connection) -> None:
    """Create our tables, or bring older ones up to date, in one transaction."""
    if _version(conn) == VERSION:
        return
    with transaction(conn):
        version = _version(conn)  # again, now that nobody else can be at it
        for statements in _STEPS[version:]:
            for statement in statements:
                conn.execute(statement)
        if version == 1:
            _add_row_hash(conn)
        conn.execute("delete from _embed_schema")
        conn.execute("insert into _embed_schema values (?)", (VERSION,))


def drop_schema(conn: sqlite3.Connection) -> None:
    """Drop our tables; the caller has dropped the collections."""
    for table in OWN_TABLES:
        conn.execute(f"drop table if exists {table}")


def _add_row_hash(conn: sqlite3.Connection) -> None:
    for (name,) in conn.execute("select name from _embed_collections").fetchall():
        conn.execute(f"alter table {quote(f'{PREFIX}vectors_{name}')} add column {ROW_HASH}")


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
