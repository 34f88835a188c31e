"""Reading a table's rows from a position on, never by OFFSET, each beside the hash of its stored vector."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .collections import Collection
from .contents import Content, Recipe, content_hash
from .identifiers import quote
from .tables import SourceTable

Position = tuple[object, ...]
Key = tuple[object, ...]

NULL_KEY = "A column of this row's primary key is NULL, so no vector can be kept with it"
BROKEN_KEY = "A column of this row's primary key is text that is not UTF-8, so no vector can be kept with it"


class BrokenText(bytes):
    """A key's text that is not UTF-8: no Python text stands for it, and the walk must not lose its place by it."""


class Row(NamedTuple):
    """One row of the source as the walk meets it."""

    position: Position  # its rowid, or its key where there is none; empty where a listed row is gone
    key: Key
    content: Content | None  # None: nothing to embed
    content_hash: bytes | None
    stored_hash: bytes | None  # of the whole content that the row's vectors were made of, if it has any
    values: Sequence[object] = ()  # as a recipe takes them

    @property
    def key_fault(self) -> str | None:
        """Why no vector can be kept with this row, or None."""
        if None in self.key:
            return NULL_KEY
        return BROKEN_KEY if BrokenText in map(type, self.key) else None

    @property
    def is_gone(self) -> bool:
        """True where there is no row of this key."""
        return not self.position

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
        walk = ", ".join(f"t.{quote(name)}" for name in self.source.walk)
        where = f"where ({walk}) > ({', '.join(map(_place, after))})" if after else ""
        return self._read(conn, f"{where} order by {walk} limit {limit}", after or ())

    def find(self, conn: sqlite3.Connection, key: Key) -> Iterator[Row]:
        """The row of a key, if it is there; of a key with a NULL in it there may be several."""
        pairs = zip(self.source.keys, key, strict=True)
        is_key = (f"t.{quote(part.name)} is {_place(value)} collate {quote(part.collation)}" for part, value in pairs)
        return self._read(conn, f"where {' and '.join(is_key)}", key)

    def _read(self, conn: sqlite3.Connection, where: str, values: Sequence[object]) -> Iterator[Row]:
        source = self.source
        width = len(source.walk)
        end = width + len(source.keys)
        has_text = self._has_text
        contents = end + 1 + (len(source.keys) if has_text else 0)
        for read in conn.execute(f"{self._select} {where}", values):
            key = read[width:end]
            if has_text:
                key = tuple(map(exact, key, read[end + 1 : contents]))
            made_of = read[contents:]
            content = self.recipe.content(made_of)
            yield Row(
                read[:width] if source.rowid else key,
                key,
                content,
                None if content is None else content_hash(content),
                read[end],
                made_of,
            )

    @cached_property
    def _select(self) -> str:
        source = self.source
        walk = [f"t.{quote(name)}" for name in source.walk]
        keys = [f"t.{quote(key.name)}" for key in source.keys]
        texts = [as_text(key) for key in keys if self._has_text]
        selection = [*walk, *keys, "coalesce(v.row_hash, v.content_hash)", *texts, *selected(self.recipe)]
        return (
            f"select {', '.join(selection)}"
            f" from {quote(source.name)} as t left join {quote(self.vector_table)} as v"
            f" on {source.joined('t', 'v')} and v.chunk = 0"
        )

    @property
    def _has_text(self) -> bool:
        """Whether a key may be text: one that is the rowid is a number."""
        source = self.source
        return source.rowid is None or not (source.stable or source.keys[0].name == source.rowid)


def _place(value: object) -> str:
    return "+cast(? as text)" if isinstance(value, BrokenText) else "?"  # +: with no affinity, as a plain ? has none


def as_text(column: str) -> str:
    """The expression whose value exact() wants beside that of a column that may hold text."""
    return f"case typeof({column}) when 'text' then cast({column} as blob) end"


def exact(value: object, text: bytes | None) -> object:
    """A value as it is stored: BrokenText where no Python text stands for it; `text` is what as_text() gave."""
    return value if text is None or not isinstance(value, str) or value.encode() == text else BrokenText(text)


def read_all(conn: sqlite3.Connection, source: SourceTable, recipe: Recipe) -> sqlite3.Cursor:
    """What a recipe takes of every row, in order of the walk."""
    walk = ", ".join(f"t.{quote(name)}" for name in source.walk)
    return conn.execute(f"select {', '.join(selected(recipe))} from {quote(source.name)} as t order by {walk}")


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
