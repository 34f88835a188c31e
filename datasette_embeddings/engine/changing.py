"""Changing how a collection is embedded: a successor grows beside it, and takes its place once it is complete."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from . import jobs
from .chunking import Chunking
from .collections import (
    Collection,
    Definition,
    collection_by_id,
    define,
    erase,
    every_collection,
    get_collection,
    insert_collection,
    new_token,
)
from .errors import Conflict
from .follow.following import follow, move_following
from .follow.renaming import keep_names, renamed
from .identifiers import quote
from .models import EmbeddingModel
from .schema import ensure_schema
from .transactions import transaction


def successor_of(conn: sqlite3.Connection, collection: Collection) -> Collection | None:
    """What is to replace the collection, or None where it is not being changed."""
    return next((other for other in every_collection(conn) if other.replaces == collection.id), None)


def begin_change(
    conn: sqlite3.Connection, name: str, definition: Definition, *, plugin: str | None = None, anew: bool = False
) -> Collection:
    """A successor of the collection, embedded as this definition says; the collection serves until it is complete.

    `anew`: no vector that is stored already is taken over, because the model has other weights than it had.
    Conflict where the collection is being changed already, or where there is nothing to change.
    """
    ensure_schema(conn)
    with transaction(conn):
        collection = keep_names(conn, get_collection(conn, name))
        if successor_of(conn, collection) is not None:
            raise Conflict(f"{collection.name!r} is being changed already: cancel that first")
        if definition.table != collection.table:
            raise Conflict(f"{collection.name!r} belongs to {collection.table}: another table needs another collection")
        if definition == collection.definition and not anew:
            raise Conflict(f"{collection.name!r} is embedded in just this way: there is nothing to change")
        made = insert_collection(conn, definition, _free_name(conn, collection.name), plugin)
        conn.execute(
            "update _embed_collections set replaces = ?, fingerprint = ? where id = ?",
            (collection.id, b"" if anew else None, made.id),
        )
        return follow(conn, made) if collection.follow else collection_by_id(conn, made.id)


def changed(
    conn: sqlite3.Connection,
    collection: Collection,
    model: EmbeddingModel,
    columns: Sequence[str] | None = None,
    template: str | None = None,
    **chunking: Chunking | None,
) -> Definition:
    """Its definition by this model, with what was said of columns, template and `chunking`.

    A template of "" takes the present one away.
    """
    present = renamed(conn, collection)  # as its table and columns are called by now
    dressed = present.template if template is None else template
    cut = {"chunking": present.chunking, **chunking}
    return define(conn, present.table, columns or present.columns, dressed, model, **cut)


def cancel_change(conn: sqlite3.Connection, collection: Collection) -> None:
    """Remove the successor with all that was embedded for it: the collection stays as it is."""
    with transaction(conn):
        successor = successor_of(conn, collection)
        if successor is None:
            raise Conflict(f"{collection.name!r} is not being changed")
        erase(conn, successor)


def accept_change(conn: sqlite3.Connection, collection: Collection) -> Collection:
    """Make a change that came to its end with rows that failed: those will have no vector."""
    with transaction(conn):
        successor = successor_of(conn, collection)
        job = jobs.latest_job(conn, successor.id) if successor else None
        if successor is None or job is None or job.status != jobs.FINISHED:
            raise Conflict(f"There is no change of {collection.name!r} that has come to its end")
        return take_place(conn, successor)


def take_place(conn: sqlite3.Connection, successor: Collection) -> Collection:
    """Put the successor in the place of the collection that it replaces, within one transaction; it keeps its id."""
    assert successor.replaces is not None
    with _plain_renaming(conn), transaction(conn):
        old = collection_by_id(conn, successor.replaces)
        erase(conn, old)
        conn.execute(
            "update _embed_collections set name = ?, replaces = null, token = ?, created = ? where id = ?",
            (old.name, new_token(), old.created, successor.id),
        )
        present = collection_by_id(conn, successor.id)
        _rename(conn, successor.vector_table, present.vector_table)
        _rename(conn, successor.codes.table, present.codes.table)
        move_following(conn, successor, present)
        return present


def is_complete(conn: sqlite3.Connection, successor: Collection) -> bool:
    """True where no row failed, so that nothing is lost by putting it in the place of the other."""
    sql = "select 1 from _embed_errors where collection_id = ? limit 1"
    return conn.execute(sql, (successor.id,)).fetchone() is None


def _rename(conn: sqlite3.Connection, before: str, after: str) -> None:
    conn.execute(f"alter table {quote(before)} rename to {quote(after)}")


@contextmanager
def _plain_renaming(conn: sqlite3.Connection) -> Iterator[None]:
    """Otherwise SQLite refuses to rename a table as long as any view of the file, whoever made it, is broken."""
    was_on = conn.execute("pragma legacy_alter_table").fetchone()[0]
    conn.execute("pragma legacy_alter_table = on")
    try:
        yield
    finally:
        conn.execute(f"pragma legacy_alter_table = {was_on}")


def _free_name(conn: sqlite3.Connection, name: str) -> str:
    taken = {collection.name.lower() for collection in every_collection(conn)}
    names = (f"{name} (changed{number})" for number in ("", *(f" {n}" for n in range(2, len(taken) + 3))))
    return next(free for free in names if free.lower() not in taken)
