"""Following a rename: SQLite writes the new names of a table and its columns into its triggers, where we read them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..collections import Collection, Definition, collection_by_id
from ..contents import CHUNK, PLACEHOLDER
from ..errors import EmbedError
from ..identifiers import quote
from ..tables import SourceTable, source_table
from ..vector_table import key_columns
from .notes import stored_notes
from .triggers import Spelling, drop_triggers, present, spelled


def renamed(conn: sqlite3.Connection, collection: Collection) -> Definition:
    """The definition by the names that the table and its columns have now, as far as the triggers tell them."""
    names = _spelled(conn, collection)
    if names is None:
        return collection.definition
    definition = replace(collection.definition, table=names.table)
    if definition.table.lower() != collection.table.lower() and _is_table(conn, collection.table):
        return collection.definition  # a table of the old name goes before
    reads = _reads(definition)
    return _respelled(definition, dict(zip(map(str.lower, reads), names.watched, strict=False)))


def keep_names(conn: sqlite3.Connection, collection: Collection) -> Collection:
    """Keep the names that renamed() gave, and those of the key's columns; within the caller's transaction."""
    names, definition = _spelled(conn, collection), renamed(conn, collection)
    if definition != collection.definition:
        conn.execute(
            "update _embed_collections set source_table = ?, columns = ?, template = ? where id = ?",
            (definition.table, json.dumps(definition.columns), definition.template, collection.id),
        )
    try:
        source = source_table(conn, definition.table)
    except EmbedError:
        return collection
    if names and names.keys == tuple(key.name for key in source.keys):
        _rename_keys(conn, collection, source)
    return collection_by_id(conn, collection.id)


def _spelled(conn: sqlite3.Connection, collection: Collection) -> Spelling | None:
    notes = stored_notes(conn, collection.name)
    return spelled(present(conn, collection.name), collection.name, notes) if notes else None


def _is_table(conn: sqlite3.Connection, name: str) -> bool:
    sql = "select 1 from sqlite_master where type = 'table' and name = ? collate nocase"
    return conn.execute(sql, (name,)).fetchone() is not None


def _reads(definition: Definition) -> list[str]:
    """The columns that the definition names, in the order of its recipe, without looking at the table."""
    reads = list(definition.columns)
    for part in PLACEHOLDER.split(definition.template or "")[1::2]:
        name = part.removeprefix("row.")
        is_chunk = part == CHUNK and definition.columns
        if not is_chunk and name.lower() not in map(str.lower, reads):
            reads.append(name)
    return reads


def _respelled(definition: Definition, names: Mapping[str, str]) -> Definition:
    """The definition with each column under its new name; `names` has the old ones in lower case."""
    columns = tuple(names.get(column.lower(), column) for column in definition.columns)
    if definition.template is None:
        return replace(definition, columns=columns)
    parts = PLACEHOLDER.split(definition.template)
    for index in range(1, len(parts), 2):
        parts[index] = _placeholder(parts[index], names, is_chunk=parts[index] == CHUNK and bool(columns))
    return replace(definition, columns=columns, template="".join(parts))


def _placeholder(name: str, names: Mapping[str, str], *, is_chunk: bool) -> str:
    old = name.removeprefix("row.")
    new = old if is_chunk else names.get(old.lower(), old)
    if new.lower() == old.lower():
        return f"{{{{ {name} }}}}"
    return f"{{{{ row.{new} }}}}" if new == CHUNK else f"{{{{ {new} }}}}"


def _rename_keys(conn: sqlite3.Connection, collection: Collection, source: SourceTable) -> None:
    before, after = key_columns(conn, collection.vector_table), [key.stored for key in source.keys]
    if before == after or len(before) != len(after):
        return
    drop_triggers(conn, collection.name)
    notes = stored_notes(conn, collection.name)
    for table in (collection.vector_table, *([notes.table] if notes else [])):
        _rename_columns(conn, table, before, after)


def _rename_columns(conn: sqlite3.Connection, table: str, before: Sequence[str], after: Sequence[str]) -> None:
    """By way of names that nobody has: two columns may exchange theirs."""
    between = [f"_embed_key_{number}" for number in range(len(before))]
    for old, new in [*zip(before, between, strict=True), *zip(between, after, strict=True)]:
        conn.execute(f"alter table {quote(table)} rename column {quote(old)} to {quote(new)}")
