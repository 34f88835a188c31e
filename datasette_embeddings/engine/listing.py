"""Walking over listed keys instead of over every row: what a table's triggers noted, or the rows that failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from .rows import Key, Position, Reader, Row


class Listing(Protocol):
    """Keys to look at, in the order of a mark by which the walk keeps its place; a key may be listed several times."""

    def keys(self, conn: sqlite3.Connection, after: Position | None, limit: int) -> Iterator[tuple[Position, Key]]:
        """At most so many keys after a mark, each with its own."""
        ...

    def count(self, conn: sqlite3.Connection) -> int:
        """How many there are, those listed again counted again."""
        ...

    def settle(self, conn: sqlite3.Connection, after: Position | None, until: Position) -> None:
        """What was read after one mark and until another is dealt with; runs in the transaction that saves it."""
        ...


@dataclass(frozen=True)
class ListedRows:
    """The rows of a listing's keys, each met once a stretch."""

    reader: Reader
    listing: Listing

    def rows(
        self, conn: sqlite3.Connection, after: Position | None, limit: int
    ) -> Iterator[tuple[Position, Row | None]]:
        """Rows after a mark, each with its own: one that is gone where there is none, None for a key met before."""
        met = set()
        for mark, key in self.listing.keys(conn, after, limit):
            identity = tuple(zip(map(type, key), key, strict=True))  # 1 and True, or a text and its bytes, are two keys
            if identity in met:
                yield mark, None
                continue
            met.add(identity)
            row = None
            for row in self.reader.find(conn, key):
                yield mark, row
            if row is None:
                yield mark, Row((), key, None, None, None)
