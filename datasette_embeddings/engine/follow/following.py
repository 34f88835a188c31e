"""Following a collection: switched on and off, and taken along where another collection takes its place."""

from __future__ import annotations

import sqlite3

from ..collections import Collection, collection_by_id, every_collection
from ..identifiers import quote
from ..jobs.noted import cancel_noted
from ..tables import source_table
from ..transactions import transaction
from .mending import followable
from .notes import notes_of
from .shape import UNWATCHED, keep_shape
from .switch import add_following, remove_following
from .triggers import create_triggers, drop_triggers, expected


def follow(conn: sqlite3.Connection, collection: Collection) -> Collection:
    """Note every change of the collection's table from now on, for what is to replace the collection too.

    What changed before is not known: the next pass over every row will find it. CannotEmbed for a virtual table.
    """
    with transaction(conn):
        for each in _with_successor(conn, collection):
            if not each.follow:
                source = source_table(conn, each.table)
                add_following(conn, each.name, source, each.recipe(source).reads)
                keep_shape(conn, each.id, UNWATCHED)
                _set(conn, each, True)
        return collection_by_id(conn, collection.id)


def unfollow(conn: sqlite3.Connection, collection: Collection) -> Collection:
    """Note changes no longer, and forget those that wait; a job that was about them is cancelled."""
    with transaction(conn):
        for each in _with_successor(conn, collection):
            remove_following(conn, each.name)
            cancel_noted(conn, each.id)
            _set(conn, each, False)
        return collection_by_id(conn, collection.id)


def move_following(conn: sqlite3.Connection, before: Collection, after: Collection) -> None:
    """Take the triggers and the notes along to the collection's new name, within the caller's transaction."""
    found = followable(conn, after)
    if found is None or not after.follow:
        return remove_following(conn, before.name)  # what cannot be watched now is mended once it can
    source, reads = found
    notes = notes_of(after.name, source)
    drop_triggers(conn, before.name)
    conn.execute(f"alter table {quote(notes_of(before.name, source).table)} rename to {quote(notes.table)}")
    create_triggers(conn, expected(conn, after.name, source, notes, reads))


def _with_successor(conn: sqlite3.Connection, collection: Collection) -> list[Collection]:
    return [each for each in every_collection(conn) if collection.id in (each.id, each.replaces)]


def _set(conn: sqlite3.Connection, collection: Collection, on: bool) -> None:
    conn.execute("update _embed_collections set follow = ? where id = ?", (on, collection.id))
