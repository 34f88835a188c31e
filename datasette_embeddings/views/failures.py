"""The rows of a collection that could not be embedded, with their messages and the way to each row."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from datasette.utils import tilde_encode

from ..engine.collections import Collection, utc
from ..engine.errors import EmbedError
from ..engine.rows import key_from_json
from ..engine.tables import KeyColumn, source_table
from .words import without_folders

PAGE = 100  # rows


def failures(conn: sqlite3.Connection, collection: Collection, after: int = 0) -> dict[str, Any]:
    """How many rows failed, and a page of them: those after what `next` said, the `first` of them being the nth.

    `row_path` is None where no address leads to the row.
    """
    rows = conn.execute(
        "select rowid, row_key, message, at, attempts, retry_at from _embed_errors"
        " where collection_id = ? and rowid > ? order by rowid limit ?",
        (collection.id, after, PAGE + 1),
    ).fetchall()
    total, before = conn.execute(
        "select count(*), count(*) filter (where rowid <= ?) from _embed_errors where collection_id = ?",
        (after, collection.id),
    ).fetchone()
    try:
        keys = source_table(conn, collection.table).keys
    except EmbedError:  # the table is gone
        keys = ()
    return {
        "total": total,
        "first": before + 1,
        "rows": [_failure(keys, *row) for _, *row in rows[:PAGE]],
        "next": rows[PAGE - 1][0] if len(rows) > PAGE else None,
    }


def _failure(
    keys: tuple[KeyColumn, ...], row_key: str, message: str, at: str, attempts: int, retry_at: float | None
) -> dict[str, Any]:
    values = key_from_json(row_key)
    return {
        "key": [f"{len(value)} bytes" if isinstance(value, bytes) else value for value in values],
        "row_path": _row_path(keys, values),
        "message": without_folders(message),
        "at": at,
        "attempts": attempts,
        "retry_at": None if retry_at is None else utc(max(retry_at, time.time())),
    }


def _row_path(keys: tuple[KeyColumn, ...], values: tuple[object, ...]) -> str | None:
    """The row's part of its address in Datasette, which has none for NULL, BLOBs and a rowid of another name."""
    if len(keys) != len(values) or any(value is None or isinstance(value, bytes) for value in values):
        return None
    if any(key.stored == "rowid" and key.name != "rowid" for key in keys):
        return None
    return ",".join(tilde_encode(str(value)) for value in values)
