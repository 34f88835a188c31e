"""The passages that matched: the texts of chunks, as their rows have them now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ..collections import Collection
from ..identifiers import quote
from ..rows import selected
from ..tables import SourceTable
from .matches import Match


def passages(
    conn: sqlite3.Connection, collection: Collection, source: SourceTable, matches: Iterable[Match]
) -> list[str | None]:
    """The text of the chunk of each match, None where its row matched as a whole.

    Asked in the state of the file in which the matches were found, it is what was embedded.
    """
    recipe = collection.recipe(source)
    where = " and ".join(f"t.{quote(key.name)} is ?" for key in source.keys)
    sql = f"select {', '.join(selected(recipe))} from {quote(source.name)} as t where {where}"
    found: list[str | None] = []
    for match in matches:
        row = conn.execute(sql, match.key).fetchone() if match.chunk else None
        found.append(recipe.text(row)[match.chunk.start : match.chunk.end] if match.chunk and row else None)
    return found
