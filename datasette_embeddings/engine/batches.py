"""Stretches of rows, sorted into unchanged, empty, known, failing and to be embedded; and batches for the model."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field

from .collections import Collection, every_collection
from .errors import EmbedError
from .fingerprint import is_same_model
from .listing import ListedRows, Listing
from .rows import Key, Position, Reader, Row
from .vector_table import StoredVector, find_vector

STRETCH_BYTES = 64_000_000  # of contents held at a time
STRETCH_ROWS = 20_000  # rows walked before the position is saved, even if the model got nothing


class TableChanged(EmbedError):
    """The file's schema changed during the walk, or VACUUM renumbered the rowids that the walk went by."""


@dataclass(frozen=True)
class Failure:
    """A row that could not be embedded, and why."""

    row: Row
    message: str
    may_pass: bool = False  # another attempt may do better, though the row is the same


@dataclass
class Stretch:
    """Rows read together, so that their contents can be sorted by length together: the next step of the walk."""

    after: Position | None = None  # where it begins
    position: Position | None = None  # of the last row read; of listed rows, the mark of their keys
    walked: int = 0
    unchanged: int = 0
    empty: int = 0
    listed: list[Key] = field(default_factory=list)  # keys met, where the walk is over listed ones
    stale: list[Key] = field(default_factory=list)  # keys whose vector must go
    known: list[StoredVector] = field(default_factory=list)  # vectors of equal contents, stored before
    failures: list[Failure] = field(default_factory=list)
    waiting: dict[bytes, list[Row]] = field(default_factory=dict)  # rows by content hash, for the model
    size: int = 0  # characters and bytes of what is waiting

    def is_full(self, target: int) -> bool:
        """True once the model has `target` contents to embed, or they are large enough otherwise."""
        return len(self.waiting) >= target or self.size >= STRETCH_BYTES

    def forget(self, embedded: int) -> int:
        """Take up to so many unchanged rows out of the counts, because they are counted as embedded; how many."""
        met = min(self.unchanged, embedded)
        self.unchanged -= met
        self.walked -= met
        return met

    def batches(self, size: Callable[[], int]) -> Iterator[Batch]:
        """The contents in batches of neighbouring lengths, the longest first; the last batch completes the stretch.

        `size` is asked before each batch.
        """
        order = sorted(self.waiting, key=lambda content_hash: -len(self.waiting[content_hash][0].content or ""))
        start = 0
        while True:
            stop = start + max(1, size())
            part = {content_hash: self.waiting[content_hash] for content_hash in order[start:stop]}
            yield Batch(part, self if stop >= len(order) else None)
            if stop >= len(order):
                return
            start = stop


@dataclass(frozen=True)
class Batch:
    """What one call of the model embeds and one transaction writes."""

    waiting: Mapping[bytes, list[Row]]  # rows by content hash
    completes: Stretch | None  # the last batch of a stretch writes the rest of it, and moves the job's position

    @property
    def walked(self) -> int:
        """How many rows are dealt with once it is written."""
        embedded = sum(len(rows) for rows in self.waiting.values())
        if self.completes is None:
            return embedded
        return embedded + self.completes.walked - sum(len(rows) for rows in self.completes.waiting.values())

    def only(self, done: Container[bytes]) -> Batch:
        """The batch without the contents that are not done; without any of them it completes nothing."""
        part = {content_hash: rows for content_hash, rows in self.waiting.items() if content_hash in done}
        return self if len(part) == len(self.waiting) else Batch(part, None)


@dataclass(frozen=True)
class Source:
    """Where stretches come from: the rows, and the vectors that may be taken over."""

    reader: Reader
    known_tables: tuple[str, ...]  # vector tables of this model's collections
    schema_version: int  # of the file when the walk began: VACUUM, which renumbers rowids, changes it
    listing: Listing | None = None  # the keys to look at; None: every row

    def next_stretch(self, conn: sqlite3.Connection, after: Position | None, target: int) -> Stretch | None:
        """Read on after a position until the stretch is full; None where no row is left, or TableChanged."""
        self._check_schema(conn)
        stretch = Stretch(after=after, position=after)
        try:
            for mark, row in self._rows(conn, after):
                stretch.position = mark
                stretch.walked += 1
                if row is None:  # listed again: what is to be done is done
                    stretch.unchanged += 1
                    continue
                self._sort(conn, stretch, row)
                if stretch.is_full(target):
                    break
        except sqlite3.OperationalError:  # a table or a column that was there a moment ago
            self._check_schema(conn)
            raise
        return stretch if stretch.walked else None

    def _check_schema(self, conn: sqlite3.Connection) -> None:
        if schema_version(conn) != self.schema_version:
            raise TableChanged("The file's schema changed while its rows were read")

    def _rows(self, conn: sqlite3.Connection, after: Position | None) -> Iterator[tuple[Position, Row | None]]:
        if self.listing is None:
            return ((row.position, row) for row in self.reader.rows(conn, after, STRETCH_ROWS))
        return ListedRows(self.reader, self.listing).rows(conn, after, STRETCH_ROWS)

    def _sort(self, conn: sqlite3.Connection, stretch: Stretch, row: Row) -> None:
        if self.listing and self.listing.skips(conn, row):
            stretch.unchanged += 1
            return
        stretch.listed += [row.key] if self.listing else []
        if row.is_gone:
            stretch.stale.append(row.key)
        elif (fault := row.key_fault) is not None:
            stretch.failures.append(Failure(row, fault))
        elif row.content is None or row.content_hash is None:
            stretch.empty += 1
            stretch.stale += [row.key] if row.stored_hash else []
        elif row.is_current:
            stretch.unchanged += 1
        elif (vector := self._known(conn, row.content_hash)) is not None:
            stretch.known.append(stored(row, vector))
        else:
            stretch.waiting.setdefault(row.content_hash, []).append(row)
            stretch.size += len(row.content)

    def _known(self, conn: sqlite3.Connection, content_hash: bytes) -> bytes | None:
        for table in self.known_tables:
            if (vector := find_vector(conn, table, content_hash)) is not None:
                return vector
        return None


def make_source(
    conn: sqlite3.Connection,
    collection: Collection,
    reader: Reader,
    dimensions: int | None,
    listing: Listing | None = None,
) -> Source:
    """The source of one collection's stretches; a model that changed takes over no older vectors."""
    version = schema_version(conn)  # first: a change that comes later is then noticed
    tables = [
        other.vector_table
        for other in every_collection(conn)
        if other.id == collection.id or (other.dimensions == dimensions and is_same_model(other, collection))
    ]
    return Source(reader, tuple(tables), version, listing)


def stored(row: Row, vector: bytes) -> StoredVector:
    """A row's vector as it will be written."""
    assert row.content is not None
    assert row.content_hash is not None
    return StoredVector(row.key, len(row.content), row.content_hash, vector)


def schema_version(conn: sqlite3.Connection) -> int:
    """SQLite's own schema counter, which VACUUM and every change of a table's shape move on."""
    return int(conn.execute("pragma schema_version").fetchone()[0])
