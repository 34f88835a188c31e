"""Reading a table's rows from a position on, never by OFFSET, each beside the hash of its stored vector."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .collections import Collection
from .contents import Content, Recipe, content_hash
from .identifiers import quote
from .tables import SourceTable

Position = tuple[object, ...]

NULL_KEY = "A column of this row's primary key is NULL, so no vector can be kept with it"
BROKEN_KEY = "A column of this row's primary key is text that is not UTF-8, so no vector can be kept with it"


class BrokenText(bytes):
    """A key's text that is not UTF-8: no Python text stands for it, and the walk must not lose its place by it."""


class Row(NamedTuple):
    """One row of the source as the walk meets it."""

    position: Position  # its rowid, or its key where there is none
    key: tuple[object, ...]
    content: Content | None  # None: nothing to embed
    content_hash: bytes | None
    stored_hash: bytes | None  # of the vector stored for this row, if any

    @property
    def key_fault(self) -> str | None:
        """Why no vector can be kept with this row, or None."""
        if None in self.key:
            return NULL_KEY
        return BROKEN_KEY if BrokenText in map(type, self.key) else None

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
        where = f"where ({', '.join(walk)}) > ({', '.join(map(_place, after))})" if after else ""
        texts = [f"case typeof({key}) when 'text' then cast({key} as blob) end" for key in keys if self._has_text]
        sql = (
            f"select {', '.join([*walk, *keys, 'v.content_hash', *texts, *selected(self.recipe)])}"
            f" from {quote(source.name)} as t left join {quote(self.vector_table)} as v"
            f" on {source.joined('t', 'v')} and v.chunk = 0"
            f" {where} order by {', '.join(walk)} limit {limit}"
        )
        end, width = len(walk) + len(keys), len(walk)
        for values in conn.execute(sql, after or ()):
            key = tuple(values[width:end])
            if texts:
                key = tuple(map(_exact, key, values[end + 1 :]))
            content = self.recipe.content(values[end + 1 + len(texts) :])
            yield Row(
                tuple(values[:width]) if source.rowid else key,
                key,
                content,
                None if content is None else content_hash(content),
                values[end],
            )

    @property
    def _has_text(self) -> bool:
        """Whether a key may be text: one that is the rowid is a number."""
        source = self.source
        return source.rowid is None or not (source.stable or source.keys[0].name == source.rowid)


def _place(value: object) -> str:
    return "+cast(? as text)" if isinstance(value, BrokenText) else "?"  # +: with no affinity, as a plain ? has none


def _exact(value: object, text: bytes | None) -> object:
    return value if text is None or not isinstance(value, str) or value.encode() == text else BrokenText(text)


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
    if isinstance(value, BrokenText):
        return {"$text": base64.b64encode(value).decode()}
    if isinstance(value, bytes):
        return {"$base64": True, "encoded": base64.b64encode(value).decode()}  # Datasette's own form
    if value in (float("inf"), float("-inf")):
        return {"$float": str(value)}
    return value


def from_json(value: object) -> object:
    """The value that to_json() gave."""
    if isinstance(value, dict) and "$text" in value:
        return BrokenText(base64.b64decode(value["$text"]))
    if isinstance(value, dict):
        return float(value["$float"]) if "$float" in value else base64.b64decode(value["encoded"])
    return value
