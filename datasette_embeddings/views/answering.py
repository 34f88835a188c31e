"""The one way that every page and JSON route is answered: find what it names, check the permission, report errors."""

from __future__ import annotations

import sqlite3

from datasette import Forbidden
from datasette.utils import tilde_decode

from .. import compat
from ..engine.collections import get_collection
from ..engine.errors import CannotEmbed, EmbedError, ModelError, NotFound, raising
from ..permissions import EMBED_TABLE, may_embed_table, may_view_table
from .visit import SqliteFault, Visit
from .words import without_folders


def answering(endpoints):
    """The view of one route, as Datasette wants it, from its {method: endpoint}."""

    async def view(datasette, request):
        visit = Visit(datasette, request, is_json=request.url_vars.get("format") == "json")
        try:
            return await _answer(visit, endpoints)
        except Forbidden as error:
            if visit.is_json:
                return await visit.error(str(error), 403)
            raise  # plugins may have a page of their own for this, such as one to sign in
        except ModelError as error:
            if raising():
                raise
            return await visit.error(without_folders(str(error)), error.status)
        except EmbedError as error:
            return await visit.error(str(error), error.status)
        except sqlite3.OperationalError as error:
            fault = SqliteFault(error)
            return await visit.error(str(fault), fault.status)

    return view


async def _answer(visit: Visit, endpoints):
    method = "GET" if visit.request.method == "HEAD" else visit.request.method
    endpoint = endpoints.get(method)
    if endpoint is None:
        return await visit.error(f"{method} is not answered here; {' and '.join(endpoints)} are", 405)
    await _find(visit)
    await _check(visit, endpoint.permission)
    if visit.table is not None and visit.collection is None:
        await _check_table(visit)
    return await endpoint.handler(visit)


async def _find(visit: Visit) -> None:
    """The database, and the table or collection, of the address."""
    names = {key: tilde_decode(value) for key, value in visit.request.url_vars.items() if value and key != "format"}
    if "database" in names:
        try:
            visit.database = visit.datasette.get_database(route=names["database"])
        except KeyError:
            raise NotFound(f"There is no database {names['database']!r}") from None
    visit.table = names.get("table")
    if "collection" in names:
        visit.collection = await visit.database.execute_fn(lambda conn: get_collection(conn, names["collection"]))
        visit.table = visit.collection.table
        if not await may_view_table(visit.datasette, visit.actor, visit.database.name, visit.table):
            # Word for word what get_collection() says of a name that nobody has given.
            visit.table = visit.collection = None
            raise NotFound(f"There is no collection {names['collection']!r} in this database")


async def _check(visit: Visit, permission: str) -> None:
    """Forbidden unless the actor has the permission on what the address names."""
    datasette, actor, database = visit.datasette, visit.actor, visit.database
    if database is None:
        allowed, what = await compat.may_view_instance(datasette, actor), "see this"
    elif visit.table is None:
        allowed = await compat.allowed(datasette, actor, permission, database.name)
        what = f"see the database {database.name!r}"
    elif permission == EMBED_TABLE:
        allowed, what = await may_embed_table(datasette, actor, database.name, visit.table), f"embed {visit.table!r}"
    else:
        allowed, what = await may_view_table(datasette, actor, database.name, visit.table), f"see {visit.table!r}"
    if not allowed:
        raise Forbidden(f"You may not {what}: that takes the permission {permission}")
    if database is not None and database not in compat.databases(datasette):
        raise CannotEmbed(f"The database {database.name!r} is not kept, so nothing in it can be embedded")


async def _check_table(visit: Visit) -> None:
    """NotFound unless there is a table or view of just this spelling, which is the one that was checked."""

    def exists(conn: sqlite3.Connection) -> bool:
        sql = "select 1 from sqlite_master where name = ? and type in ('table', 'view')"
        return conn.execute(sql, (visit.table,)).fetchone() is not None

    if not await visit.database.execute_fn(exists):
        raise NotFound(f"There is no table {visit.table!r} in the database {visit.database.name!r}")
