"""Row keys as people type them: every part a text, or a JSON array as the matches have it. It comes with numpy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ..engine.errors import EmbedError, NotFound
from ..engine.identifiers import quote
from ..engine.search.matches import Key, parse_json, parse_part
from ..engine.tables import SourceTable


def find_row(conn: sqlite3.Connection, source: SourceTable, typed: tuple[str, ...]) -> Key:
    """The key of the row that was typed, as the row has it; NotFound where there is none."""
    names = [key.name for key in source.keys]
    where = " and ".join(f"{quote(name)} = ?" for name in names)
    sql = f"select {', '.join(map(quote, names))} from {quote(source.name)} where {where}"
    readings = [key for key in _readings(typed) if len(key) == len(names)]
    if not readings:
        raise EmbedError(
            f"The key of {source.name} is {', '.join(names)}: give {'one value' if len(names) == 1 else 'each'}, "
            "or all in a JSON array"
        )
    for key in readings:
        if (row := conn.execute(sql, key).fetchone()) is not None:
            return tuple(row)
    raise NotFound(f"{source.name} has no row {', '.join(typed)[:100]!r}")


def _readings(typed: tuple[str, ...]) -> Iterator[Key]:
    """What may be meant, likeliest first: SQLite compares a text with a number only where the column has a type."""
    yield typed
    yield tuple(map(_number, typed))
    given = parse_json(typed[0]) if len(typed) == 1 else None
    if isinstance(given, list):
        try:
            yield tuple(map(parse_part, given))
        except ValueError:
            return


def _number(text: str) -> object:
    """The number that is written so and not otherwise, else the text."""
    for kind in (int, float):
        try:
            if str(kind(text)) == text and abs(kind(text)) < 2**63:
                return kind(text)
        except ValueError:
            continue
    return text
