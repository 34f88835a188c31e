"""The listing that a job of kind `noted` walks over: the keys that the triggers noted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from ..identifiers import quote
from ..rows import Key, Position, as_text, exact
from .notes import Notes, count_notes, forget


@dataclass(frozen=True)
class Noted:
    """The noted keys as a walk goes over them, until the last note that was there when it began."""

    notes: Notes
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

    def settle(self, conn: sqlite3.Connection, after: Position | None, until: Position) -> None:
        """Delete these notes; those that came since have greater numbers, and stay."""
        (first,), (last,) = after or (0,), until
        forget(conn, self.notes, int(str(first)), int(str(last)))
