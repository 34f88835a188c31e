"""A collection of ours to a collection of LLM's."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..collections import Collection
from ..contents import Content
from ..rows import Position, Reader, Row, count_rows, reader
from ..states import one_state
from ..tables import source_table
from ..transactions import transaction
from ..vector_table import row_vectors
from ..vectors import decode
from .ids import id_of, md5_of
from .tables import begin_collection, ensure_tables
from .tally import EMPTY, Report, Tally

STRETCH = 1000  # rows read at a time: a longer read would keep other programs from writing
FALLBACKS = "llm/"  # what the name of a model of LLM's begins with where ours has its id

PENDING = "no vector of the present content: `datasette embed table` makes it"
ZERO = "a vector of zeros, which LLM cannot compare"
SAME_ID = "a key that is written as another row's is"


@dataclass(frozen=True)
class Target:
    """What LLM is to call the collection, and how it is to be written."""

    name: str
    replace: bool = False  # what LLM has under that name
    store: bool = False  # the contents too


class Entry(NamedTuple):
    """A row of LLM's table."""

    id: str
    embedding: bytes
    content: str | None = None
    content_blob: bytes | None = None
    content_hash: bytes | None = None


def export_collection(
    conn: sqlite3.Connection, collection: Collection, file: sqlite3.Connection, target: Target, report: Report
) -> Tally:
    """Write the vectors of rows that have not changed since into LLM's file, in one transaction."""
    exporter = Exporter(conn, reader(source_table(conn, collection.table), collection), target.store, Tally())
    tally, total = exporter.tally, count_rows(conn, collection.table)
    with transaction(file):
        ensure_tables(file)
        model = collection.model.removeprefix(FALLBACKS)
        place = begin_collection(file, target.name, model, replace=target.replace)
        for entries in exporter.stretches():
            written = file.executemany(
                "insert or ignore into embeddings"
                " (collection_id, id, embedding, content, content_blob, content_hash, updated)"
                f" values ({place}, ?, ?, ?, ?, ?, {int(time.time())})",
                entries,
            ).rowcount
            tally.moved += written
            tally.leave_out(SAME_ID, len(entries) - written)
            report(tally.walked, total)
    return tally


@dataclass(frozen=True)
class Exporter:
    """Reads a collection, a stretch of rows at a time, and counts what it leaves out."""

    conn: sqlite3.Connection
    rows: Reader
    store: bool
    tally: Tally

    def stretches(self) -> Iterator[list[Entry]]:
        """The entries of all rows, in lists."""
        after: Position | None = None
        while True:
            with one_state(self.conn):
                stretch = list(self.rows.rows(self.conn, after, STRETCH))
                entries = [entry for row in stretch for entry in self._entries(row)]
            if not stretch:
                return
            self.tally.walked += len(stretch)
            after = stretch[-1].position
            yield entries

    def _entries(self, row: Row) -> Iterator[Entry]:
        if row.content is None or not row.is_current:
            self.tally.leave_out(EMPTY if row.content is None else PENDING)
            return
        vectors = row_vectors(self.conn, self.rows.vector_table, self.rows.source, row.key)
        for number, vector in enumerate(vectors):
            if not decode(vector).any():
                self.tally.leave_out(ZERO)
            elif len(vectors) == 1:
                yield Entry(id_of(row.key), vector, *self._stored(row.content), md5_of(row.content))
            else:
                yield Entry(f"{id_of(row.key)}#{number}", vector)

    def _stored(self, content: Content) -> tuple[str | None, bytes | None]:
        if not self.store:
            return None, None
        return (content, None) if isinstance(content, str) else (None, content)
