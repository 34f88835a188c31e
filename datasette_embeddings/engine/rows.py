"""Reading a table's rows from a position on, never by OFFSET, each beside the hash of its stored vector."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .collections import Collection
from .contents import Content, Recipe, content_hash
from .identifiers import quote
from .tables import SourceTable

Position = tuple[object, ...]


@dataclass(frozen=True)
class Row:
    """One row of the source as the walk meets it."""

    position: Position  # its rowid, or its key where there is none
    key: tuple[object, ...]
    content: Content | None  # None: nothing to embed
    content_hash: bytes | None
    stored_hash: bytes | None  # of the vector stored for this row, if any

    @property
    def is_current(self) -> bool:
        """True where the stored vector is that of the present content."""
        return self.content_hash is not None and self.content_hash == self.stored_hash


@dataclass(frozen=True)
class Reader:
    """What to select from a source to walk one collection's rows."""

    source: SourceTable
    recipe: Recipe
    vector_table: str

    def rows(self, conn: sqlite3.Connection, after: Position | None, limit: int = -1) -> Iterator[Row]:
        """The rows after a position, in order of the walk."""
        source = self.source
        walk = [f"t.{quote(name)}" for name in source.walk]
        keys = [f"t.{quote(key.name)}" for key in source.keys]
        where = f"where ({', '.join(walk)}) > ({', '.join('?' * len(walk))})" if after else ""
        sql = (
            f"select {', '.join([*walk, *keys, 'v.content_hash', *selected(self.recipe)])}"
            f" from {quote(source.name)} as t left join {quote(self.vector_table)} as v"
            f" on {source.joined('t', 'v')} and v.chunk = 0"
            f" {where} order by {', '.join(walk)} limit {limit}"
        )
        end, width = len(walk) + len(keys), len(walk)
        for values in conn.execute(sql, after or ()):
            content = self.recipe.content(values[end + 1 :])
            yield Row(
                tuple(values[:width]),
                tuple(values[width:end]),
                content,
                None if content is None else content_hash(content),
                values[end],
            )


def selected(recipe: Recipe) -> list[str]:
    """The expressions to select from the source (alias `t`) that give a recipe its values."""
    return [_value(f"t.{quote(column)}", recipe.binary) for column in recipe.reads]


def _value(column: str, binary: bool) -> str:
    text = f"cast({column} as text)"
    return f"case typeof({column}) when 'blob' then {column} else {text} end" if binary else text


def reader(source: SourceTable, collection: Collection) -> Reader:
    """The reader of a collection's rows; UnknownColumn where the table has lost a column."""
    return Reader(source, collection.recipe(source), collection.vector_table)


def count_rows(conn: sqlite3.Connection, table: str) -> int:
    """How many rows the table has."""
    return int(conn.execute(f"select count(*) from {quote(table)}").fetchone()[0])


def key_json(values: Sequence[object]) -> str:
    """Key values or a position as a JSON array; binary and what JSON has no number for are objects."""
    return json.dumps([to_json(value) for value in values], ensure_ascii=False)


def key_from_json(text: str) -> tuple[object, ...]:
    """The values that key_json() wrote."""
    return tuple(from_json(value) for value in json.loads(text))


def to_json(value: object) -> object:
    """A key value as JSON can hold it."""
    if isinstance(value, bytes):
        return {"$base64": True, "encoded": base64.b64encode(value).decode()}  # Datasette's own form
    if value in (float("inf"), float("-inf")):
        return {"$float": str(value)}
    return value


def from_json(value: object) -> object:
    """The value that to_json() gave."""
    if isinstance(value, dict):
        return float(value["$float"]) if "$float" in value else base64.b64decode(value["encoded"])
    return value
