"""Looking after the triggers of a collection: what other programs have dropped or renamed is made right again."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..collections import Collection
from ..errors import EmbedError
from ..tables import SourceTable, source_table
from ..vector_table import check_key
from .notes import create_notes, drop_notes, notes_of, stored_notes
from .renaming import keep_names, renamed
from .shape import LOST, keep_shape
from .triggers import create_triggers, drop_triggers, expected, present, spelled


def is_sound(conn: sqlite3.Connection, collection: Collection) -> bool:
    """Whether mend() would find nothing to do; only reads."""
    if renamed(conn, collection) != collection.definition:
        return False
    found = followable(conn, collection)
    if found is None:
        return True
    source, reads = found
    notes = notes_of(collection.name, source)
    return stored_notes(conn, collection.name) == notes and present(conn, collection.name) == expected(
        conn, collection.name, source, notes, reads
    )


def mend(conn: sqlite3.Connection, collection: Collection) -> Collection:
    """Follow what was renamed and make again what is missing, within the caller's transaction.

    Where triggers were missing, changes went unnoted: the shape is LOST, until every row has been compared.
    """
    collection = keep_names(conn, collection)
    found = followable(conn, collection)
    if found is None:
        return collection
    source, reads = found
    notes, stored = notes_of(collection.name, source), stored_notes(conn, collection.name)
    wanted, triggers = expected(conn, collection.name, source, notes, reads), present(conn, collection.name)
    if triggers == wanted and stored == notes:
        return collection
    names = spelled(triggers, collection.name, notes) if stored == notes else None
    drop_triggers(conn, collection.name)
    if stored != notes:
        drop_notes(conn, collection.name)
        create_notes(conn, notes)
    create_triggers(conn, wanted)
    if names is None or names.table != source.name:
        keep_shape(conn, collection.id, LOST)
    return collection


def followable(conn: sqlite3.Connection, collection: Collection) -> tuple[SourceTable, Sequence[str]] | None:
    """The table and the columns to watch; None where the table, one of them, or the key is not there any more."""
    try:
        return watched(conn, collection)
    except EmbedError:
        return None


def watched(conn: sqlite3.Connection, collection: Collection) -> tuple[SourceTable, Sequence[str]]:
    """The same; EmbedError says what is not there."""
    source = source_table(conn, collection.table)
    check_key(conn, collection.vector_table, source)
    return source, collection.recipe(source).reads
