"""One pass over a table: run by this process, or watched while another one runs it, and taken over if that dies."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..engine import jobs
from ..engine.access import FileAccess
from ..engine.collections import Collection, Definition, create_collection
from ..engine.models import EmbeddingModel
from ..engine.running import run_job
from ..engine.transactions import transaction
from .interrupts import Interrupts
from .progress import Progress

TICK_SECONDS = 0.1  # between two looks at Ctrl-C
WATCH_SECONDS = 0.5  # between two looks at another process's job


@dataclass(frozen=True)
class Taken:
    """A collection and the job that brings it up to date."""

    collection: Collection
    job: jobs.Job
    is_ours: bool  # False: another process runs it
    is_resumed: bool


def take(conn, definition: Definition, owner: str, *, name: str | None, alias: str) -> Taken:
    """The collection with its unfinished job, or a new one, claimed, in one transaction: no worker is quicker."""
    with transaction(conn):
        collection, _ = create_collection(conn, definition, name=name, alias=alias)
        job = jobs.latest_job(conn, collection.id)
        resumed = job is not None and job.status in (jobs.PENDING, jobs.RUNNING, jobs.PAUSED)
        if job is None or not resumed:
            job = jobs.create_job(conn, collection.id)
        elif job.status == jobs.PAUSED:
            job = jobs.act(conn, collection.id, "resume")
        claimed = jobs.claim(conn, job.id, owner)
        return Taken(collection, jobs.get_job(conn, job.id), claimed, resumed and job.started is not None)


class Pass:
    """A job on its way to its end, whoever runs it."""

    def __init__(
        self,
        access: FileAccess,
        owner: str,
        find_model: Callable[[str], EmbeddingModel],
        interrupts: Interrupts,
        progress: Progress,
    ) -> None:
        self.access, self.owner, self.find_model = access, owner, find_model
        self.interrupts, self.progress = interrupts, progress

    def to_the_end(self, job: jobs.Job, is_ours: bool) -> jobs.Job:
        """The job once it has ended, was paused, or Ctrl-C was pressed."""
        while True:
            job = self._run(job) if is_ours else self._watch(job)
            if self.interrupts.asked or not job.is_active:
                return job
            is_ours = self._write(jobs.claim, job)
            job = self._read(job)

    def _run(self, job: jobs.Job) -> jobs.Job:
        """Run it on a thread: a long call of the model would keep the main one from hearing Ctrl-C."""
        stop, latest = threading.Event(), [job]
        future = _in_daemon_thread(
            lambda: run_job(
                self.access, job, self.owner, self.find_model, stop=stop, on_progress=lambda job: latest.append(job)
            )
        )
        while not future.done():
            concurrent.futures.wait([future], timeout=TICK_SECONDS)
            self.progress.show(latest[-1])
            if self.interrupts.asked and not stop.is_set():
                stop.set()
                self.progress.say("Stopping after the batch in flight; Ctrl-C again stops at once")
        return future.result()

    def _watch(self, job: jobs.Job) -> jobs.Job:
        """Show the progress that another process makes, until it ends, gives the job back, or its lease runs out."""
        while not self.interrupts.asked:
            time.sleep(WATCH_SECONDS)
            job = self._read(job)
            self.progress.show(job)
            if job.status != jobs.RUNNING or (job.lease_expires or 0) < time.time():
                break
        return job

    def _read(self, job: jobs.Job) -> jobs.Job:
        return self.access.read(lambda conn: jobs.get_job(conn, job.id))

    def _write(self, fn: Callable, job: jobs.Job):
        return self.access.write(lambda conn: fn(conn, job.id, self.owner))


def _in_daemon_thread(fn: Callable[[], jobs.Job]) -> concurrent.futures.Future[jobs.Job]:
    future: concurrent.futures.Future[jobs.Job] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(fn())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="embed-job", daemon=True).start()
    return future
