"""The page of one collection: how far it is, what failed, and the buttons."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from datasette import Response

from .. import compat
from ..engine import jobs
from ..engine.changing import accept_change, cancel_change, successor_of
from ..engine.collections import Collection, delete_collection, get_collection
from ..engine.errors import EmbedError, UnknownModel
from ..engine.jobs import NOTHING, Given, Job, check_affordable, create_job, latest_job
from ..engine.retries import retry, try_all
from ..engine.states import one_state
from ..engine.status import RowCounts
from ..permissions import may_embed_table
from ..registry import registry_for
from ..wording import long_texts
from ..worker import worker_for
from .asked import LIMITS, form_fields, json_object, limits_in_fields, limits_in_json
from .counts import row_counts
from .example import example_sql, example_url
from .failures import failures
from .following import following_json, mend, switch
from .shapes import actions, collection_json, job_json
from .visit import Urls, Visit, is_writable

ROWS = ("total", "embedded", "pending", "failed", "empty")
LIMITED = ("resume", "update", "retry")  # make the model work, and take limits
ACTIONS = ("pause", "resume", "cancel", "update", "retry", "accept", "follow", "unfollow", "delete")


async def show(visit: Visit) -> Response:
    """How the collection stands."""
    await mend(visit)
    return await _shown(visit)


async def act(visit: Visit) -> Response:
    """Take one of the actions; a form asks before it deletes."""
    if visit.is_json:
        body = await json_object(visit.request, ("action", *LIMITS))
        return visit.json(await _taken(visit, body.get("action"), limits_in_json(body)))
    fields = await form_fields(visit.request)
    action = (fields.get("action") or [""])[-1]
    if action == "delete" and "confirm" not in fields:
        visit.require_writable()
        return await visit.page("embed_delete.html", await _data(visit))
    try:
        await _taken(visit, action, limits_in_fields(fields) if action in LIMITED else NOTHING)
    except EmbedError as error:
        return await _shown(visit, error)
    urls, database = Urls(visit.datasette), visit.database.name
    if action != "delete":
        return Response.redirect(urls.collection(database, visit.collection.name), status=303)
    response = Response.redirect(urls.database(database), status=303)
    visit.datasette.add_message(visit.request, f"The collection {visit.collection.name!r} is deleted")
    return response


async def _taken(visit: Visit, action: object, limits: Given) -> dict[str, Any]:
    """Take the action and wake the worker; what the JSON answers."""
    if action not in ACTIONS:
        raise EmbedError(f"There is no action {action!r}; the actions are {', '.join(ACTIONS)}")
    if limits and action not in LIMITED:
        raise EmbedError(f"{' and '.join(limits)} can be given with {', '.join(LIMITED)}, and not with {action}")
    visit.require_writable()
    collection, registry = visit.collection, registry_for(visit.datasette)
    subject = await visit.database.execute_fn(lambda conn: successor_of(conn, collection)) or collection
    if action in LIMITED:
        check_affordable(limits, registry.model(subject.model), binary=subject.definition.binary)
    job = await visit.write(lambda conn: _take(conn, collection, str(action), visit.actor_id, limits))
    worker_for(visit.datasette).wake()
    if action == "delete":
        return {"deleted": collection.name}
    present = await visit.database.execute_fn(lambda conn: get_collection(conn, collection.name))
    return {
        "collection": collection_json(present, visit.database.name),
        "job": job_json(job, registry.price(subject)),
    }


def _take(
    conn: sqlite3.Connection, collection: Collection, action: str, actor: str | None, limits: Given
) -> Job | None:
    """Take the action on what grows in the collection's place, where it is being changed; the job to show."""
    successor = successor_of(conn, collection)
    if action == "delete":
        delete_collection(conn, collection.name)
        return None
    if action == "accept":
        return latest_job(conn, accept_change(conn, collection).id)
    if action == "cancel" and successor:
        cancel_change(conn, collection)
        return latest_job(conn, collection.id)
    subject = successor or collection
    if action in ("follow", "unfollow"):
        switch(conn, collection, action == "follow", new=False)
        return latest_job(conn, subject.id)
    if action in ("resume", "update"):
        try_all(conn, subject)
    if action == "update":
        return create_job(conn, subject.id, actor=actor, limits=limits)
    if action == "retry":
        return retry(conn, subject.id, actor=actor, limits=limits)
    return jobs.act(conn, subject.id, action, limits)


@dataclass(frozen=True)
class Standing:
    """A collection, what is to replace it, its rows and the job, at one moment."""

    collection: Collection
    successor: Collection | None
    job: Job | None  # to be shown: the successor's, where there is one
    following: dict[str, Any]
    counts: RowCounts | None
    problem: str | None  # why there are no counts
    failures: dict[str, Any]  # the successor's, where there is one


def _standing(conn: sqlite3.Connection, visit: Visit, after: int) -> Standing:
    with one_state(conn):
        collection = get_collection(conn, visit.collection.name)
        successor = successor_of(conn, collection)
        last = latest_job(conn, collection.id)
        counts, problem = _counted(conn, visit, collection, last)
        job = latest_job(conn, successor.id) if successor else last
        failed = failures(conn, successor or collection, after)
        return Standing(collection, successor, job, following_json(conn, collection), counts, problem, failed)


def _counted(
    conn: sqlite3.Connection, visit: Visit, collection: Collection, job: Job | None
) -> tuple[RowCounts | None, str | None]:
    """The counts, or what is wrong: the table or a column of it is gone."""
    try:
        return row_counts(visit.datasette, conn, visit.database.name, collection, job), None
    except (EmbedError, sqlite3.OperationalError) as error:
        return None, str(error)


async def _data(visit: Visit) -> dict[str, Any]:
    """All that the JSON says of a collection."""
    database = visit.database
    after = _after(visit.request.args.get("_next") or "0")
    standing = await database.execute_fn(lambda conn: _standing(conn, visit, after))
    collection, job, counts, failed = standing.collection, standing.job, standing.counts, standing.failures
    writable = is_writable(database)
    may_embed = writable and await may_embed_table(visit.datasette, visit.actor, database.name, collection.table)
    for row in failed["rows"]:
        path = row.pop("row_path")
        row["url"] = visit.datasette.urls.row(database.name, collection.table, path) if path else None
    return {
        "collection": collection_json(collection, database.name),
        "rows": counts and {name: getattr(counts, name) for name in ROWS},
        "exact": counts and counts.exact,
        **standing.following,
        "job": job_json(job, registry_for(visit.datasette).price(standing.successor or collection)),
        "change": collection_json(standing.successor, database.name) if standing.successor else None,
        "errors": failed,
        "actions": _actions(standing) if may_embed else [],
        "read_only": not writable,
        "problem": standing.problem,
    }


def _actions(standing: Standing) -> list[str]:
    follow, changing = standing.collection.follow, standing.successor is not None
    return actions(standing.job, follow=follow, failed=standing.failures["total"], changing=changing)


def _after(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise EmbedError("_next is what `next` under `errors` says, a whole number")
    return int(text)


async def _shown(visit: Visit, error: EmbedError | None = None) -> Response:
    data = await _data(visit)
    if visit.is_json:
        return visit.json(data)
    context = {**data, "error": str(error) if error else None, **await _beside(visit, data)}
    return await visit.page("embed_collection.html", context, error.status if error else 200)


async def _beside(visit: Visit, data: dict[str, Any]) -> dict[str, Any]:
    """What only the page shows: a query to try, and what may help a job that waits for a lock."""
    registry, database = registry_for(visit.datasette), visit.database
    sql = await database.execute_fn(lambda conn: example_sql(conn, visit.collection, registry))
    may_query = await compat.allowed(visit.datasette, visit.actor, "execute-sql", database.name)
    reason = (data["job"] or {}).get("reason") or ""
    locked = "is locked" in reason and await database.execute_fn(_journal_mode) != "wal"
    try:
        max_tokens = registry.model(visit.collection.model).max_tokens
    except UnknownModel:
        max_tokens = None
    return {
        "long_texts": long_texts(visit.collection.definition, max_tokens),
        "example_sql": sql,
        "example_url": example_url(visit.datasette, database, sql) if sql and may_query else None,
        "recommend_wal": locked,
    }


def _journal_mode(conn: sqlite3.Connection) -> str:
    return conn.execute("pragma journal_mode").fetchone()[0]
