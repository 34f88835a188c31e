"""The list of every collection, and that of one database, with the models and the way to a new collection."""

from __future__ import annotations

import asyncio
import sqlite3

from datasette import Response
from datasette.utils import tilde_decode, tilde_encode

from .. import compat
from ..engine.collections import Collection
from ..engine.errors import EmbedError, NotFound
from ..engine.jobs import Job, latest_job
from ..permissions import embeddable_tables, visible_collections
from ..registry import NO_MODELS, registry_for
from .shapes import collection_json, job_json, models_json
from .visit import Urls, Visit


async def show_instance(visit: Visit) -> Response:
    """Every collection that the actor may see, over all databases."""
    return await _show(visit, compat.databases(visit.datasette))


async def show_database(visit: Visit) -> Response:
    """Those of one database."""
    return await _show(visit, [visit.database])


async def _show(visit: Visit, databases: list) -> Response:
    if not visit.is_json and (chosen := visit.request.args.get("table")):
        return Response.redirect(_form_of(visit, chosen))
    collections, problems = [], []
    for database in databases:
        try:
            collections += await _collections(visit, database)
        except (EmbedError, sqlite3.Error) as error:  # one file of a newer version, or a damaged one
            problems.append({"database": database.name, "error": str(error)})
    registry = registry_for(visit.datasette)
    data = {
        "collections": collections,
        "models": await asyncio.to_thread(models_json, registry),  # a key may have to be looked for
        "install": None if registry.models else NO_MODELS,
        "problems": problems,
    }
    if visit.is_json:
        return visit.json(data)
    return await visit.page("embed_list.html", {**data, "choices": await _choices(visit)})


async def _collections(visit: Visit, database) -> list[dict]:
    visible = await visible_collections(visit.datasette, visit.actor, database)

    def jobs_of(conn: sqlite3.Connection) -> list[Job | None]:
        return [latest_job(conn, collection.id) for collection in visible]

    jobs = await database.execute_fn(jobs_of) if visible else []
    return [_entry(visit, database, *pair) for pair in zip(visible, jobs, strict=True)]


def _entry(visit: Visit, database, collection: Collection, job: Job | None) -> dict:
    url = Urls(visit.datasette).collection(database.name, collection.name)
    price = registry_for(visit.datasette).price(collection)
    return {**collection_json(collection, database.name), "url": url, "job": job_json(job, price)}


async def _choices(visit: Visit) -> dict[str, list[dict]]:
    """The tables that the actor may embed, by database, each with the value that names it in the address."""
    only = visit.database.name if visit.database else None
    choices: dict[str, list[dict]] = {}
    for name, table in await embeddable_tables(visit.datasette, visit.actor, only):
        route = visit.datasette.get_database(name).route
        value = f"{tilde_encode(route)}/{tilde_encode(table)}"
        choices.setdefault(name, []).append({"table": table, "value": value})
    return choices


def _form_of(visit: Visit, chosen: str) -> str:
    """The address of the form for a table chosen from the list; it checks by itself who may see it."""
    route, _, table = chosen.partition("/")
    try:
        database = visit.datasette.get_database(route=tilde_decode(route))
    except KeyError:
        raise NotFound(f"There is no database {tilde_decode(route)!r}") from None
    return Urls(visit.datasette).table(database.name, tilde_decode(table))
