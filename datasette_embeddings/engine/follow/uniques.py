"""Unique indexes beside the key: `insert or replace` deletes the rows in its way, and fires no delete trigger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..tables import SourceTable

Unique = tuple[tuple[str, str], ...]  # the columns of a constraint, each with its collation


def watchable(conn: sqlite3.Connection, source: SourceTable) -> list[Unique]:
    """Those of which a trigger can find the rows that are in the way, before they are deleted."""
    return [unique for unique in _uniques(conn, source) if unique]


def needs_sweep(conn: sqlite3.Connection, source: SourceTable) -> bool:
    """Whether rows may be deleted that no trigger notes, so that vectors are to be looked through for them."""
    return not all(_uniques(conn, source))


def _uniques(conn: sqlite3.Connection, source: SourceTable) -> Iterator[Unique]:
    """Each unique index that may delete another row than the one of the same key; empty where no trigger may name it.

    A trigger must not name the columns of `create unique index`: the person may drop that and then a column of it,
    which SQLite refuses as long as a trigger names it. The columns of a constraint cannot be dropped.
    """
    generated = {column.name for column in source.columns if column.generated}
    key = {part.name for part in source.keys}
    for index, origin, partial in conn.execute(
        "select name, origin, partial from pragma_index_list(?) where \"unique\" and origin <> 'pk'", (source.name,)
    ).fetchall():
        columns = conn.execute("select name, coll from pragma_index_xinfo(?) where key", (index,)).fetchall()
        names = {name for name, _ in columns}
        if not partial and key <= names:
            continue  # whoever is in the way has the same key
        is_plain = origin == "u" and not names & generated
        yield tuple((str(name), str(collation)) for name, collation in columns) if is_plain else ()
