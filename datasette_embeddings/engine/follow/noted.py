"""The listing that a job of kind `noted` walks over: the keys that the triggers noted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from ..failures import has_failures
from ..identifiers import quote
from ..rows import Key, Position, Row, as_text, exact, key_json
from .notes import Notes, count_notes, forget


@dataclass(frozen=True)
class Noted:
    """The noted keys as a walk goes over them, until the last note that was there when it began."""

    notes: Notes
    collection_id: int
    last: int

    def keys(self, conn: sqlite3.Connection, after: Position | None, limit: int) -> Iterator[tuple[Position, Key]]:
        """Each with the number of its note."""
        names = [quote(key) for key in self.notes.keys]
        note, width = quote(self.notes.note), len(names)
        rows = conn.execute(
            f"select {note}, {', '.join(names)}, {', '.join(map(as_text, names))} from {quote(self.notes.table)}"
            f" where {note} > ? and {note} <= ? order by {note} limit {limit}",
            (*(after or (0,)), self.last),
        )
        for number, *values in rows:
            yield (number,), tuple(map(exact, values[:width], values[width:]))

    def count(self, conn: sqlite3.Connection) -> int:
        """The notes that there are."""
        return count_notes(conn, self.notes)

    def skips(self, conn: sqlite3.Connection, row: Row) -> bool:
        """True where this content of the row has failed before: that it was written again is no reason to pay again."""
        if row.content_hash is None or not has_failures(conn, self.collection_id):
            return False
        found = conn.execute(
            "select 1 from _embed_errors where collection_id = ? and position = ? and row_key = ? and content_hash = ?",
            (self.collection_id, key_json(row.position), key_json(row.key), row.content_hash),
        )
        return found.fetchone() is not None

    def settle(self, conn: sqlite3.Connection, after: Position | None, until: Position) -> None:
        """Delete these notes; those that came since have greater numbers, and stay."""
        (first,), (last,) = after or (0,), until
        forget(conn, self.notes, int(str(first)), int(str(last)))
