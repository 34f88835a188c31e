"""Collections: one table, embedded one way, by one model."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from .chunking import AUTOMATIC, Chunking, chunking_of, stored_chunking
from .code_table import Codes, create_code_table, drop_code_table
from .contents import Recipe, make_recipe
from .errors import CannotEmbed, Conflict, EmbedError, NotFound
from .follow.switch import remove_following
from .measures import feasible_chunking
from .models import EmbeddingModel, registered_name
from .schema import PREFIX, drop_schema, ensure_schema, has_schema
from .tables import SourceTable, binary_columns, source_table
from .transactions import transaction
from .vector_table import create_vector_table, drop_vector_table

_FIELDS = (
    "id, name, source_table, columns, template, model, binary, dimensions, token, plugin, created,"
    " chunking, follow, fingerprint, replaces"
)


@dataclass(frozen=True)
class Definition:
    """What two collections must share to be the same one."""

    table: str
    columns: tuple[str, ...]
    template: str | None
    model: str
    binary: bool = False
    chunking: Chunking | None = None  # None: no text is cut

    def recipe(self, source: SourceTable) -> Recipe:
        """How a row of the source becomes its content."""
        return make_recipe(source.name, source.names, self.columns, self.template, binary=self.binary)

    def is_met_by(self, other: Definition) -> bool:
        """Whether who asks for this one is content with the other: with any chunking, where none was asked for."""
        return self.chunking in (AUTOMATIC, other.chunking) and replace(other, chunking=self.chunking) == self


@dataclass(frozen=True)
class Collection:
    """A collection as stored."""

    id: int
    name: str
    definition: Definition
    dimensions: int | None  # None until the first vector
    token: int
    plugin: str | None  # that registered the model
    created: str
    follow: bool = False  # triggers note the rows that change
    fingerprint: bytes | None = None  # a probe text's vector, by which a model with other weights is known
    replaces: int | None = None  # the collection whose place it takes once it is complete

    @property
    def table(self) -> str:
        """The source table."""
        return self.definition.table

    @property
    def model(self) -> str:
        """The model's id."""
        return self.definition.model

    @property
    def vector_table(self) -> str:
        """The table that holds its vectors."""
        return f"{PREFIX}vectors_{self.name}"

    @property
    def codes(self) -> Codes:
        """Its packed codes."""
        return Codes(self.id, f"{PREFIX}codes_{self.name}", self.vector_table, self.dimensions or 0)

    def recipe(self, source: SourceTable) -> Recipe:
        """How a row of the source becomes its content."""
        return self.definition.recipe(source)


def list_collections(conn: sqlite3.Connection) -> list[Collection]:
    """The collections of the file, by name, without those that are to replace one of them."""
    return [collection for collection in every_collection(conn) if collection.replaces is None]


def every_collection(conn: sqlite3.Connection) -> list[Collection]:
    """All that is stored as a collection, by name; none where our tables are not there."""
    if not has_schema(conn):
        return []
    rows = conn.execute(f"select {_FIELDS} from _embed_collections order by name").fetchall()
    return [_collection(row) for row in rows]


def get_collection(conn: sqlite3.Connection, name: str) -> Collection:
    """The collection of that name, ignoring case, or NotFound."""
    for collection in list_collections(conn):
        if collection.name.lower() == name.lower():
            return collection
    raise NotFound(f"There is no collection {name!r} in this database")


def collection_by_id(conn: sqlite3.Connection, collection_id: int) -> Collection:
    """The collection of that id, or NotFound."""
    row = conn.execute(f"select {_FIELDS} from _embed_collections where id = ?", (collection_id,)).fetchone()
    if row is None:
        raise NotFound("This collection was deleted")
    return _collection(row)


def define(
    conn: sqlite3.Connection,
    table: str,
    columns: Sequence[str] | None,
    template: str | None,
    model: EmbeddingModel,
    chunking: Chunking | None = AUTOMATIC,
) -> Definition:
    """Check all that a person asked for against the table and the model, before anything is written."""
    source = source_table(conn, table)
    template = template if template and template.strip() else None
    recipe = make_recipe(source.name, source.names, columns or (), template)
    spelled = recipe.reads[: recipe.joined]
    binary = binary_columns(conn, source, recipe.reads)
    if binary and (len(recipe.reads) > 1 or template):
        raise CannotEmbed(f"The column {binary[0]!r} of {source.name} holds binary: embed it alone, without a template")
    if binary and not model.supports_binary:
        raise CannotEmbed(
            f"The column {binary[0]!r} of {source.name} holds binary, and the model {model.model_id} takes only text"
        )
    if not binary and not model.supports_text:
        raise CannotEmbed(f"The model {model.model_id} takes only binary, and {recipe.reads[0]!r} holds text")
    recipe = replace(recipe, binary=bool(binary))
    return Definition(
        source.name, spelled, template, registered_name(model), bool(binary), feasible_chunking(chunking, recipe, model)
    )


def create_collection(
    conn: sqlite3.Connection,
    definition: Definition,
    *,
    name: str | None = None,
    alias: str | None = None,
    plugin: str | None = None,
) -> tuple[Collection, bool]:
    """The collection of this definition, and whether it is new; Conflict where the name has another definition.

    Without a name it is the table's, or `<table>-<alias>` for the second of a table.
    """
    ensure_schema(conn)
    with transaction(conn):
        existing = list_collections(conn)
        named = {collection.name.lower(): collection for collection in every_collection(conn)}
        if name is None:
            met = [collection for collection in existing if definition.is_met_by(collection.definition)]
            if met:
                return max(met, key=lambda collection: collection.definition == definition), False
            name = _free_name(named, definition.table, alias or definition.model)
        elif (taken := named.get(_checked_name(name).lower())) is not None:
            if definition.is_met_by(taken.definition):
                return taken, False
            raise Conflict(
                f"A collection named {taken.name!r} exists with another definition; choose another name or delete it"
            )
        return insert_collection(conn, definition, name, plugin), True


def delete_collection(conn: sqlite3.Connection, name: str) -> Collection:
    """Delete a collection and all that is stored of it, and what was to replace it, in one transaction."""
    with transaction(conn):
        collection = get_collection(conn, name)
        for doomed in every_collection(conn):
            if collection.id in (doomed.id, doomed.replaces):
                erase(conn, doomed)
    return collection


def erase(conn: sqlite3.Connection, collection: Collection) -> None:
    """Remove one stored collection, within the caller's transaction."""
    _drop_tables(conn, collection)
    for table in ("_embed_kept", "_embed_errors", "_embed_jobs"):
        conn.execute(f"delete from {table} where collection_id = ?", (collection.id,))
    conn.execute("delete from _embed_collections where id = ?", (collection.id,))


def remove_everything(conn: sqlite3.Connection) -> list[Collection]:
    """Delete every collection and our own tables: no trace is left in the file."""
    with transaction(conn):
        collections = list_collections(conn)
        for collection in every_collection(conn):
            _drop_tables(conn, collection)
        drop_schema(conn)
    return collections


def new_token() -> int:
    """A random 64-bit integer, signed as SQLite's are."""
    return secrets.randbits(64) - 2**63


def now() -> str:
    """The present time, UTC, as stored."""
    return utc(time.time())


def utc(moment: float) -> str:
    """Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def insert_collection(conn: sqlite3.Connection, definition: Definition, name: str, plugin: str | None) -> Collection:
    """Make a collection under a name that no other one has, within the caller's transaction."""
    source = source_table(conn, definition.table)
    cursor = conn.execute(
        "insert into _embed_collections"
        " (name, source_table, columns, template, model, plugin, binary, chunking, token, created)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            definition.table,
            json.dumps(definition.columns),
            definition.template,
            definition.model,
            plugin,
            definition.binary,
            stored_chunking(definition.chunking),
            new_token(),
            now(),
        ),
    )
    collection = collection_by_id(conn, int(cursor.lastrowid or 0))
    for table in (collection.vector_table, collection.codes.table):
        if conn.execute("select 1 from sqlite_master where name = ? collate nocase", (table,)).fetchone():
            raise Conflict(f"A table {table!r} is in the way: choose another name for the collection")
    create_vector_table(conn, collection.vector_table, source)
    create_code_table(conn, collection.codes.table)
    return collection


def _drop_tables(conn: sqlite3.Connection, collection: Collection) -> None:
    remove_following(conn, collection.name)
    drop_code_table(conn, collection.codes.table)
    drop_vector_table(conn, collection.vector_table)


def _collection(row: Sequence[Any]) -> Collection:
    id_, name, table, columns, template, model, binary, dimensions, token, plugin, created, chunking, follow, *rest = (
        row
    )
    cut = chunking_of(json.loads(chunking)) if chunking else None
    definition = Definition(table, tuple(json.loads(columns)), template, model, bool(binary), cut)
    return Collection(id_, name, definition, dimensions, token, plugin, created, bool(follow), *rest)


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > 200 or "\0" in name:
        raise EmbedError("A collection's name has 1 to 200 characters, and not only blanks")
    return name


def _free_name(taken: dict[str, Collection], table: str, alias: str) -> str:
    candidates = [table, f"{table}-{alias}", *(f"{table}-{alias}-{n}" for n in range(2, len(taken) + 3))]
    return next(name for name in candidates if name.lower() not in taken)
