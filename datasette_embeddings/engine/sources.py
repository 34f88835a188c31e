"""Where stretches come from: a table's rows, or those that are listed, and vectors that were made before."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .batches import Failure, Stretch
from .collections import Collection, every_collection
from .cutting import undivided
from .errors import EmbedError
from .failures import postpones
from .fingerprint import is_same_model
from .kept import find_kept, has_kept
from .listing import ListedRows, Listing
from .rows import Position, Reader, Row, key_json
from .vector_table import find_vectors

STRETCH_ROWS = 20_000  # rows walked before the position is saved, even if the model got nothing
PLACED = 250  # rows whose vectors are looked up together


class TableChanged(EmbedError):
    """The file's schema changed during the walk, or VACUUM renumbered the rowids that the walk went by."""


@dataclass(frozen=True)
class Source:
    """Where stretches come from: the rows, and the vectors that may be taken over."""

    collection: Collection
    reader: Reader
    known_tables: tuple[str, ...]  # vector tables of this model's collections
    schema_version: int  # of the file when the walk began: VACUUM, which renumbers rowids, changes it
    listing: Listing | None = None  # the keys to look at; None: every row

    def next_stretch(self, conn: sqlite3.Connection, after: Position | None, target: int) -> Stretch | None:
        """Read on after a position until the stretch is full; None where no row is left, or TableChanged."""
        stretch = Stretch(after=after, position=after)
        with self._same_schema(conn):
            is_postponed = postpones(conn, self.collection.id)
            for mark, row in self._rows(conn, after):
                stretch.position = mark
                stretch.walked += 1
                if row is None:  # listed again: what is to be done is done
                    stretch.unchanged += 1
                    continue
                self._sort(stretch, row, is_postponed)
                if len(stretch.cut) >= PLACED:
                    self._place(conn, stretch)
                if stretch.is_full(target):
                    break
            self._place(conn, stretch)
        return stretch if stretch.walked else None

    def place_cut(self, conn: sqlite3.Connection, stretch: Stretch) -> None:
        """Place the rows that were cut, or TableChanged."""
        with self._same_schema(conn):
            self._place(conn, stretch)

    @contextmanager
    def _same_schema(self, conn: sqlite3.Connection) -> Iterator[None]:
        self._check_schema(conn)
        try:
            yield
        except sqlite3.OperationalError:  # a table or a column that was there a moment ago
            self._check_schema(conn)
            raise

    def _check_schema(self, conn: sqlite3.Connection) -> None:
        if schema_version(conn) != self.schema_version:
            raise TableChanged("The file's schema changed while its rows were read")

    def _rows(self, conn: sqlite3.Connection, after: Position | None) -> Iterator[tuple[Position, Row | None]]:
        if self.listing is None:
            return ((row.position, row) for row in self.reader.rows(conn, after, STRETCH_ROWS))
        return ListedRows(self.reader, self.listing).rows(conn, after, STRETCH_ROWS)

    def _sort(self, stretch: Stretch, row: Row, is_postponed: Callable[[Row], bool]) -> None:
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
        elif is_postponed(row):
            stretch.postponed.append(key_json(row.position))
            stretch.stale += [row.key] if row.stored_hash else []
        elif self.collection.definition.chunking is not None:
            stretch.set_aside(row, row.content)
        else:
            stretch.cut.append((row, undivided(self.reader.recipe, row.values, row.content, row.content_hash)))
            stretch.size += len(row.content)

    def _place(self, conn: sqlite3.Connection, stretch: Stretch) -> None:
        """Place the rows that were cut, or need not be, by the vectors that were made before."""
        hashes = {chunk.content_hash for _, chunks in stretch.cut for chunk in chunks}
        found: dict[bytes, bytes] = {}
        for table in self.known_tables:
            found.update(find_vectors(conn, table, hashes - found.keys()))
        if has_kept(conn, self.collection.id):
            kept = ((key, find_kept(conn, self.collection.id, key)) for key in hashes - found.keys())
            found.update((key, vector) for key, vector in kept if vector is not None)
        for row, chunks in stretch.cut:
            stretch.place(row, chunks, found)
        stretch.cut.clear()


def make_source(
    conn: sqlite3.Connection,
    collection: Collection,
    reader: Reader,
    dimensions: int | None,
    listing: Listing | None = None,
) -> Source:
    """The source of one collection's stretches; a model that changed takes over no older vectors."""
    version = schema_version(conn)  # first: a change that comes later is then noticed
    return Source(collection, reader, known_tables(conn, collection, dimensions), version, listing)


def known_tables(conn: sqlite3.Connection, collection: Collection, dimensions: int | None) -> tuple[str, ...]:
    """The vector tables whose vectors a collection may take over, its own among them."""
    return tuple(
        other.vector_table
        for other in every_collection(conn)
        if other.id == collection.id or (other.dimensions == dimensions and is_same_model(other, collection))
    )


def schema_version(conn: sqlite3.Connection) -> int:
    """SQLite's own schema counter, which VACUUM and every change of a table's shape move on."""
    return int(conn.execute("pragma schema_version").fetchone()[0])
