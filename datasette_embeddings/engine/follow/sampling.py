"""A few rows compared with their vectors once the schema has changed: of dropped columns no trigger tells."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..collections import Collection
from ..identifiers import quote
from ..rows import Key, reader
from ..tables import SourceTable
from .notes import Notes

SAMPLE = 20  # rows from all over the table


def changed_unnoted(conn: sqlite3.Connection, collection: Collection, source: SourceTable, notes: Notes) -> bool:
    """Whether the text of one of these rows is not what its vector was made of, though no note says so."""
    rows = reader(source, collection)
    changed = {
        row.key
        for key in _spread_keys(conn, collection.vector_table, notes.keys)
        for row in rows.find(conn, key)
        if row.stored_hash is not None and not row.is_current
    }
    noted = conn.execute(f"select {', '.join(map(quote, notes.keys))} from {quote(notes.table)}")
    while changed and (key := noted.fetchone()):
        changed.discard(tuple(key))
    return bool(changed)


def _spread_keys(conn: sqlite3.Connection, vector_table: str, keys: tuple[str, ...]) -> Iterator[Key]:
    """The keys of vectors, evenly spread over those that there are."""
    table = quote(vector_table)
    first, last = conn.execute(f"select min(vector_id), max(vector_id) from {table}").fetchone()
    if first is None:
        return
    sql = f"select {', '.join(map(quote, keys))} from {table} where vector_id >= ? order by vector_id limit 1"
    for step in range(SAMPLE):
        yield tuple(conn.execute(sql, (first + (last - first) * step // (SAMPLE - 1),)).fetchone())
