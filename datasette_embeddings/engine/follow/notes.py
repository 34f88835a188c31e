"""The notes of one collection: an append-only log of the keys of rows that changed, and when."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timezone

from ..identifiers import free_name, quote
from ..schema import PREFIX
from ..tables import SourceTable

EMPTIED = 20_000  # notes deleted in one transaction: some 10 ms
UNIX_EPOCH = 2440587.5  # as a Julian day, which is what SQLite gives fastest


@dataclass(frozen=True)
class Notes:
    """The table of the notes of one collection."""

    table: str
    keys: tuple[str, ...]  # the columns that hold a row's key

    @property
    def note(self) -> str:
        """The column that numbers the notes in the order of the writes."""
        return free_name("note", self.keys)

    @property
    def at(self) -> str:
        """The column that says when, as a Julian day (UTC)."""
        return free_name("at", self.keys)


@dataclass(frozen=True)
class Waiting:
    """What was noted and not dealt with yet."""

    rows: int
    since: str | None  # UTC


def notes_table(collection: str) -> str:
    """The name of a collection's table of notes."""
    return f"{PREFIX}notes_{collection}"


def notes_of(collection: str, source: SourceTable) -> Notes:
    """Where the changes of a collection's source are to be noted."""
    return Notes(notes_table(collection), tuple(key.stored for key in source.keys))


def stored_notes(conn: sqlite3.Connection, collection: str) -> Notes | None:
    """Where they are noted; None where there is no such table."""
    table = notes_table(collection)
    columns = [row[0] for row in conn.execute("select name from pragma_table_info(?)", (table,))]
    return Notes(table, tuple(columns[1:-1])) if columns else None


def create_notes(conn: sqlite3.Connection, notes: Notes) -> None:
    """Create the table: with no constraint and no index, for no write of the person's may ever fail because of it.

    The key's columns have no type, so that every value is kept as it is.
    """
    keys = "".join(f"{quote(key)}, " for key in notes.keys)
    conn.execute(
        f"create table {quote(notes.table)} ({quote(notes.note)} integer primary key, {keys}{quote(notes.at)})"
    )


def drop_notes(conn: sqlite3.Connection, collection: str) -> None:
    """Drop the table; every trigger that writes to it is gone before."""
    conn.execute(f"drop table if exists {quote(notes_table(collection))}")


def has_notes(conn: sqlite3.Connection, notes: Notes) -> bool:
    """Whether anything waits; reads one row."""
    return conn.execute(f"select 1 from {quote(notes.table)} limit 1").fetchone() is not None


def last_note(conn: sqlite3.Connection, notes: Notes | None) -> int:
    """The number of the newest note; 0 where there is none."""
    if notes is None:
        return 0
    row = conn.execute(f"select max({quote(notes.note)}) from {quote(notes.table)}").fetchone()
    return int(row[0] or 0)


def count_notes(conn: sqlite3.Connection, notes: Notes) -> int:
    """How many notes there are; a row that changed twice has two."""
    return int(conn.execute(f"select count(*) from {quote(notes.table)}").fetchone()[0])


def waiting(conn: sqlite3.Connection, notes: Notes) -> Waiting:
    """How many rows wait, each counted once, and since when the first does."""
    keys = ", ".join(map(quote, notes.keys))
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
    moment = datetime.fromtimestamp(round((julian - UNIX_EPOCH) * 86400), timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
