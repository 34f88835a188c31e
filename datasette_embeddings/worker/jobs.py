"""The worker: runs the jobs of one server process in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from dataclasses import dataclass, replace
from typing import Any

from .. import compat
from ..engine import jobs
from ..engine.errors import EmbedError, OlderSchema, raising
from ..engine.follow.attending import Look, attend, look
from ..engine.retries import due_collections, retry_due
from ..engine.running import run_job
from ..engine.schema import migrate
from ..raised import raise_in_server
from ..registry import registry_for
from .access import DatabaseAccess
from .threads import in_daemon_thread
from .warming import warm_all

logger = logging.getLogger("datasette_embeddings")

POLL_SECONDS = 2.0  # for jobs that another process left, or that the command line created
CLOSE_SECONDS = 8.0  # for the batch in flight, when the server stops


@dataclass(eq=False)
class _Running:
    """A job that is at work, or waits for the server of its model."""

    database: Any
    job: jobs.Job  # as it was seen last


class Worker:
    """Takes up one job after another until it is closed, and others while one waits for the server of its model."""

    def __init__(self, datasette) -> None:
        self.datasette = datasette
        self.owner = jobs.new_owner()
        self._stop = threading.Event()  # finish the batch in flight, then give the job back
        self._closed = threading.Event()  # nothing may reach the databases any more
        self._awake: asyncio.Event | None = None
        self._task: asyncio.Task | None = None
        self._warming: asyncio.Task | None = None
        self._running: dict[asyncio.Task, _Running] = {}
        self._checked: dict[str, int | None] = {}  # by database: the schema version at which all triggers were there

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._awake = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())
        if registry_for(self.datasette).config.warm:
            self._warming = asyncio.get_running_loop().create_task(warm_all(self.datasette))

    def wake(self) -> None:
        """Look for jobs at once."""
        if self._awake is not None:
            self._awake.set()

    async def close(self) -> None:
        """Finish the batch in flight if that takes seconds, give the job back, and end."""
        self._stop.set()
        self.wake()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            self._closed.set()
            self._task.cancel()
        for running in list(self._running.values()):
            with contextlib.suppress(sqlite3.Error, EmbedError):
                await compat.write(
                    running.database, lambda conn, job_id=running.job.id: jobs.release(conn, job_id, self.owner)
                )

    async def _run(self) -> None:
        assert self._awake is not None
        while not self._stop.is_set():
            kinds = self._free_for()
            claimed = await self._claim(kinds) if kinds else None
            if claimed is None:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), POLL_SECONDS)
                self._awake.clear()
                continue
            task = asyncio.create_task(self._work(claimed))
            self._running[task] = claimed
            task.add_done_callback(self._ended)
        if self._running:
            await asyncio.wait(self._running)

    def _free_for(self) -> tuple[str, ...]:
        """The kinds of jobs that may begin: beside a long pass, one over rows that changed meanwhile."""
        at_work = {running.job.kind for running in self._running.values() if not running.job.is_waiting}
        if not at_work:
            return jobs.KINDS
        return () if jobs.NOTED in at_work else (jobs.NOTED,)

    def _ended(self, task: asyncio.Task) -> None:
        del self._running[task]
        self.wake()

    async def _claim(self, kinds: tuple[str, ...]) -> _Running | None:
        for database in compat.databases(self.datasette):
            if not database.is_mutable:
                continue
            try:
                job = await self._claimable(database, kinds)
                if job and await compat.write(database, lambda conn, job=job: jobs.claim(conn, job.id, self.owner)):
                    return _Running(database, replace(job, reason=None))
            except Exception as error:  # a lock, a read-only file: the next look may do better
                logger.debug("No job could be taken from %s: %s", database.name, error)
        return None

    async def _claimable(self, database, kinds: tuple[str, ...]) -> jobs.Job | None:
        registry = registry_for(self.datasette)

        def find(conn: sqlite3.Connection) -> tuple[Look, jobs.Job | None, list[int]]:
            seen = look(conn, self._checked.get(database.name))
            return seen, jobs.claimable_job(conn, kinds), due_collections(conn, registry)

        try:
            seen, job, due = await database.execute_fn(find)
        except OlderSchema:
            await compat.write(database, migrate)
            seen, job, due = await database.execute_fn(find)
        self._checked[database.name] = seen.checked
        if job is None and seen.is_due:
            await compat.write(database, lambda conn: attend(conn, thorough=seen.checked is None))
            _, job, due = await database.execute_fn(find)
        if job is None and due and jobs.RETRIED in kinds:
            job = await compat.write(database, lambda conn: retry_due(conn, registry))
        return job

    async def _work(self, running: _Running) -> None:
        loop, database, job = asyncio.get_running_loop(), running.database, running.job
        access = DatabaseAccess(database, loop, self._closed)
        find_model = registry_for(self.datasette).model

        def note(job: jobs.Job) -> None:
            """Called on the job's own thread."""
            changed, running.job = job.is_waiting != running.job.is_waiting, job
            if changed and not loop.is_closed():
                loop.call_soon_threadsafe(self.wake)

        try:
            done = await in_daemon_thread(
                lambda: run_job(access, job, self.owner, find_model, stop=self._stop, on_progress=note), "embed-worker"
            )
        except Exception as error:
            if raising():
                raise_in_server(self.datasette, error)
            logger.exception("Job %s of %s stopped by a fault of ours", job.id, database.name)
        else:
            if done.status in (jobs.FAILED, jobs.PAUSED) and done.reason:
                logger.warning("Job %s of %s is %s: %s", done.id, database.name, done.status, done.reason)


def worker_for(datasette) -> Worker:
    """The worker of this instance."""
    if not hasattr(datasette, "_embed_worker"):
        datasette._embed_worker = Worker(datasette)
    return datasette._embed_worker
