"""Running a job, for the worker and the command line alike: reading, the model and writing overlap."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from .. import jobs
from ..access import Access
from ..errors import EmbedError, LeaseLost, NotFound, raising
from ..models import EmbeddingModel
from ..transactions import is_passing
from .budget import LimitReached
from .lease import kept_lease
from .walk import Walk

__all__ = ["run_job"]

RETRY_SECONDS = 1.0  # between two attempts to write down why a job stopped


def run_job(
    access: Access,
    job: jobs.Job,
    owner: str,
    find_model: Callable[[str], EmbeddingModel],
    *,
    stop: threading.Event | None = None,
    on_progress: Callable[[jobs.Job], None] | None = None,
) -> jobs.Job:
    """Run a job that this process has claimed, to its end or until it is taken away; the job as it then stands.

    What is wrong with the job stands in its reason afterwards; `stop` gives it back after the batch in flight.
    """
    stop = stop or threading.Event()
    try:
        with kept_lease(access, job.id, owner):
            Walk(access, job, owner, find_model, stop, on_progress).all()
    except LeaseLost:
        pass  # paused, cancelled, deleted or taken over: whoever did it has said so in the job
    except LimitReached as limit:
        _end(access, job.id, owner, jobs.PAUSED, str(limit), stop)
    except Exception as error:
        _answer(access, job, owner, error, stop)
    return _as_it_stands(access, job)


def _answer(access: Access, job: jobs.Job, owner: str, error: Exception, stop: threading.Event) -> None:
    """Keep the reason with the job; raise the error where that was asked for, or where it is a fault of ours."""
    with suppress(sqlite3.Error):
        if not access.read(lambda conn: jobs.is_ours(conn, job.id, owner)):
            return  # what went wrong is that somebody deleted the collection, or took the job away
    is_ours = not isinstance(error, EmbedError | sqlite3.Error)
    if raising():
        with suppress(sqlite3.Error, EmbedError):
            access.write(lambda conn: jobs.release(conn, job.id, owner))
        raise error
    status, reason = jobs.FAILED, f"A fault in datasette-embed: {error!r}" if is_ours else str(error)
    if is_passing(error):
        status = jobs.PAUSED
        reason = f"SQLite says: {error}. Nothing stored is lost; resume when that is mended"
    _end(access, job.id, owner, status, reason, stop)
    if is_ours:
        raise error


def _end(access: Access, job_id: int, owner: str, status: str, reason: str, stop: threading.Event) -> None:
    while True:
        try:
            access.write(lambda conn: jobs.end(conn, job_id, owner, status, reason))
        except LeaseLost:
            return
        except sqlite3.Error as unwritten:  # the same lock or full disk, most likely: what pauses must wait for it
            if not is_passing(unwritten) or stop.wait(RETRY_SECONDS):
                return
        else:
            return


def _as_it_stands(access: Access, job: jobs.Job) -> jobs.Job:
    try:
        return access.read(lambda conn: jobs.get_job(conn, job.id))
    except NotFound:
        return replace(job, status=jobs.CANCELLED, reason="The collection was deleted")
    except (LeaseLost, sqlite3.Error):  # the server is stopping, or the file is locked: as we last knew it
        return job
