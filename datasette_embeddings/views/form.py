"""The form by which a table is embedded: its preview, and the collection and the job that it makes."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace

from datasette import Response

from ..engine.collections import Collection, Definition, create_collection, define
from ..engine.errors import EmbedError, ModelError
from ..engine.follow.triggers import can_follow
from ..engine.jobs import Job, check_affordable, create_job
from ..engine.preview import text_columns
from ..engine.tables import source_table
from ..engine.transactions import transaction
from ..registry import NO_MODELS, registry_for
from ..worker import worker_for
from .asked import CHUNKS, LIMITS, Asked, asked_by_fields, asked_by_json, cut_fields, form_fields, json_object
from .following import switch
from .previews import columns_json, preview_json
from .shapes import collection_json, job_json, models_json
from .visit import Urls, Visit

_SAID = ("columns", "template", "model", "collection", "follow")
FIELDS, MEMBERS = (*_SAID, *CHUNKS, "anew"), (*_SAID, "chunking", *LIMITS)  # of the form, and of JSON


async def show(visit: Visit) -> Response:
    """The form, with what the address already says filled in, and what would be embedded."""
    visit.require_writable()
    arguments = visit.request.args
    fields = {name: arguments.getlist(name) for name in FIELDS if name in arguments}
    if not fields:
        return await form_page(visit, await _suggested(visit))
    return await form_page(visit, asked_by_fields(fields), strict=True)


async def create(visit: Visit) -> Response:
    """Make the collection, or find the one of the same definition, and a job for it."""
    if visit.is_json:
        visit.require_writable()
        body = await json_object(visit.request, MEMBERS)
        collection, job, new = await _embed(visit, asked_by_json(body))
        price = registry_for(visit.datasette).price(collection)
        shown = {"collection": collection_json(collection, visit.database.name), "job": job_json(job, price)}
        return visit.json(shown, 201 if new else 200)
    fields = await form_fields(visit.request)
    visit.require_writable()
    asked = asked_by_fields(fields)
    if "preview" in fields:
        return await form_page(visit, asked, strict=True)
    try:
        collection, job, new = await _embed(visit, asked)
    except EmbedError as error:
        return await form_page(visit, asked, error=error)
    return Response.redirect(Urls(visit.datasette).collection(visit.database.name, collection.name), status=303)


async def _embed(visit: Visit, asked: Asked) -> tuple[Collection, Job, bool]:
    table, registered = visit.table, registry_for(visit.datasette).pick(asked.model)

    def defined(conn: sqlite3.Connection) -> Definition:
        return define(conn, str(table), asked.columns or None, asked.template, registered.model, **asked.chunking)

    definition = await visit.database.execute_fn(defined)
    check_affordable(asked.limits, registered.model, binary=definition.binary)

    def made(conn: sqlite3.Connection) -> tuple[Collection, Job, bool]:
        with transaction(conn):
            names = {"name": asked.collection, "alias": registered.short_name, "plugin": registered.plugin}
            collection, new = create_collection(conn, definition, **names)
            collection = switch(conn, collection, asked.follow, new=new)
            return collection, create_job(conn, collection.id, actor=visit.actor_id, limits=asked.limits), new

    result = await visit.write(made)
    worker_for(visit.datasette).wake()
    return result


async def _suggested(visit: Visit) -> Asked:
    """What stands in the form at first: the columns of text and the default model."""
    names = await visit.database.execute_fn(lambda conn: text_columns(conn, source_table(conn, str(visit.table))))
    registry = registry_for(visit.datasette)
    try:
        model = registry.default().name
    except EmbedError:
        model = registry.models[0].name if registry.models else None
    return Asked(tuple(names), model=model)


async def form_page(visit: Visit, asked: Asked, *, strict: bool = False, error: EmbedError | None = None) -> Response:
    """The form with these values, by which the table is embedded or the collection of the visit changed.

    Where `strict`, what is wrong with the values decides the status.
    """
    registry = registry_for(visit.datasette)
    shown, problem = None, None
    if registry.models:
        try:
            registered = registry.pick(asked.model)
            asked = replace(asked, model=registered.name)
            shown = await preview_json(visit, asked, registered.model)
        except ModelError:  # comes through only where errors of models are to be raised
            raise
        except EmbedError as found:
            if strict and visit.is_json:
                raise
            problem = found
    data = {
        "table": visit.table,
        "columns": await visit.database.execute_fn(lambda conn: columns_json(conn, str(visit.table), asked)),
        "models": await asyncio.to_thread(models_json, registry),  # a key may have to be looked for
        "install": None if registry.models else NO_MODELS,
        "preview": shown,
        "problem": str(problem) if problem else None,
        "followable": await visit.database.execute_fn(lambda conn: can_follow(conn, str(visit.table))),
    }
    if visit.is_json:
        return visit.json({"database": visit.database.name, **data})
    if strict:
        error = error or problem
    context = {
        **data,
        "asked": asked,
        "cut": cut_fields(asked),
        "changing": visit.collection,
        "error": str(error) if error else None,
    }
    return await visit.page("embed_form.html", context, error.status if error else 200)
