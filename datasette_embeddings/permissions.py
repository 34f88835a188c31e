"""Who may embed, who may see a collection, and who may open the tables that we store."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator

from . import compat
from .engine.collections import Collection, every_collection, list_collections
from .engine.errors import EmbedError
from .engine.follow.notes import notes_table
from .engine.schema import PREFIX

EMBED_TABLE = "embed-table"
DESCRIPTION = "Embed a table: create, update and delete its collections"

_ROW_ACTIONS = ("insert-row", "update-row", "delete-row")

# 1.0 asks our rule for view-table, and the rule asks about the source tables: this ends the circle.
_asking = contextvars.ContextVar("datasette_embed_asking", default=False)


async def may_view_table(datasette, actor, database: str, table: str) -> bool:
    """Whether the actor may see the table, and with it its collections, matches and vectors."""
    return await compat.allowed(datasette, actor, "view-table", database, table)


async def may_embed_table(datasette, actor, database: str, table: str) -> bool:
    """Whether the actor may embed the table, which they must be able to see."""
    return await may_view_table(datasette, actor, database, table) and await compat.allowed(
        datasette, actor, EMBED_TABLE, database, table
    )


async def may_embed_something(datasette, actor) -> bool:
    """Whether there is a table that the actor may embed: who may not gets no menu entry."""
    async for _ in _embeddable(datasette, actor):
        return True
    return False


async def embeddable_tables(datasette, actor, database: str | None = None) -> list[tuple[str, str]]:
    """The (database, table) pairs that the actor may embed; our own tables and hidden ones are not among them."""
    return [pair async for pair in _embeddable(datasette, actor, database)]


async def _embeddable(datasette, actor, database: str | None = None) -> AsyncIterator[tuple[str, str]]:
    found = await compat.tables_allowed(datasette, actor, EMBED_TABLE)
    for db in compat.databases(datasette):
        if not db.is_mutable or database not in (None, db.name):
            continue
        hidden = set(await db.hidden_table_names())
        for table in await db.table_names():
            if table in hidden or table.lower().startswith(PREFIX):
                continue
            if found is None:
                may = await may_embed_table(datasette, actor, db.name, table)
            else:
                may = (db.name, table) in found
            if may:
                yield db.name, table


async def visible_collections(datasette, actor, database) -> list[Collection]:
    """The collections of a database whose source table the actor may see."""
    collections = await database.execute_fn(list_collections)
    return [
        collection
        for collection in collections
        if await may_view_table(datasette, actor, database.name, collection.table)
    ]


def actions() -> list:
    """The actions that 1.0 is told of."""
    return compat.table_action(EMBED_TABLE, DESCRIPTION)


def allowed_on_065(datasette, actor, action, resource):
    """0.65's hook: embed-table by configuration or for root, and our own tables as `rules_on_1` has it."""
    if action == EMBED_TABLE:
        database, table = resource if isinstance(resource, tuple) else (resource, None)
        verdict = compat.configured_permission(datasette, action, actor, database, table)
        return True if verdict is None and compat.is_root(datasette, actor) else verdict
    if action == "view-table" and isinstance(resource, tuple) and str(resource[1]).lower().startswith(PREFIX):
        return _own_table_verdict(datasette, actor, *resource)
    return None


def rules_on_1(datasette, actor, action):
    """1.0's hook: what may be seen of our own tables, and that triggers may note what an actor may write."""
    if _asking.get() or compat.is_root(datasette, actor):
        return None
    if action == "view-table":
        return _denied_tables(datasette, actor)
    return _noting(datasette, actor, action) if action in _ROW_ACTIONS else None


async def _denied_tables(datasette, actor):
    """Our own tables are denied except to root, vector tables follow their source table."""
    denied = []
    for database in compat.databases(datasette):
        own = [name for name in await database.table_names() if name.lower().startswith(PREFIX)]
        opened = await _opened_tables(datasette, actor, database.name) if own else set()
        denied += [(database.name, name) for name in own if name.lower() not in opened]
    return compat.table_rule(denied, "a table of datasette-embed", allow=False) if denied else None


async def _noting(datasette, actor, action: str):
    """Who may take an action on a table may take it on its notes.

    Of a statement of SQL, 1.0 asks for these permissions on every table that it writes, by a trigger too.
    """
    followed = [
        (database.name, collection)
        for database in compat.databases(datasette)
        for collection in await _collections(datasette, database.name)
        if collection.follow
    ]
    if not followed:
        return None
    token = _asking.set(True)
    try:
        allowed = await compat.tables_allowed(datasette, actor, action)
    finally:
        _asking.reset(token)
    notes = [(name, notes_table(each.name)) for name, each in followed if (name, each.table) in allowed]
    return compat.table_rule(notes, "notes of a table that may be written", allow=True) if notes else None


async def _own_table_verdict(datasette, actor, database: str, name: str) -> bool | None:
    """False where the actor may not open this table; None where its source table's permission decides."""
    if compat.is_root(datasette, actor) or name.lower() in await _opened_tables(datasette, actor, database):
        return None
    return False


async def _opened_tables(datasette, actor, database: str) -> set[str]:
    """The vector tables, in lower case, whose source table the actor may see."""
    token = _asking.set(True)
    try:
        return {
            collection.vector_table.lower()
            for collection in await _collections(datasette, database)
            if await may_view_table(datasette, actor, database, collection.table)
        }
    finally:
        _asking.reset(token)


async def _collections(datasette, database: str) -> list[Collection]:
    try:
        return await datasette.get_database(database).execute_fn(every_collection)
    except (KeyError, EmbedError):
        return []


def hidden_tables(datasette) -> dict:
    """Metadata for 0.65 that hides our tables from its lists: it hides what begins with a hidden name; 1.0 does so."""
    hidden = {"tables": {PREFIX.rstrip("_"): {"hidden": True}}}
    return {"databases": {database.name: hidden for database in compat.databases(datasette)}}
