"""The notes of one collection: an append-only log of the keys of rows that changed, and when."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from ..identifiers import free_name, quote
from ..rows import Key, Position, Row, as_text, exact, key_json
from ..schema import PREFIX
from ..tables import KeyColumn, SourceTable

EMPTIED = 20_000  # notes deleted in one transaction: some 10 ms
UNIX_EPOCH = 2440587.5  # as a Julian day, which is what SQLite gives fastest


@dataclass(frozen=True)
class Notes:
    """The table of the notes: `note` numbers them in the order of the writes, `at` is a Julian day (UTC)."""

    table: str
    keys: tuple[KeyColumn, ...]

    @property
    def note(self) -> str:
        """The column that numbers the notes, whatever the key's columns are called."""
        return free_name("note", [key.stored for key in self.keys])

    @property
    def at(self) -> str:
        """The column that says when."""
        return free_name("at", [key.stored for key in self.keys])


@dataclass(frozen=True)
class Waiting:
    """What was noted and not dealt with yet."""

    rows: int
    since: str | None  # UTC


def notes_of(collection: str, source: SourceTable) -> Notes:
    """Where the changes of a collection's source are noted."""
    return Notes(f"{PREFIX}notes_{collection}", source.keys)


def create_notes(conn: sqlite3.Connection, notes: Notes) -> None:
    """Create the table: no constraint and no index, for a write of the person's must never fail because of it."""
    keys = [
        f"{quote(key.stored)} {quote(key.type) if key.type else ''} collate {quote(key.collation)}"
        for key in notes.keys
    ]
    columns = [f"{quote(notes.note)} integer primary key", *keys, f"{quote(notes.at)} real"]
    conn.execute(f"create table {quote(notes.table)} ({', '.join(columns)})")


def has_notes(conn: sqlite3.Connection, notes: Notes) -> bool:
    """Whether anything waits; reads one row."""
    return conn.execute(f"select 1 from {quote(notes.table)} limit 1").fetchone() is not None


def last_note(conn: sqlite3.Connection, notes: Notes) -> int:
    """The number of the newest note; 0 where there is none."""
    row = conn.execute(f"select max({quote(notes.note)}) from {quote(notes.table)}").fetchone()
    return int(row[0] or 0)


def count_notes(conn: sqlite3.Connection, notes: Notes) -> int:
    """How many notes there are; a row that changed twice has two."""
    return int(conn.execute(f"select count(*) from {quote(notes.table)}").fetchone()[0])


def waiting(conn: sqlite3.Connection, notes: Notes) -> Waiting:
    """How many rows wait, each counted once, and since when the first does."""
    keys = ", ".join(quote(key.stored) for key in notes.keys)
    rows = conn.execute(f"select count(*) from (select distinct {keys} from {quote(notes.table)})").fetchone()[0]
    since = conn.execute(
        f"select {quote(notes.at)} from {quote(notes.table)} order by {quote(notes.note)} limit 1"
    ).fetchone()
    return Waiting(int(rows), _utc(since[0]) if since and since[0] else None)


def forget(conn: sqlite3.Connection, notes: Notes, after: int, until: int) -> None:
    """Delete the notes after one number and until another."""
    note = quote(notes.note)
    conn.execute(f"delete from {quote(notes.table)} where {note} > ? and {note} <= ?", (after, until))


def forget_some(conn: sqlite3.Connection, notes: Notes, until: int) -> bool:
    """Delete the first EMPTIED of the notes until a number; False where there is none left."""
    first = conn.execute(f"select min({quote(notes.note)}) from {quote(notes.table)}").fetchone()[0]
    if first is None or first > until:
        return False
    forget(conn, notes, first - 1, min(first + EMPTIED, until))
    return True


def _utc(julian: float) -> str:
    moment = datetime.fromtimestamp((julian - UNIX_EPOCH) * 86400, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Noted:
    """The noted keys as a walk goes over them, until the last note that was there when it began."""

    notes: Notes
    collection_id: int
    last: int

    def keys(self, conn: sqlite3.Connection, after: Position | None, limit: int) -> Iterator[tuple[Position, Key]]:
        """Each with the number of its note."""
        names = [quote(key.stored) for key in self.notes.keys]
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
        if row.content_hash is None:
            return False
        sql = "select 1 from _embed_errors where collection_id = ? and position = ? and content_hash = ?"
        values = (self.collection_id, key_json(row.position), row.content_hash)
        return conn.execute(sql, values).fetchone() is not None

    def settle(self, conn: sqlite3.Connection, after: Position | None, until: Position) -> None:
        """Delete these notes; those that came since have greater numbers, and stay."""
        (first,), (last,) = after or (0,), until
        forget(conn, self.notes, int(str(first)), int(str(last)))
