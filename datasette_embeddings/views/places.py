"""Where people are: the search above a table's rows, similar rows on a row's page, and the jump menu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import compat
from ..engine.collections import Collection, list_collections
from ..engine.errors import EmbedError
from ..permissions import visible_collections
from .similar import OF_THE_TABLE_PAGE, OURS, QUERIES, arguments_of, can_ask, chosen
from .visit import Urls, Visit


@dataclass(frozen=True)
class Place:
    """A table that can be searched: by which collection, and whether by text or by row alone."""

    url: str
    collection: Collection
    by_text: bool


async def place_of(datasette, request, database: str, table: str) -> Place | None:
    """The search of a table whose page is shown to somebody who may see it; None where there is nothing to search.

    Found once a page, however many hooks ask.
    """
    known = request.scope.setdefault("datasette_embed_places", {})
    if (database, table) not in known:
        known[database, table] = await _place(datasette, request, database, table)
    return known[database, table]


async def _place(datasette, request, name: str, table: str) -> Place | None:
    database = datasette.databases.get(name)
    if database not in compat.databases(datasette):
        return None
    try:
        collections = [entry for entry in await database.execute_fn(list_collections) if entry.table == table]
    except EmbedError:  # of a newer version: our own pages say so
        return None
    if not collections:
        return None
    collection = chosen(tuple(collections), table, None)
    visit = Visit(datasette, request, is_json=False, database=database, table=table)
    return Place(Urls(datasette).similar(name, table), collection, await can_ask(visit, collection))


def top_table(datasette, request, database, table):
    """What stands at the top of 1.0's table page."""

    async def html() -> str | None:
        context = await _above_rows(datasette, request, database, table)
        return await datasette.render_template("embed_above_rows.html", context, request=request) if context else None

    return html


def top_row(datasette, request, database, table):
    """What stands at the top of 1.0's row page."""

    async def html() -> str | None:
        context = await _above_row(datasette, request, database, table)
        return await datasette.render_template("embed_above_row.html", context, request=request) if context else None

    return html


def extra_template_vars(datasette, request, database, table, view_name):
    """On 0.65, which has no such slots: our template in place of the one of the rows, which it then includes."""

    async def variables() -> dict[str, Any]:
        if compat.has_slots() or request is None or table is None or view_name not in ("table", "row"):
            return {}
        above = _above_rows if view_name == "table" else _above_row
        context = await above(datasette, request, database, table)
        if context is None:
            return {}
        templates = compat.table_templates(view_name, database, table)
        ours = f"embed_above_{'rows' if view_name == 'table' else 'row'}.html"
        return {**context, "custom_table_templates": [ours], "embed_then": templates}

    return variables


async def _above_rows(datasette, request, database: str, table: str) -> dict[str, Any] | None:
    place = await place_of(datasette, request, database, table)
    if place is None:
        return None
    return {
        "embed_urls": Urls(datasette),
        "embed_place": place,
        "embed_table": datasette.urls.table(database, table),
        "embed_carried": [
            (f"{name}__exact" if name in QUERIES else name, value)
            for name, value in arguments_of(request)
            if name not in OF_THE_TABLE_PAGE | OURS
        ],
    }


async def _above_row(datasette, request, database: str, table: str) -> dict[str, Any] | None:
    place = await place_of(datasette, request, database, table)
    path = request.url_vars.get("pks")
    if place is None or not path:
        return None
    return {"embed_urls": Urls(datasette), "embed_place": place, "embed_row": path}


async def search_link(datasette, request, database: str, table: str) -> list[dict[str, str]]:
    """The entry of a table's menu."""
    place = await place_of(datasette, request, database, table) if request is not None else None
    if place is None:
        return []
    return [
        {"href": place.url, "label": "Search by meaning", "description": "Find the rows that mean what you describe"}
    ]


def jump_items_sql(datasette, actor):
    """The entries of 1.0's jump menu: each embedded table that the actor may see."""

    async def items() -> list:
        tables: dict[tuple[str, str], dict[str, str]] = {}
        for database in compat.databases(datasette):
            try:
                collections = await visible_collections(datasette, actor, database)
            except EmbedError:
                continue
            for collection in collections:
                tables[database.name, collection.table] = {
                    "label": f"Search {collection.table} by meaning",
                    "url": Urls(datasette).similar(database.name, collection.table),
                    "description": f"Embedded table of {database.name}",
                }
        return compat.jump_items(list(tables.values()))

    return items
