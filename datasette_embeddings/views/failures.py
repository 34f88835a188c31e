"""The rows of a collection that could not be embedded, with their messages and the way to each row."""

from __future__ import annotations

import sqlite3
from typing import Any

from datasette.utils import tilde_encode

from ..engine.collections import Collection
from ..engine.errors import EmbedError
from ..engine.rows import key_from_json
from ..engine.tables import KeyColumn, source_table
from .words import without_folders

LIMIT = 100  # rows; of more than these, only how many


def failures(conn: sqlite3.Connection, collection: Collection) -> dict[str, Any]:
    """How many rows failed, and the first of them; `row_path` is None where no address leads to the row."""
    rows = conn.execute(
        "select row_key, message, at from _embed_errors where collection_id = ? order by rowid limit ?",
        (collection.id, LIMIT),
    ).fetchall()
    (total,) = conn.execute("select count(*) from _embed_errors where collection_id = ?", (collection.id,)).fetchone()
    try:
        keys = source_table(conn, collection.table).keys
    except EmbedError:  # the table is gone
        keys = ()
    return {"total": total, "rows": [_failure(keys, *row) for row in rows]}


def _failure(keys: tuple[KeyColumn, ...], row_key: str, message: str, at: str) -> dict[str, Any]:
    values = key_from_json(row_key)
    return {
        "key": [f"{len(value)} bytes" if isinstance(value, bytes) else value for value in values],
        "row_path": _row_path(keys, values),
        "message": without_folders(message),
        "at": at,
    }


def _row_path(keys: tuple[KeyColumn, ...], values: tuple[object, ...]) -> str | None:
    """The row's part of its address in Datasette, which has none for NULL, BLOBs and a rowid of another name."""
    if len(keys) != len(values) or any(value is None or isinstance(value, bytes) for value in values):
        return None
    if any(key.stored == "rowid" and key.name != "rowid" for key in keys):
        return None
    return ",".join(tilde_encode(str(value)) for value in values)
