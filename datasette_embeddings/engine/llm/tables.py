"""LLM's tables: made as LLM's own migrations make them, told from others of their names, and read."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timezone

from ..errors import Conflict, NotFound

_MIGRATIONS = (
    "m001_create_tables",
    "m002_foreign_key",
    "m003_add_updated",
    "m004_store_content_hash",
    "m005_add_content_blob",
)
# What the five of them come to.
_TABLES = (
    "create table collections (id integer primary key, name text, model text)",
    "create unique index idx_collections_name on collections (name)",
    """create table embeddings (
    collection_id integer references collections (id),
    id text,
    embedding blob,
    content text,
    content_blob blob,
    content_hash blob,
    metadata text,
    updated integer,
    primary key (collection_id, id)
)""",
    "create index idx_embeddings_content_hash on embeddings (content_hash)",
    """create table if not exists _sqlite_migrations (
    id integer primary key,
    migration_set text,
    name text,
    applied_at text
)""",
    "create unique index if not exists idx__sqlite_migrations_migration_set_name"
    " on _sqlite_migrations (migration_set, name)",
)
_COLUMNS = {
    "collections": {"id", "name", "model"},
    "embeddings": {"collection_id", "id", "embedding", "content", "content_blob", "content_hash", "updated"},
}


@dataclass(frozen=True)
class LLMCollection:
    """A collection of LLM's."""

    id: int
    name: str
    model: str


def has_tables(conn: sqlite3.Connection) -> bool:
    """True where LLM keeps collections in this file; Conflict where tables of those names are not (today's) LLM's."""
    there = {table: {row[1] for row in conn.execute(f"pragma table_info({table})")} for table in _COLUMNS}
    if not any(there.values()):
        return False
    for table, columns in _COLUMNS.items():
        if missing := ", ".join(sorted(columns - there[table])):
            raise Conflict(f"The file's tables are not LLM's, or an old LLM's: {table} has no {missing}")
    return True


def ensure_tables(conn: sqlite3.Connection) -> None:
    """Make LLM's tables where they are not there, with the rows that tell LLM that they are up to date."""
    if has_tables(conn):
        return
    for statement in _TABLES:
        conn.execute(statement)
    moment = str(datetime.now(timezone.utc))
    conn.executemany(
        "insert or ignore into _sqlite_migrations (migration_set, name, applied_at) values ('llm.embeddings', ?, ?)",
        [(name, moment) for name in _MIGRATIONS],
    )


def find_collection(conn: sqlite3.Connection, name: str) -> LLMCollection:
    """LLM's collection of that name; NotFound tells the names there are."""
    if not has_tables(conn):
        raise NotFound("LLM keeps no collections in this file")
    found = [LLMCollection(*row) for row in conn.execute("select id, name, model from collections order by name")]
    for collection in found:
        if collection.name == name:
            return collection
    names = ", ".join(repr(collection.name) for collection in found) or "none"
    raise NotFound(f"LLM has no collection {name!r} in this file; it has {names}")


def begin_collection(conn: sqlite3.Connection, name: str, model: str, *, replace: bool) -> int:
    """The id of a new collection of LLM's, in place of the one of that name only if `replace`; else Conflict."""
    row = conn.execute("select id, model from collections where name = ?", (name,)).fetchone()
    if row is not None:
        if not replace:
            raise Conflict(
                f"LLM has a collection {name!r} in this file already, by the model {row[1]}: "
                "choose another name, or replace it"
            )
        conn.execute("delete from embeddings where collection_id = ?", (row[0],))
        conn.execute("delete from collections where id = ?", (row[0],))
    cursor = conn.execute("insert into collections (name, model) values (?, ?)", (name, model))
    return int(cursor.lastrowid or 0)
