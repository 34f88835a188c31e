"""What a person may do with a collection's jobs: one guarded change of status each."""

from __future__ import annotations

import sqlite3

from ..collections import now
from ..errors import Conflict, EmbedError
from ..transactions import transaction
from .job import CANCELLED, FAILED, PAUSED, PENDING, RUNNING, Job
from .limits import NOTHING, Given
from .stored import get_job, latest_job, set_limits

# action: (statuses it may be taken in, status it leads to)
_ACTIONS = {
    "pause": ((PENDING, RUNNING), PAUSED),
    "resume": ((PAUSED, FAILED), PENDING),
    "cancel": ((PENDING, RUNNING, PAUSED), CANCELLED),
}


def act(conn: sqlite3.Connection, collection_id: int, action: str, limits: Given = NOTHING) -> Job:
    """Pause, resume or cancel the collection's jobs, those that wait behind the running one too.

    Conflict where the status of the newest forbids it. What is given of `limits` is the newest's from then on.
    """
    if action not in _ACTIONS:
        raise EmbedError(f"There is no action {action!r}; the actions are pause, resume, cancel, update and delete")
    before, after = _ACTIONS[action]
    with transaction(conn):
        job = latest_job(conn, collection_id)
        if job is None or job.status not in before:
            raise Conflict(f"There is nothing to {action}: " + _state(job))
        others = tuple(status for status in before if status != FAILED)  # what failed before the newest stays so
        conn.execute(
            # Paused and resumed, it keeps its owner: the batch in flight, perhaps paid for, may still be saved.
            "update _embed_jobs set status = ?, reason = null, lease_expires = null, updated = ?, ended = ?,"
            " owner = case ? when 'cancelled' then null else owner end"
            f" where collection_id = ? and (id = ? or status in ({', '.join('?' * len(others))}))",
            (after, now(), now() if after == CANCELLED else None, after, collection_id, job.id, *others),
        )
        set_limits(conn, job.id, limits)
        return get_job(conn, job.id)


def _state(job: Job | None) -> str:
    return f"the last job is {job.status}" if job else "there is no job yet"
