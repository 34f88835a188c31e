"""What the worker and `sync` do for followed collections: look whether anything waits, mend, and make the jobs."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from .. import jobs
from ..collections import Collection, every_collection
from ..identifiers import quote
from ..jobs.noted import create_noted
from ..sources import schema_version
from ..states import one_state
from ..tables import SourceTable
from ..transactions import transaction
from .mending import followable, is_sound, mend
from .notes import Notes, count_notes, has_notes, stored_notes
from .sampling import changed_unnoted
from .shape import LOST, UNWATCHED, shape_of, stored_shape

LOCKED_SECONDS = 30  # after which a job that met another program's lock is tried again
COMPARED = ": this pass compares every row"
FEW = 1000  # notes: so many are dealt with one by one, however small the table is


def followed(conn: sqlite3.Connection) -> list[Collection]:
    """The collections that are kept up to date, those that grow to replace another one among them."""
    return [collection for collection in every_collection(conn) if collection.follow]


@dataclass(frozen=True)
class Look:
    """What a look at a file has found."""

    is_due: bool  # attend() would do something
    checked: int | None  # the schema version at which all triggers are in order; None where a job is in the way of that


def look(conn: sqlite3.Connection, checked: int | None) -> Look:
    """See whether anything waits, and unless the schema is as it was when `checked`, look at triggers and tables too.

    Only reads.
    """
    with one_state(conn):
        version = schema_version(conn)
        looks = [_look(conn, collection, version != checked) for collection in followed(conn)]
    is_settled = all(settled for _, settled in looks)
    return Look(any(is_due for is_due, _ in looks), version if is_settled else None)


def _look(conn: sqlite3.Connection, collection: Collection, thorough: bool) -> tuple[bool, bool]:
    """Whether attend_to() would do something, and whether from now on its notes are all that is to be looked at."""
    if thorough and not is_sound(conn, collection):
        return True, False
    due = _due(conn, collection, thorough) if thorough or _has_waiting(conn, collection) else None
    if due is None:
        return False, True
    return _is_free(conn, collection), due[0] == jobs.NOTED


def mend_all(conn: sqlite3.Connection) -> None:
    """Mend what is broken, where anything is; whoever attends next makes the jobs for that."""
    if not all(is_sound(conn, collection) for collection in followed(conn)):
        with transaction(conn):
            for collection in followed(conn):
                mend(conn, collection)


def attend(conn: sqlite3.Connection, *, thorough: bool = True) -> None:
    """Mend what is broken, and make a job for what waits; `thorough` unless the last look says what was checked."""
    with transaction(conn):
        for collection in followed(conn):
            attend_to(conn, collection, thorough=thorough)


def attend_to(conn: sqlite3.Connection, collection: Collection, *, thorough: bool = True) -> None:
    """The same for one collection, unless a job of it is in the way."""
    with transaction(conn):
        collection = mend(conn, collection)
        due = _due(conn, collection, thorough)
        if due is None or not _is_free(conn, collection):
            return
        kind, cause = due
        if kind == jobs.NOTED:
            create_noted(conn, collection.id)
        else:
            jobs.create_job(conn, collection.id, cause=cause)


def _is_free(conn: sqlite3.Connection, collection: Collection) -> bool:
    """Whether its newest job has finished: what somebody paused or cancelled, or what failed, is not begun again.

    What another program's lock has paused is, after a while: nobody asked for that. A collection that was imported has
    no job yet.
    """
    row = conn.execute(
        "select status = 'finished' or status = 'paused' and kind = 'noted' and reason like '%is locked%'"
        f" and julianday(updated) < julianday('now', '-{LOCKED_SECONDS} seconds')"
        " from _embed_jobs where collection_id = ? order by id desc limit 1",
        (collection.id,),
    ).fetchone()
    return row is None or bool(row[0])


def _has_waiting(conn: sqlite3.Connection, collection: Collection) -> bool:
    notes = stored_notes(conn, collection.name)
    return notes is not None and has_notes(conn, notes)


def _due(conn: sqlite3.Connection, collection: Collection, thorough: bool) -> tuple[str, str | None] | None:
    """The kind of job that is due, and its cause in a sentence; None where nothing is, or where nothing can be done."""
    found, notes = followable(conn, collection), stored_notes(conn, collection.name)
    if found is None or notes is None:
        return None
    source, _ = found
    shape = stored_shape(conn, collection.id)
    if shape != shape_of(conn, source):
        return jobs.ROWS, _cause(source, shape)
    if thorough and changed_unnoted(conn, collection, source, notes):
        return jobs.ROWS, f"Rows of {source.name} differ from their vectors, and no change of them was noted{COMPARED}"
    if not has_notes(conn, notes):
        return None
    if _is_flood(conn, source, notes):
        return jobs.ROWS, f"More changes were noted than {source.name} has rows{COMPARED}"
    return jobs.NOTED, None


def _cause(source: SourceTable, shape: str | None) -> str:
    name = source.name
    if shape == LOST:
        return f"The triggers on {name} were gone and were made again{COMPARED}"
    if shape == UNWATCHED:
        return f"The changes of {name} were not noted before{COMPARED}"
    if not source.has_key:
        return f"The file was vacuumed or its schema changed, and {name} has no primary key{COMPARED}"
    return f"The table {name} was changed or made anew{COMPARED}"


def _is_flood(conn: sqlite3.Connection, source: SourceTable, notes: Notes) -> bool:
    """Whether to look at every row is less work than to look at every note."""
    count = count_notes(conn, notes)
    sql = f"select 1 from {quote(source.name)} limit 1 offset ?"
    return count > FEW and conn.execute(sql, (count - 1,)).fetchone() is None
