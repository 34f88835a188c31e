"""What the page of a collection tells of the changes of its table, and the switch for following them."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import asdict
from typing import Any

from .. import compat
from ..engine.collections import Collection, get_collection
from ..engine.errors import NotFound
from ..engine.follow.attending import mend_all
from ..engine.follow.following import follow, unfollow
from ..engine.follow.mending import is_sound
from ..engine.follow.standing import standing
from ..engine.follow.triggers import can_follow
from ..permissions import may_view_table
from ..wording import following_text
from ..worker import worker_for
from .visit import Visit, is_writable


def switch(conn: sqlite3.Connection, collection: Collection, on: bool | None, *, new: bool) -> Collection:
    """The collection, followed or not as somebody said; a new one is, where its table can be and nobody said."""
    if on is None:
        on = collection.follow or (new and can_follow(conn, collection.table))
    if on == collection.follow:
        return collection
    return (follow if on else unfollow)(conn, collection)


async def mend(visit: Visit) -> None:
    """Make lost triggers again before the collection is shown, and follow a renamed table: NotFound to who may not."""
    database, collection = visit.database, visit.collection
    if not (collection.follow and is_writable(database)):
        return
    if await database.execute_fn(lambda conn: is_sound(conn, collection)):
        return
    with contextlib.suppress(sqlite3.OperationalError):  # a lock: the worker will do it
        await compat.write(database, mend_all)
    worker_for(visit.datasette).wake()
    # By its name: a change of it may have taken its place by now.
    visit.collection = await database.execute_fn(lambda conn: get_collection(conn, collection.name))
    visit.table = visit.collection.table
    if not await may_view_table(visit.datasette, visit.actor, database.name, visit.table):
        raise NotFound(f"There is no collection {collection.name!r} in this database")


def following_json(conn: sqlite3.Connection, collection: Collection) -> dict[str, Any]:
    """How many rows wait since when, and the same in a sentence; both null where changes are not followed."""
    found = standing(conn, collection)
    return {
        "waiting": asdict(found.waiting) if found else None,
        "caught_up": found.caught_up if found else None,
        "following": following_text(found) if found else None,
    }
