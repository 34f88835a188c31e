"""How a collection stands with the changes of its table: what pages, JSON and commands tell."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ..collections import Collection
from ..errors import EmbedError
from ..jobs.noted import last_noted
from .mending import is_sound, watched
from .notes import Waiting, stored_notes, waiting
from .shape import LOST, stored_shape


@dataclass(frozen=True)
class Standing:
    """Of a collection that is kept up to date."""

    waiting: Waiting
    caught_up: str | None  # when noted rows were last dealt with, in UTC
    remark: str | None  # a sentence, where changes went unnoted


def standing(conn: sqlite3.Connection, collection: Collection) -> Standing | None:
    """How it stands; None where it is not kept up to date. Only reads."""
    if not collection.follow:
        return None
    notes = stored_notes(conn, collection.name)
    return Standing(
        waiting(conn, notes) if notes else Waiting(0, None),
        last_noted(conn, collection.id),
        _remark(conn, collection),
    )


def _remark(conn: sqlite3.Connection, collection: Collection) -> str | None:
    try:
        watched(conn, collection)
    except EmbedError as error:
        return f"Nothing can be kept up to date: {error}"
    gone = f"The triggers that note the changes of {collection.table} were gone"
    if not is_sound(conn, collection):
        return f"{gone}: rows that changed since are not known"
    if stored_shape(conn, collection.id) == LOST:
        return f"{gone} and were made again: every row is going to be compared"
    return None
