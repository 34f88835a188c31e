"""Batches: stretches of rows sorted into what is unchanged, empty, known already, failing, or for the model."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from .collections import Collection, list_collections
from .contents import Content
from .errors import EmbedError
from .rows import Position, Reader, Row
from .vector_table import StoredVector, find_vector

BATCH_BYTES = 64_000_000  # of contents held for one batch
BATCH_ROWS = 20_000  # rows walked before the position is saved, even if the model got nothing


class TableChanged(EmbedError):
    """The file's schema changed during the walk, or VACUUM renumbered the rowids that the walk went by."""


@dataclass(frozen=True)
class Failure:
    """A row that could not be embedded, and why."""

    row: Row
    message: str


@dataclass
class Batch:
    """What one transaction will write: the contents for the model, and the rows that wait for their vectors."""

    position: Position | None = None  # of the last row read
    walked: int = 0
    unchanged: int = 0
    empty: int = 0
    stale: list[tuple[object, ...]] = field(default_factory=list)  # keys whose vector must go
    known: list[StoredVector] = field(default_factory=list)  # vectors of equal contents, stored before
    failures: list[Failure] = field(default_factory=list)
    waiting: dict[bytes, list[Row]] = field(default_factory=dict)  # rows by content hash, for the model
    size: int = 0

    @property
    def contents(self) -> list[Content]:
        """What the model gets: every content once."""
        return [rows[0].content for rows in self.waiting.values() if rows[0].content is not None]

    def is_full(self, target: int) -> bool:
        """True once the model has `target` contents to embed, or the batch is large enough otherwise."""
        return len(self.waiting) >= target or self.size >= BATCH_BYTES


@dataclass(frozen=True)
class Source:
    """Where batches come from: the rows, and the vectors that may be taken over."""

    reader: Reader
    known_tables: tuple[str, ...]  # vector tables of this model's collections
    schema_version: int  # of the file when the walk began: VACUUM, which renumbers rowids, changes it

    def next_batch(self, conn: sqlite3.Connection, after: Position | None, target: int) -> Batch | None:
        """Read on after a position until the batch is full; None where no row is left, or TableChanged."""
        self._check_schema(conn)
        batch = Batch(position=after)
        try:
            for row in self.reader.rows(conn, after, BATCH_ROWS):
                self._sort(conn, batch, row)
                if batch.is_full(target):
                    break
        except sqlite3.OperationalError:  # a table or a column that was there a moment ago
            self._check_schema(conn)
            raise
        return batch if batch.walked else None

    def _check_schema(self, conn: sqlite3.Connection) -> None:
        if schema_version(conn) != self.schema_version:
            raise TableChanged("The file's schema changed while its rows were read")

    def _sort(self, conn: sqlite3.Connection, batch: Batch, row: Row) -> None:
        batch.walked += 1
        batch.position = row.position
        if (fault := row.key_fault) is not None:
            batch.failures.append(Failure(row, fault))
        elif row.content is None or row.content_hash is None:
            batch.empty += 1
            batch.stale += [row.key] if row.stored_hash else []
        elif row.is_current:
            batch.unchanged += 1
        elif (vector := self._known(conn, row.content_hash)) is not None:
            batch.known.append(stored(row, vector))
        else:
            batch.waiting.setdefault(row.content_hash, []).append(row)
            batch.size += len(row.content)

    def _known(self, conn: sqlite3.Connection, content_hash: bytes) -> bytes | None:
        for table in self.known_tables:
            if (vector := find_vector(conn, table, content_hash)) is not None:
                return vector
        return None


def make_source(conn: sqlite3.Connection, collection: Collection, reader: Reader, dimensions: int | None) -> Source:
    """The source of one collection's batches; a model that changed its dimensions takes over no older vectors."""
    version = schema_version(conn)  # first: a change that comes later is then noticed
    tables = [
        other.vector_table
        for other in list_collections(conn)
        if other.model == collection.model and (other.id == collection.id or other.dimensions == dimensions)
    ]
    return Source(reader, tuple(tables), version)


def stored(row: Row, vector: bytes) -> StoredVector:
    """A row's vector as it will be written."""
    assert row.content is not None
    assert row.content_hash is not None
    return StoredVector(row.key, len(row.content), row.content_hash, vector)


def schema_version(conn: sqlite3.Connection) -> int:
    """SQLite's own schema counter, which VACUUM and every change of a table's shape move on."""
    return int(conn.execute("pragma schema_version").fetchone()[0])
