"""What differs between Datasette 0.65 and 1.0: the only file that knows which one runs."""

from __future__ import annotations

import asyncio
import inspect
import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from datasette import Forbidden
from datasette.utils import StartupError, actor_matches_allow, to_css_class

from .engine.access import LOCK_SECONDS

try:  # 1.0
    from datasette.jump import JumpSQL
    from datasette.permissions import Action, PermissionSQL
    from datasette.resources import DatabaseResource, TableResource
except ImportError:  # 0.65
    Action = None

T = TypeVar("T")
PLUGIN = "datasette-embed"
INTERNAL = "_internal"  # 0.65 lists it among the databases
LOCKED_PAUSE = 0.02  # seconds between two attempts to write what a reader of a database in memory keeps from us


class CannotStart(StartupError, click.ClickException):
    """Ends the start with a sentence; 0.65 prints a traceback of any StartupError that click does not know."""


def plugin_config(datasette) -> dict[str, Any]:
    """The plugin's configuration of the instance; {} where there is none."""
    return datasette.plugin_config(PLUGIN) or {}


def published_keys(datasette) -> list[str]:
    """The names of keys that 0.65 would show to everybody, at /-/metadata.json; 1.0 strikes them out."""
    if Action is not None:
        return []
    ours = (datasette.metadata("plugins") or {}).get(PLUGIN) or {}
    return [name for name, key in (ours.get("keys") or {}).items() if isinstance(key, str)]


def new_datasette(files: Iterable[str], *, config: dict | None, plugins_dir: str | None):
    """A Datasette over these files that serves nothing; `config` is what the configuration file says."""
    from datasette.app import Datasette  # half of the time that Datasette takes to start

    # 0.65 has no config file: the same things stand in its metadata.
    place = "config" if "config" in inspect.signature(Datasette.__init__).parameters else "metadata"
    return Datasette(list(files), plugins_dir=plugins_dir, **({place: config} if config else {}))


def close(datasette) -> None:
    """Release the connections, which 0.65 cannot do by itself."""
    if hasattr(datasette, "close"):
        datasette.close()
    else:
        for database in datasette.databases.values():
            database.close()


def connect(datasette, database) -> sqlite3.Connection:
    """A reading connection to the file of a database that Datasette does not know of; the caller closes it."""
    mode = "mode=ro" if database.is_mutable else "immutable=1"
    nolock = "&nolock=1" if database.is_mutable and datasette.nolock else ""
    return sqlite3.connect(f"{Path(database.path).absolute().as_uri()}?{mode}{nolock}", uri=True)


async def write(database, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run fn(conn) on the database's write thread; what it leaves uncommitted is committed, or undone where it fails.

    For the lock of a file SQLite itself waits. Connections that share a cache refuse each other at once.
    """

    def committed(conn: sqlite3.Connection) -> T:
        with conn:  # 0.65 opens no transaction and commits nothing by itself
            return fn(conn)

    give_up = time.monotonic() + (LOCK_SECONDS if database.is_memory else 0)
    while True:
        try:
            return await database.execute_write_fn(committed)
        except sqlite3.OperationalError as error:
            if "is locked" not in str(error) or time.monotonic() > give_up:
                raise
        await asyncio.sleep(LOCKED_PAUSE)


def databases(datasette) -> list:
    """The databases that may hold collections."""
    return [
        database
        for name, database in datasette.databases.items()
        if name != INTERNAL and not (database.is_memory and not database.memory_name)
    ]


async def allowed(datasette, actor, action: str, database: str, table: str | None = None) -> bool:
    """Whether the actor may take the action on this table, or on this database where no table is given."""
    if Action is not None:
        resource = TableResource(database, table) if table is not None else DatabaseResource(database)
        return await datasette.allowed(action=action, resource=resource, actor=actor)
    chain = [("view-database", database), "view-instance"]
    if action == "view-table":
        chain.insert(0, (action, (database, table)))
    try:
        await datasette.ensure_permissions(actor, chain)
    except Forbidden:
        return False
    if action in ("view-table", "view-database"):
        return True
    resource = (database, table) if table is not None else database
    return await datasette.permission_allowed(actor, action, resource, default=action == "execute-sql")


async def may_view_instance(datasette, actor) -> bool:
    """Whether the actor may see anything at all."""
    if Action is not None:
        return await datasette.allowed(action="view-instance", actor=actor)
    return await datasette.permission_allowed(actor, "view-instance", default=True)


def is_root(datasette, actor) -> bool:
    """True for the actor of `datasette --root`."""
    return bool(actor) and actor.get("id") == "root" and getattr(datasette, "root_enabled", True)


def table_action(name: str, description: str) -> list:
    """The action as 1.0 registers it; its tables must be visible too."""
    return [Action(name=name, description=description, resource_class=TableResource, also_requires="view-table")]


def configured_permission(datasette, action: str, actor, database: str | None, table: str | None) -> bool | None:
    """What a `permissions:` block says, nearest level first: 0.65 knows no such block, 1.0 reads it itself."""
    levels = [{"database": database, "table": table}, {"database": database}, {}]
    for level in levels if table is not None else levels[1:]:
        block = (datasette.metadata("permissions", fallback=False, **level) or {}).get(action)
        if block is not None:
            return actor_matches_allow(actor, block)
    return None


def table_rule(pairs: list[tuple[str, str]], reason: str, *, allow: bool):
    """A rule for 1.0 that allows or denies an action on these (database, table) pairs."""
    return PermissionSQL(
        sql="select json_extract(value, '$[0]') as parent, json_extract(value, '$[1]') as child,"
        " :embed_allow as allow, :embed_reason as reason from json_each(:embed_tables)",
        params={"embed_tables": json.dumps(pairs), "embed_reason": reason, "embed_allow": int(allow)},
    )


async def tables_allowed(datasette, actor, action: str) -> set[tuple[str, str]] | None:
    """On 1.0 every (database, table) on which the actor may take the action, by one query; None on 0.65."""
    if Action is None:
        return None
    pages = await datasette.allowed_resources(action, actor, limit=1000)
    found = set()
    async for resource in pages.all():
        found.add((resource.parent, resource.child))
    return found


def full_text(datasette, database: str, table: str, request=None) -> dict[str, str | None]:
    """The `table` and `column` of a table's full-text index, as far as its `fts_table` and `fts_pk` are configured.

    0.65 lets the address of a page say others; 1.0 refuses them.
    """
    if Action is None:
        config = datasette.table_metadata(database, table)
    else:  # not table_config(): an SQL function cannot await it
        config = datasette.config or {}
        for level in ("databases", database, "tables", table):
            config = config.get(level) or {}
    given = request.args if Action is None and request is not None else {}
    names = {"table": "fts_table", "column": "fts_pk"}
    return {part: given.get(f"_{name}") or config.get(name) for part, name in names.items()}


async def expand_foreign_keys(datasette, actor, database: str, table: str, column: str, values: list) -> dict:
    """{(column, value): label}; the caller has checked that the actor may see the other table."""
    if Action is not None:
        return await datasette.expand_foreign_keys(actor, database, table, column, values)
    for foreign in await datasette.get_database(database).foreign_keys_for_table(table):
        if foreign["column"] == column and foreign["other_column"] is None:  # `references kinds`: 0.65 fails at it
            return {}
    return await datasette.expand_foreign_keys(database, table, column, values)


async def display_rows(datasette, request, database: str, table: str, columns: Iterable[str], rows: list):
    """The columns and the rows as Datasette's table page has them, a link to each row first."""
    from datasette.views.table import display_columns_and_rows  # it imports the plugins, and so us

    about_request = {} if Action is None else {"request": request}
    return await display_columns_and_rows(
        datasette,
        database,
        table,
        [(column,) for column in columns],
        rows,
        link_column=True,
        truncate_cells=datasette.setting("truncate_cells_html"),
        **about_request,
    )


def has_slots() -> bool:
    """True where Datasette has places for plugins at the top of its pages."""
    return Action is not None


def query_url(datasette, database: str) -> str:
    """The page on which one runs SQL; from the database's address 1.0 would send on all that follows it."""
    return datasette.urls.database(database) + ("" if Action is None else "/-/query")


def table_templates(kind: str, database: str, table: str) -> list[str]:
    """The templates from which 0.65 chooses for the rows of a page; kind is "table" or "row"."""
    name = f"{to_css_class(database)}-{to_css_class(table)}.html"
    return [f"_table-{name}", f"_table-{kind}-{name}", "_table.html"]


def jump_items(items: list[dict[str, str]]) -> list:
    """Entries of 1.0's jump menu, each with label, url and description."""
    sql = (
        "select 'menu' as type, json_extract(value, '$.label') as label,"
        " json_extract(value, '$.description') as description, json_extract(value, '$.url') as url,"
        " json_extract(value, '$.label') as search_text, null as display_name"
        " from json_each(:embed_items)"
    )
    return [JumpSQL(sql=sql, params={"embed_items": json.dumps(items)})] if items else []
