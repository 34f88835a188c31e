"""What following a collection takes in the file, made and removed: the table of its notes and its triggers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..errors import CannotEmbed, Conflict
from ..tables import SourceTable
from .notes import create_notes, drop_notes, notes_of
from .triggers import can_follow, create_triggers, drop_triggers, expected


def add_following(conn: sqlite3.Connection, collection: str, source: SourceTable, reads: Sequence[str]) -> None:
    """Create the notes and the triggers of a collection that embeds these columns; CannotEmbed, or Conflict."""
    if not can_follow(conn, source.name):
        raise CannotEmbed(
            f"{source.name} is a virtual table, on which SQLite allows no triggers, so it cannot be kept up to date "
            "by itself"
        )
    notes = notes_of(collection, source)
    if conn.execute("select 1 from sqlite_master where name = ? collate nocase", (notes.table,)).fetchone():
        raise Conflict(f"A table {notes.table!r} is in the way: drop it, or choose another name for the collection")
    create_notes(conn, notes)
    create_triggers(conn, expected(conn, collection, source, notes, reads))


def remove_following(conn: sqlite3.Connection, collection: str) -> None:
    """Drop the triggers, then the notes: a trigger without its table would break every write to the person's."""
    drop_triggers(conn, collection)
    drop_notes(conn, collection)
