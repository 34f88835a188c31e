"""One pass over a table: run by this process, or watched while another one runs it, and taken over if that dies."""

from __future__ import annotations

import concurrent.futures
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..engine import jobs
from ..engine.access import FileAccess
from ..engine.collections import Collection, Definition, create_collection, every_collection
from ..engine.errors import Conflict, NotFound
from ..engine.follow.following import follow, unfollow
from ..engine.models import EmbeddingModel
from ..engine.retries import retry, try_all
from ..engine.running import run_job
from ..engine.transactions import transaction
from ..wording import progress_text
from .interrupts import Interrupts
from .progress import Progress

TICK_SECONDS = 0.1  # between two looks at Ctrl-C
WATCH_SECONDS = 0.5  # between two looks at another process's job


# Within one transaction, so that a server's worker, which looks for jobs all the time, is never quicker: the
# collection, its job, and whether this owner could claim that.
Take = Callable[[sqlite3.Connection, str], tuple[Collection, jobs.Job, bool]]


@dataclass(frozen=True)
class Wish:
    """What a person typed: a definition, and the name of the collection or else what its name is made with."""

    definition: Definition
    name: str | None
    alias: str
    plugin: str  # that registered the model
    follow: bool | None = None  # whether its table's changes are to be noted; None: as it is


class Pass:
    """A job on its way to its end, whoever runs it: `job` as it was seen last, `is_ours` while we hold its lease."""

    def __init__(
        self,
        access: FileAccess,
        owner: str,
        find_model: Callable[[str], EmbeddingModel],
        take: Take,
        interrupts: Interrupts,
        progress: Progress,
    ) -> None:
        self.access, self.owner, self.find_model = access, owner, find_model
        self.interrupts, self.progress = interrupts, progress
        self.collection, self.job, self.is_ours = access.write(lambda conn: take(conn, owner))
        self._introduce()

    def to_the_end(self) -> None:
        """Run or watch until the job has ended, was paused, or Ctrl-C was pressed."""
        try:
            self._stretch()
            while self.job.is_active and not self.interrupts.asked:
                self.is_ours = self.access.write(lambda conn: jobs.claim(conn, self.job.id, self.owner))
                self.look()
                self._stretch()
        except (NotFound, sqlite3.OperationalError):
            self._refuse_if_gone()
            raise
        self._refuse_if_gone()

    def look(self) -> None:
        """Read the job as it now stands."""
        self.job = self.access.read(lambda conn: jobs.get_job(conn, self.job.id))

    def _introduce(self) -> None:
        name, job = self.collection.name, self.job
        self.progress.label = name
        if not self.is_ours:
            self.progress.say(f"{name} is being embedded by another process ({job.owner}), which this one watches")
        elif job.rows_done:
            self.progress.say(f"{name}: going on after {progress_text(job)}")
        else:
            self.progress.say(f"{name}: embedding by {self.collection.model}")

    def _stretch(self) -> None:
        if self.is_ours:
            self._run()
        else:
            self._watch()

    def _refuse_if_gone(self) -> None:
        if self.collection.id not in {collection.id for collection in self.access.read(every_collection)}:
            raise NotFound(f"{self.collection.name} was removed while it was being embedded")

    def _run(self) -> None:
        """Run it on a thread: a long call of the model would keep the main one from hearing Ctrl-C."""
        stop = threading.Event()
        future = _in_daemon_thread(
            lambda: run_job(
                self.access, self.job, self.owner, self.find_model, stop=stop, on_progress=self.progress.note
            )
        )
        while not future.done():
            concurrent.futures.wait([future], timeout=TICK_SECONDS)
            self.progress.draw()
            if self.interrupts.asked and not stop.is_set():
                stop.set()
                self.progress.say("Stopping after the batch in flight; Ctrl-C again stops at once")
        self.job = future.result()
        # Another process may have it now: the lease ran out, as when the computer slept.
        self.is_ours = self.job.status != jobs.RUNNING or self.job.owner == self.owner

    def _watch(self) -> None:
        """Show what another process does until it ends, gives the job back, or its lease runs out."""
        while not self.interrupts.asked:
            time.sleep(WATCH_SECONDS)
            self.look()
            self.progress.note(self.job)
            self.progress.draw()
            if self.job.status != jobs.RUNNING or (self.job.lease_expires or 0) < time.time():
                return


def take(
    conn: sqlite3.Connection, wish: Wish, owner: str, limits: jobs.Given = jobs.NOTHING, *, failed: bool = False
) -> tuple[Collection, jobs.Job, bool]:
    """The collection that was wished for, with its job, or with one over the rows that failed."""
    with transaction(conn):
        collection, _ = create_collection(conn, wish.definition, name=wish.name, alias=wish.alias, plugin=wish.plugin)
        if wish.follow is not None:
            collection = (follow if wish.follow else unfollow)(conn, collection)
        return (try_again if failed else go_on)(conn, collection, owner, limits)


def try_again(
    conn: sqlite3.Connection, collection: Collection, owner: str, limits: jobs.Given = jobs.NOTHING
) -> tuple[Collection, jobs.Job, bool]:
    """The collection, a new job over its rows that failed, and whether we could claim that; Conflict where none has."""
    with transaction(conn):
        job = retry(conn, collection.id, limits=limits)
        claimed = jobs.claim(conn, job.id, owner)
        return collection, jobs.get_job(conn, job.id), claimed


def go_on(
    conn: sqlite3.Connection, collection: Collection, owner: str, limits: jobs.Given = jobs.NOTHING
) -> tuple[Collection, jobs.Job, bool]:
    """The collection, its unfinished job or a new one, and whether we could claim that.

    Conflict where another process runs it, and limits are given.
    """
    with transaction(conn):
        try_all(conn, collection)
        job = jobs.latest_job(conn, collection.id)
        unfinished = job and job.status in (jobs.PENDING, jobs.RUNNING, jobs.PAUSED)
        if job is None or not unfinished or job.kind == jobs.NOTED:  # every row was asked for
            job = jobs.create_job(conn, collection.id)
        elif job.status == jobs.PAUSED:
            job = jobs.act(conn, collection.id, "resume")
        claimed = jobs.claim(conn, job.id, owner)
        if limits and not claimed:
            raise Conflict(
                f"{collection.name} is being embedded by another process, under limits of its own: pause that first"
            )
        jobs.set_limits(conn, job.id, limits)
        return collection, jobs.get_job(conn, job.id), claimed


def _in_daemon_thread(fn: Callable[[], jobs.Job]) -> concurrent.futures.Future[jobs.Job]:
    future: concurrent.futures.Future[jobs.Job] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(fn())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="embed-job", daemon=True).start()
    return future
