"""The entries of Datasette's menus that lead to our pages."""

from __future__ import annotations

from ..engine.schema import PREFIX
from ..permissions import embeddable_tables, may_embed_something, may_embed_table, visible_collections
from .places import search_link
from .visit import Urls, is_writable

Link = dict[str, str]


def menu_links(datasette, actor):
    """The entry of the top menu, for those who may embed a table."""

    async def links() -> list[Link]:
        if not await may_embed_something(datasette, actor):
            return []
        return [{"href": Urls(datasette).instance(), "label": "Embed tables"}]

    return links


def database_actions(datasette, actor, database):
    """The entry of a database's menu, for those who may embed one of its tables or see a collection of it."""

    async def links() -> list[Link]:
        found = datasette.get_database(database)
        if not await embeddable_tables(datasette, actor, database) and not await visible_collections(
            datasette, actor, found
        ):
            return []
        return [
            {
                "href": Urls(datasette).database(database),
                "label": "Embed tables",
                "description": "Collections of this database, for search by meaning",
            }
        ]

    return links


def table_actions(datasette, actor, database, table, request):
    """The entries of a table's menu; none for views, which 0.65 asks about too, nor for hidden tables and our own."""

    async def links() -> list[Link]:
        return [*await search_link(datasette, request, database, table), *await embed_link()]

    async def embed_link() -> list[Link]:
        found = datasette.get_database(database)
        if not is_writable(found) or table.lower().startswith(PREFIX):
            return []
        if not await found.table_exists(table) or table in await found.hidden_table_names():
            return []
        if not await may_embed_table(datasette, actor, database, table):
            return []
        return [
            {
                "href": Urls(datasette).table(database, table),
                "label": "Embed this table",
                "description": "Make vectors of its rows, for search by meaning",
            }
        ]

    return links
