"""The worker: runs the jobs of one server process in the background, and loads models before they are asked for."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import importlib.metadata
import inspect
import logging
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from . import compat
from .engine import jobs
from .engine.collections import every_collection
from .engine.errors import EmbedError, LeaseLost, OlderSchema, raising
from .engine.models import EmbeddingModel, embed_contents, is_ready, load
from .engine.prices import price_of
from .engine.running import run_job
from .engine.schema import migrate
from .raised import raise_in_server, remember_loop
from .registry import registry_for

T = TypeVar("T")
logger = logging.getLogger("datasette_embeddings")

POLL_SECONDS = 2.0  # for jobs that another process left, or that the command line created
CLOSE_SECONDS = 8.0  # for the batch in flight, when the server stops

OTHER = "datasette-embeddings"  # another project's distribution, whose import package has the name of ours


class DatabaseAccess:
    """The engine's way to one of Datasette's databases, from threads outside the event loop."""

    def __init__(self, database, loop: asyncio.AbstractEventLoop, closed: threading.Event) -> None:
        self._database, self._loop, self._closed = database, loop, closed

    def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that only reads, on one of Datasette's reading threads."""
        if self._database.is_memory:  # its connections share one cache, where a reader and a writer refuse each other
            return self.write(fn)
        return self._wait(self._database.execute_fn(fn))

    def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that may write, on the database's writing thread."""
        return self._wait(compat.write(self._database, fn))

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            if self._closed.is_set() or self._loop.is_closed():
                raise LeaseLost("The server is stopping")
            return self._result(asyncio.run_coroutine_threadsafe(call, self._loop))
        finally:
            if inspect.getcoroutinestate(call) == inspect.CORO_CREATED:
                call.close()  # the loop ended before it began: Python would warn that nobody awaited it

    def _result(self, future: concurrent.futures.Future[T]) -> T:
        while True:
            try:
                return future.result(timeout=1)
            except concurrent.futures.TimeoutError:
                if self._closed.is_set():  # the loop that would answer is gone
                    raise LeaseLost("The server is stopping") from None
            except concurrent.futures.CancelledError:
                raise LeaseLost("The server is stopping") from None


class Worker:
    """Takes up one job after another until it is closed."""

    def __init__(self, datasette) -> None:
        self.datasette = datasette
        self.owner = jobs.new_owner()
        self._stop = threading.Event()  # finish the batch in flight, then give the job back
        self._closed = threading.Event()  # nothing may reach the databases any more
        self._awake: asyncio.Event | None = None
        self._task: asyncio.Task | None = None
        self._warming: asyncio.Task | None = None
        self._running: tuple[Any, jobs.Job] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._awake = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())
        if registry_for(self.datasette).config.warm:
            self._warming = asyncio.get_running_loop().create_task(self._warm())

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
        if self._running is not None:
            database, job = self._running
            with contextlib.suppress(sqlite3.Error, EmbedError):
                await compat.write(database, lambda conn: jobs.release(conn, job.id, self.owner))

    async def _run(self) -> None:
        assert self._awake is not None
        while not self._stop.is_set():
            claimed = await self._claim()
            if claimed is None:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), POLL_SECONDS)
                self._awake.clear()
                continue
            self._running = claimed
            await self._work(*claimed)
            self._running = None

    async def _claim(self) -> tuple[Any, jobs.Job] | None:
        for database in compat.databases(self.datasette):
            if not database.is_mutable:
                continue
            try:
                job = await self._claimable(database)
                if job and await compat.write(database, lambda conn, job=job: jobs.claim(conn, job.id, self.owner)):
                    return database, job
            except Exception as error:  # a lock, a read-only file: the next look may do better
                logger.debug("No job could be taken from %s: %s", database.name, error)
        return None

    async def _claimable(self, database) -> jobs.Job | None:
        try:
            return await database.execute_fn(jobs.claimable_job)
        except OlderSchema:
            await compat.write(database, migrate)
            return await database.execute_fn(jobs.claimable_job)

    async def _work(self, database, job: jobs.Job) -> None:
        access = DatabaseAccess(database, asyncio.get_running_loop(), self._closed)
        find_model = registry_for(self.datasette).model
        try:
            done = await _in_daemon_thread(
                lambda: run_job(access, job, self.owner, find_model, stop=self._stop), "embed-worker"
            )
        except Exception as error:
            if raising():
                raise_in_server(self.datasette, error)
            logger.exception("Job %s of %s stopped by a fault of ours", job.id, database.name)
        else:
            if done.status in (jobs.FAILED, jobs.PAUSED) and done.reason:
                logger.warning("Job %s of %s is %s: %s", done.id, database.name, done.status, done.reason)

    async def _warm(self) -> None:
        """Load the models of the collections that are there, so that the first query need not wait."""
        registry = registry_for(self.datasette)
        names = set()
        for database in compat.databases(self.datasette):
            with contextlib.suppress(sqlite3.Error, EmbedError):
                names |= {collection.model for collection in await database.execute_fn(every_collection)}
        for name in sorted(names):
            try:
                model = registry.model(name)
                await _in_daemon_thread(lambda model=model: warm(model), "embed-warm")
            except Exception as error:
                if raising():
                    raise_in_server(self.datasette, error)
                logger.warning("%s", error)


def warm(model: EmbeddingModel) -> None:
    """Make a model ready; one that loads inside embed_batch() gets a word to embed, unless that might cost."""
    load(model)
    if not is_ready(model) and model.supports_text and not (model.needs_key or model.remote or price_of(model)):
        embed_contents(model, ["warm"])


def worker_for(datasette) -> Worker:
    """The worker of this instance."""
    if not hasattr(datasette, "_embed_worker"):
        datasette._embed_worker = Worker(datasette)
    return datasette._embed_worker


def asgi_wrapper(datasette):
    """Start the worker with the server and stop it with the server, the same way on both Datasette lines."""

    def wrap(app):
        async def wrapped(scope, receive, send):
            remember_loop(datasette)
            if scope["type"] != "lifespan":
                return await app(scope, receive, send)

            async def watched():
                message = await receive()
                if message["type"] == "lifespan.startup":
                    worker_for(datasette).start()
                elif message["type"] == "lifespan.shutdown":
                    await worker_for(datasette).close()
                return message

            await app(scope, watched, send)

        return wrapped

    return wrap


def startup(datasette) -> None:
    """Build the registry before the first request: what is wrong with models or configuration ends the start."""
    _warn_of_the_other()
    try:
        registry_for(datasette)
    except EmbedError as error:
        if raising():
            raise
        raise compat.CannotStart(str(error)) from error
    for name in compat.published_keys(datasette):
        raise compat.CannotStart(
            f"The key {name!r} stands in the metadata, which Datasette 0.65 shows to everybody at /-/metadata.json: "
            'write {"$env": "…"} there, with the name of an environment variable that holds it'
        )


def _warn_of_the_other() -> None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution(OTHER)
        logger.warning(
            "%s is installed too, and it and datasette-embed overwrite each other's files: "
            "run `pip uninstall %s datasette-embed`, then install the one you want again",
            OTHER,
            OTHER,
        )


async def _in_daemon_thread(fn: Callable[[], T], name: str) -> T:
    """asyncio.to_thread() on a thread that does not hold up the end of the process: a model's call may take minutes."""
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        try:
            future.set_result(fn())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)
