"""The page on which a collection is changed: by another model or template, while the old vectors go on serving."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from datasette import Response

from ..engine.changing import begin_change, changed
from ..engine.collections import Collection
from ..engine.errors import EmbedError
from ..engine.jobs import Job, check_affordable, create_job
from ..engine.transactions import transaction
from ..registry import registry_for
from ..worker import worker_for
from .asked import LIMITS, Asked, asked_by_fields, asked_by_json, form_fields, json_object
from .form import FIELDS, form_page
from .shapes import collection_json, job_json
from .visit import Urls, Visit


async def show(visit: Visit) -> Response:
    """The form, with what the collection has or what the address says filled in."""
    visit.require_writable()
    fields = {name: visit.request.args.getlist(name) for name in FIELDS}
    if any(fields.values()):
        return await form_page(visit, asked_by_fields(fields), strict=True)
    present = visit.collection.definition
    cut = {"chunking": present.chunking.as_json() if present.chunking else False}
    return await form_page(visit, Asked(present.columns, present.template, present.model, cut=cut))


async def begin(visit: Visit) -> Response:
    """Make the successor and a job for it."""
    visit.require_writable()
    if visit.is_json:
        body = await json_object(visit.request, ("columns", "template", "model", "chunking", "anew", *LIMITS))
        anew = body.pop("anew", False)
        if not isinstance(anew, bool):
            raise EmbedError("'anew' must be true or false")
        successor, job = await _begin(visit, replace(asked_by_json(body), anew=anew))
        price = registry_for(visit.datasette).price(successor)
        shown = {"collection": collection_json(visit.collection, visit.database.name), "job": job_json(job, price)}
        return visit.json({**shown, "change": collection_json(successor, visit.database.name)}, 201)
    fields = await form_fields(visit.request)
    asked = asked_by_fields(fields)
    if "preview" in fields:
        return await form_page(visit, asked, strict=True)
    try:
        await _begin(visit, _whole(asked))
    except EmbedError as error:
        return await form_page(visit, asked, error=error)
    return Response.redirect(Urls(visit.datasette).collection(visit.database.name, visit.collection.name), status=303)


async def _begin(visit: Visit, asked: Asked) -> tuple[Collection, Job]:
    present = visit.collection
    registered = registry_for(visit.datasette).find(asked.model or present.model)

    def made(conn: sqlite3.Connection) -> tuple[Collection, Job]:
        with transaction(conn):
            wanted = changed(conn, present, registered.model, asked.columns, asked.template, **asked.chunking)
            check_affordable(asked.limits, registered.model, binary=wanted.binary)
            successor = begin_change(conn, present.name, wanted, plugin=registered.plugin, anew=asked.anew)
            return successor, create_job(conn, successor.id, actor=visit.actor_id, limits=asked.limits)

    result = await visit.write(made)
    worker_for(visit.datasette).wake()
    return result


def _whole(asked: Asked) -> Asked:
    """What a form asks for: a template that was left empty is no template, and not the present one."""
    return replace(asked, template=asked.template or "")
