"""The table of one collection's vectors: made, written, searched by content hash, swept of rows that are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .errors import CannotEmbed
from .identifiers import free_name, quote
from .schema import PREFIX, ROW_HASH
from .tables import SourceTable

# vector_id is an INTEGER PRIMARY KEY so that VACUUM keeps it: packed codes go by it.
_COLUMNS = (
    "chunk integer not null",
    "chunk_start integer not null",
    "chunk_end integer not null",
    "content_hash blob not null",
    "vector blob not null",
    "vector_id integer primary key",
    ROW_HASH,
)
# SQLite 3.40 returns 1.0 for vector_id 1 where the table's first column, the row's key, is REAL.
_RETURNING = "returning cast(vector_id as integer), chunk"
FIND = 250  # contents looked up by one statement
SWEEP = 20_000  # vectors of gone rows deleted in one transaction


class StoredVector(NamedTuple):
    """A row's vector, or one of its chunks', as it will be written."""

    key: tuple[object, ...]
    end: int  # characters of the row's text (or bytes) up to the chunk's end
    content_hash: bytes
    vector: bytes
    chunk: int = 0
    start: int = 0
    row_hash: bytes | None = None  # of the whole row's content, where the chunk's is another


class Deleted(NamedTuple):
    """What was deleted."""

    vector_ids: list[int]
    rows: int  # that had these vectors


def create_vector_table(conn: sqlite3.Connection, name: str, source: SourceTable) -> None:
    """Create the table and its two indexes, by row key and by content hash."""
    # A declared type is quoted too: "my-type" is a legal one.
    keys = [
        f"{quote(key.stored)} {quote(key.type) if key.type else ''} collate {quote(key.collation)} not null"
        for key in source.keys
    ]
    conn.execute(f"create table {quote(name)} ({', '.join([*keys, *_COLUMNS])})")
    conn.execute(f"create unique index {_index(conn, name, 'key')} on {quote(name)} ({_key_list(source)}, chunk)")
    conn.execute(f"create index {_index(conn, name, 'hash')} on {quote(name)} (content_hash)")


def _index(conn: sqlite3.Connection, table: str, kind: str) -> str:
    """A free name for an index: a table that was renamed keeps the one that was made for its first name."""
    taken = [row[0] for row in conn.execute("select name from sqlite_master")]
    # Not <table>_key: that might be the vectors table of another collection.
    wanted = f"{PREFIX}{kind}_{table.removeprefix(f'{PREFIX}vectors_')}"
    return quote(free_name(wanted, taken))


def key_columns(conn: sqlite3.Connection, name: str) -> list[str]:
    """The columns in which the key is stored; none where there is no such table."""
    columns = [row[0] for row in conn.execute("select name from pragma_table_info(?)", (name,))]
    return columns[: columns.index("chunk")] if columns else []


def check_key(conn: sqlite3.Connection, name: str, source: SourceTable) -> None:
    """CannotEmbed where the table got another primary key than the collection was made for."""
    columns = key_columns(conn, name)
    if not columns:
        raise CannotEmbed(f"The table {name} is gone: delete the collection and create it again")
    if columns != [key.stored for key in source.keys]:
        raise CannotEmbed(
            f"The primary key of {source.name} is no longer the one that this collection was made for: "
            "delete the collection and create it again"
        )


def drop_vector_table(conn: sqlite3.Connection, name: str) -> None:
    """Drop the table with its indexes."""
    conn.execute(f"drop table if exists {quote(name)}")


def save_vectors(
    conn: sqlite3.Connection, name: str, source: SourceTable, vectors: Sequence[StoredVector]
) -> dict[int, bytes]:
    """Insert the vectors, each in place of what its chunk had before; the vectors by vector id."""
    table = quote(name)
    # Numbered here, because RETURNING doubles the time of an insert.
    first = conn.execute(f"select coalesce(max(vector_id), 0) + 1 from {table}").fetchone()[0]
    conn.executemany(
        f"insert into {table} ({_key_list(source)},"
        " chunk, chunk_start, chunk_end, content_hash, vector, vector_id, row_hash)"
        f" values ({', '.join('?' * (len(source.keys) + 7))}) on conflict ({_key_list(source)}, chunk) do update"
        " set chunk_start = excluded.chunk_start, chunk_end = excluded.chunk_end,"
        " content_hash = excluded.content_hash, vector = excluded.vector, row_hash = excluded.row_hash",
        (
            (*item.key, item.chunk, item.start, item.end, item.content_hash, item.vector, vector_id, item.row_hash)
            for vector_id, item in enumerate(vectors, first)
        ),
    )
    new = conn.execute(f"select count(*) from {table} where vector_id >= ?", (first,)).fetchone()[0]
    if new == len(vectors):
        return {vector_id: item.vector for vector_id, item in enumerate(vectors, first)}
    # A chunk that had a vector keeps its id.
    sql = f"select vector_id from {table} where {_is_key(source)} and chunk = ?"
    return {conn.execute(sql, (*item.key, item.chunk)).fetchone()[0]: item.vector for item in vectors}


def delete_vectors(
    conn: sqlite3.Connection, name: str, source: SourceTable, keys: Iterable[tuple[object, ...]]
) -> Deleted:
    """Delete all vectors of these rows."""
    sql = f"delete from {quote(name)} where {_is_key(source)} {_RETURNING}"
    return _deleted([found for key in keys for found in conn.execute(sql, key).fetchall()])


def delete_surplus(
    conn: sqlite3.Connection, name: str, source: SourceTable, chunks: Iterable[tuple[tuple[object, ...], int]]
) -> list[int]:
    """Delete what these rows, given by key, have beyond so many chunks; the vector ids."""
    sql = f"delete from {quote(name)} where {_is_key(source)} and chunk >= ? {_RETURNING}"
    return [found[0] for key, count in chunks for found in conn.execute(sql, (*key, count)).fetchall()]


def row_vectors(conn: sqlite3.Connection, name: str, source: SourceTable, key: tuple[object, ...]) -> list[bytes]:
    """The vectors of a row, chunk by chunk."""
    sql = f"select vector from {quote(name)} where {_is_key(source)} order by chunk"
    return [row[0] for row in conn.execute(sql, key)]


def find_vector(conn: sqlite3.Connection, name: str, content_hash: bytes) -> bytes | None:
    """A vector of this content, whichever row it belongs to."""
    row = conn.execute(f"select vector from {quote(name)} where content_hash = ? limit 1", (content_hash,)).fetchone()
    return row[0] if row else None


def find_vectors(conn: sqlite3.Connection, name: str, hashes: Iterable[bytes]) -> dict[bytes, bytes]:
    """A vector of each content that has one, by content hash."""
    wanted = sorted(hashes)  # in the order of the index
    found: dict[bytes, bytes] = {}
    for start in range(0, len(wanted), FIND):
        part = wanted[start : start + FIND]
        sql = (
            f"with wanted (hash) as (values {', '.join(['(?)'] * len(part))}) select hash, vector from ("
            f"select hash, (select vector from {quote(name)} where content_hash = hash limit 1) as vector from wanted"
            ") where vector is not null"
        )
        found.update(conn.execute(sql, part))
    return found


def find_gone(conn: sqlite3.Connection, name: str, source: SourceTable) -> list[int]:
    """The ids of vectors whose row is gone, at most SWEEP of them; reads their keys' index, and no vector."""
    return [row[0] for row in conn.execute(f"select vector_id from {_gone(name, source)} limit {SWEEP}")]


def delete_gone(conn: sqlite3.Connection, name: str, source: SourceTable, ids: Iterable[int]) -> Deleted:
    """Delete those of these vectors whose row is gone still."""
    sql = f"delete from {_gone(name, source)} and vector_id = ? {_RETURNING}"
    return _deleted([found for vector_id in ids for found in conn.execute(sql, (vector_id,)).fetchall()])


def _gone(name: str, source: SourceTable) -> str:
    row = f"select 1 from {quote(source.name)} as t where {source.joined('t', 'v')}"
    return f"{quote(name)} as v where not exists ({row})"


def _deleted(returned: list[tuple[int, int]]) -> Deleted:
    return Deleted([vector_id for vector_id, _ in returned], sum(chunk == 0 for _, chunk in returned))


def _is_key(source: SourceTable) -> str:
    return " and ".join(f"{quote(key.stored)} = ?" for key in source.keys)


def _key_list(source: SourceTable) -> str:
    return ", ".join(quote(key.stored) for key in source.keys)
