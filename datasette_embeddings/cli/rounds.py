"""Rounds over the collections of a file: each brought up to date as far as nobody has stopped that."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import click

from ..engine import jobs
from ..engine.access import FileAccess
from ..engine.collections import Collection, collection_by_id, every_collection, get_collection
from ..engine.errors import Conflict, EmbedError
from ..engine.failures import ask_again
from ..engine.follow.attending import attend_to, look
from ..engine.follow.mending import watched
from ..engine.retries import due_collections, retry, retry_due
from ..engine.transactions import is_passing, transaction
from ..registry import Registry
from .interrupts import Interrupts
from .passes import TICK_SECONDS, Pass
from .progress import Progress
from .report import say_failures, summary

POLL_SECONDS = 2.0  # between two looks at the file, as a server's worker does
PASSES = 3  # over one collection in a round: what is written meanwhile must not keep it from the others


class Rounds:
    """Rounds by one process, over all collections or the one of a name."""

    def __init__(
        self,
        access: FileAccess,
        registry: Registry,
        name: str | None,
        interrupts: Interrupts,
        *,
        retry_failed: bool = False,
    ) -> None:
        self.access, self.registry, self.name, self.interrupts = access, registry, name, interrupts
        self.retry_failed = retry_failed  # all rows that failed, not only those whose time has come
        self.owner = jobs.new_owner()
        self.has_failed = False

    def once(self) -> None:
        """Bring every collection up to date, those that are not followed too."""
        chosen = self.access.read(self._chosen)
        if not chosen:
            click.echo("There are no collections")
        for collection in chosen:
            if not self._bring(collection, thorough=True) and not self.interrupts.asked:
                click.echo(f"{collection.name}: nothing has changed")

    def on_and_on(self) -> None:
        """Look every POLL_SECONDS whether a followed collection has changed, until somebody asks to stop."""
        checked = None
        while not self.interrupts.asked:
            try:
                found = self.access.read(lambda conn, checked=checked: look(conn, checked))  # type: ignore[misc]
                checked = found.checked
                is_due = found.is_due or self.access.read(lambda conn: due_collections(conn, self.registry))
                for collection in self.access.read(self._chosen) if is_due else ():
                    self._bring(collection, thorough=False)
            except sqlite3.OperationalError as error:
                if not is_passing(error):
                    raise
            self._wait()

    def _chosen(self, conn: sqlite3.Connection) -> list[Collection]:
        every = every_collection(conn)
        if self.name is None:
            return every
        chosen = get_collection(conn, self.name)
        return [each for each in every if chosen.id in (each.id, each.replaces)]

    def _bring(self, collection: Collection, *, thorough: bool) -> bool:
        """Bring one collection up to date, and tell what kept us from it; False where nothing was to be done."""
        try:
            return self._run_what_is_due(collection, thorough=thorough)
        except Conflict as stopped:
            click.echo(str(stopped), err=True)
        except EmbedError as error:
            self.has_failed = True
            click.echo(f"Error: {error}", err=True)
        return True

    def _run_what_is_due(self, collection: Collection, *, thorough: bool) -> bool:
        for number in range(PASSES):
            is_thorough = thorough and number == 0
            job = self.access.write(lambda conn, all=is_thorough: self._due_job(conn, collection, thorough=all))  # type: ignore[misc]
            if job is None or self.interrupts.asked:
                return number > 0
            self._run(collection, job)
        return True

    def _due_job(self, conn: sqlite3.Connection, collection: Collection, *, thorough: bool) -> jobs.Job | None:
        with transaction(conn):
            is_asked = thorough and self.retry_failed and ask_again(conn, collection.id)
            job = due_job(conn, collection, thorough=thorough)
            if job is None and is_asked:
                return retry(conn, collection.id)
            return job or retry_due(conn, self.registry, collection.id)

    def _run(self, collection: Collection, job: jobs.Job) -> None:
        def take(conn: sqlite3.Connection, owner: str) -> tuple[Collection, jobs.Job, bool]:
            claimed = jobs.claim(conn, job.id, owner)
            return collection, jobs.get_job(conn, job.id), claimed

        began = time.monotonic()
        with closing(Progress()) as progress:
            current = Pass(self.access, self.owner, self.registry.model, take, self.interrupts, progress)
            current.to_the_end()
        if self.interrupts.asked and current.job.is_active:
            return
        click.echo(summary(collection, current.job, time.monotonic() - began, self.registry.price(collection)))
        say_failures(self.access, current.job)

    def _wait(self) -> None:
        until = time.monotonic() + POLL_SECONDS
        while not self.interrupts.asked and time.monotonic() < until:
            time.sleep(TICK_SECONDS)


def due_job(conn: sqlite3.Connection, collection: Collection, *, thorough: bool) -> jobs.Job | None:
    """The job that is to be run for a collection now; Conflict where somebody has stopped it.

    Where `thorough`, one that failed is tried again, and every row of a collection is compared that is not followed.
    """
    with transaction(conn):
        if collection.follow:
            attend_to(conn, collection)
            if thorough:
                watched(conn, collection_by_id(conn, collection.id))  # or says why nothing can be done
        job = jobs.latest_job(conn, collection.id)
        if job is None or job.is_active:
            return job
        if job.status == jobs.FAILED:
            return jobs.act(conn, collection.id, "resume") if thorough else None
        if job.status != jobs.FINISHED:
            raise Conflict(f"{collection.name} is left alone, because its last job is {job.status}{_why(job)}")
        if thorough and not collection.follow and collection.replaces is None:
            return jobs.create_job(conn, collection.id)
        return None


def _why(job: jobs.Job) -> str:
    return f": {job.reason}" if job.reason else ""
