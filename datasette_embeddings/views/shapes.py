"""Collections, jobs and models as our JSON has them."""

from __future__ import annotations

from typing import Any

from ..engine import jobs
from ..engine.collections import Collection
from ..engine.jobs import Job
from ..engine.prices import cost_of
from ..registry import Registry
from ..wording import duration, spent_text
from .words import progress, without_folders

# What a person may do, by the status of the job; a collection can always be deleted.
_ACTIONS = {
    jobs.PENDING: ("pause", "cancel"),
    jobs.RUNNING: ("pause", "cancel"),
    jobs.PAUSED: ("resume", "cancel"),
    jobs.FAILED: ("resume", "update"),
    jobs.CANCELLED: ("update",),
    jobs.FINISHED: ("update",),
}


def collection_json(collection: Collection, database: str) -> dict[str, Any]:
    """A collection and how it is embedded."""
    chunking = collection.definition.chunking
    return {
        "name": collection.name,
        "database": database,
        "table": collection.table,
        "columns": list(collection.definition.columns),
        "template": collection.definition.template,
        "chunking": chunking.as_json() if chunking else None,
        "model": collection.model,
        "dimensions": collection.dimensions,
        "created": collection.created,
        "follow": collection.follow,
    }


def job_json(job: Job | None, price: float | None = None) -> dict[str, Any] | None:
    """A job and how far it has come; neither its owner, which names the host, nor who asked for it.

    Tokens and cost are null where the model has no price.
    """
    if job is None:
        return None
    names = ("id", "kind", "status", "rows_total", "rows_done", "embedded", "reused", "unchanged", "empty", "failed")
    counts = ("postponed", "removed", "contents", "rate")
    return {
        **{name: getattr(job, name) for name in (*names, *counts)},
        **{name: getattr(job, name) for name in ("created", "started", "updated", "ended", "max_cost", "max_rows")},
        "tokens": None if price is None else job.tokens,
        "cost": None if price is None else cost_of(job.tokens, price),
        "spent": None if price is None else spent_text(job, price),
        "reason": without_folders(job.reason) if job.reason else None,
        "cause": job.cause,
        "seconds_left": job.seconds_left,
        "time_left": None if job.seconds_left is None else duration(job.seconds_left),
        "progress": progress(job),
        "active": job.is_active,
    }


def actions(job: Job | None, *, follow: bool, failed: int = 0, changing: bool = False) -> list[str]:
    """What can be done with a collection whose last job this is, or the job of what is to replace it.

    `failed` is how many of its rows have failed.
    """
    possible = [*(_ACTIONS[job.status] if job else ("update",)), "unfollow" if follow else "follow", "delete"]
    if failed and "update" in possible:
        possible.insert(possible.index("update") + 1, "retry")
    if not changing:
        return possible
    ended = ["accept"] if job and job.status == jobs.FINISHED else []
    return [*ended, *possible, *(["cancel"] if "cancel" not in possible else [])]


def models_json(registry: Registry) -> list[dict[str, Any]]:
    """Every model of this instance."""
    models = [entry.as_json() for entry in registry.models]
    return [{**model, "missing": model["missing"] and without_folders(model["missing"])} for model in models]
