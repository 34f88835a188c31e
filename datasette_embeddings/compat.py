"""What differs between Datasette 0.65 and 1.0: the only file that knows which one runs."""

from __future__ import annotations

import inspect
import json
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from datasette import Forbidden
from datasette.utils import StartupError, actor_matches_allow

try:  # 1.0
    from datasette.permissions import Action, PermissionSQL
    from datasette.resources import DatabaseResource, TableResource
except ImportError:  # 0.65
    Action = None

T = TypeVar("T")
PLUGIN = "datasette-embed"
INTERNAL = "_internal"  # 0.65 lists it among the databases


class CannotStart(StartupError, click.ClickException):
    """Ends the start with a sentence; 0.65 prints a traceback of any StartupError that click does not know."""


def plugin_config(datasette) -> dict[str, Any]:
    """The plugin's configuration of the instance; {} where there is none."""
    return datasette.plugin_config(PLUGIN) or {}


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
    """A reading connection to one of Datasette's databases that Datasette does not know of; the caller closes it."""
    if database.memory_name:
        return sqlite3.connect(f"file:{database.memory_name}?mode=memory&cache=shared", uri=True)
    mode = "mode=ro" if database.is_mutable else "immutable=1"
    nolock = "&nolock=1" if database.is_mutable and datasette.nolock else ""
    return sqlite3.connect(f"{Path(database.path).absolute().as_uri()}?{mode}{nolock}", uri=True)


async def write(database, fn: Callable[[sqlite3.Connection], T]) -> T:
    """Run fn(conn) on the database's write thread; what it leaves uncommitted is committed."""

    def committed(conn: sqlite3.Connection) -> T:
        with conn:  # 0.65 opens no transaction and commits nothing by itself
            return fn(conn)

    return await database.execute_write_fn(committed)


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


def denied_tables(pairs: list[tuple[str, str]], reason: str):
    """A rule for 1.0 that denies view-table for these (database, table) pairs."""
    return PermissionSQL(
        sql="select json_extract(value, '$[0]') as parent, json_extract(value, '$[1]') as child,"
        " 0 as allow, :embed_denied_reason as reason from json_each(:embed_denied_tables)",
        params={"embed_denied_tables": json.dumps(pairs), "embed_denied_reason": reason},
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
