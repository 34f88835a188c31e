"""Running a job, for the worker and the command line alike: reading, the model and writing overlap."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from . import jobs, saving
from .batches import Batch, make_source
from .collections import collection_by_id
from .contents import Content
from .errors import CannotEmbed, EmbedError, LeaseLost, ModelError, ModelUnavailable, raising
from .models import EmbeddingModel, embed_contents, load
from .rows import count_rows, reader
from .saving import Claim, Outcome, TableChanged
from .tables import source_table
from .transactions import is_passing

T = TypeVar("T")

FIRST_BATCH = 32  # contents: the model's pace is not known yet
LARGEST_BATCH = 8192
BATCH_SECONDS = 4.0  # of the model's work: what a kill may lose, and long enough for sorting by length to pay
GIVE_UP_AFTER = 1000  # contents that failed one by one, with not one success before them


class Access(Protocol):
    """How the engine reaches one database from several threads: each call runs fn(conn) and gives its result."""

    def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that only reads."""
        ...

    def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that may write."""
        ...


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
        with _kept_lease(access, job.id, owner):
            _Run(access, job, owner, find_model, stop, on_progress).all()
    except LeaseLost:
        pass  # paused, cancelled, deleted or taken over: whoever did it has said so in the job
    except (EmbedError, sqlite3.Error) as error:
        if raising():
            access.write(lambda conn: jobs.release(conn, job.id, owner))
            raise
        _stopped(access, job.id, owner, error, stop)
    return access.read(lambda conn: jobs.get_job(conn, job.id))


class _Run:
    """One run of one job in this process."""

    def __init__(
        self,
        access: Access,
        job: jobs.Job,
        owner: str,
        find_model: Callable[[str], EmbeddingModel],
        stop: threading.Event,
        on_progress: Callable[[jobs.Job], None] | None,
    ) -> None:
        self.access, self.job, self.owner = access, job, owner
        self.stop, self.on_progress = stop, on_progress
        collection = access.read(lambda conn: collection_by_id(conn, job.collection_id))
        self.dimensions = collection.dimensions
        self.model = find_model(collection.model)
        self.pace = _Pace()
        self.recent = _Recent()

    def all(self) -> None:
        """Walk the rows, drop the vectors of rows that are gone, and finish."""
        load(self.model)
        while True:
            try:
                self._walk()
                break
            except TableChanged:
                continue  # from the first row: what is unchanged costs next to nothing
        if self.stop.is_set():
            self.access.write(lambda conn: jobs.release(conn, self.job.id, self.owner))
            return
        self._sweep()
        self.access.write(lambda conn: saving.finish(conn, self.claim))
        self._report()

    def _walk(self) -> None:
        self._begin()
        with ThreadPoolExecutor(1, "embed-read") as ahead, ThreadPoolExecutor(1, "embed-write") as behind:
            writing: Future[None] | None = None
            for batch in self._batches(ahead):
                outcomes = self._embed(batch)
                if writing:
                    writing.result()
                    self._report()
                writing = behind.submit(self._save, batch, outcomes, self.pace.rate(batch))
            if writing:
                writing.result()
                self._report()

    def _begin(self) -> None:
        """Look at the table as it now is, and find the place to go on at."""

        def look(conn: sqlite3.Connection) -> None:
            collection = collection_by_id(conn, self.job.collection_id)
            source = source_table(conn, collection.table)
            _check_key(conn, collection.vector_table, [key.stored for key in source.keys], source.name)
            self.claim = Claim(self.job.id, self.owner, collection.id, source)
            self.batches = make_source(conn, collection, reader(source, collection))
            job = jobs.get_job(conn, self.job.id)
            self.after = saving.position_of(conn, job, source)
            self.total = count_rows(conn, source.name) if self.after is None else job.rows_total or 0

        self.access.read(look)
        if self.after is None:
            self.access.write(lambda conn: jobs.restart(conn, self.job.id, self.owner, self.total))

    def _batches(self, ahead: ThreadPoolExecutor) -> Iterator[Batch]:
        """Batches in order; the next one is read while the model works on this one."""

        def read(after: tuple[object, ...] | None) -> Batch | None:
            return self.access.read(lambda conn: self._next(conn, after))

        batch = read(self.after)
        while batch is not None and not self.stop.is_set():
            following = ahead.submit(read, batch.position)
            yield batch
            batch = following.result()

    def _next(self, conn: sqlite3.Connection, after: tuple[object, ...] | None) -> Batch | None:
        jobs.check(conn, self.job.id, self.owner)
        return self.batches.next_batch(conn, after, self.pace.target)

    def _embed(self, batch: Batch) -> dict[bytes, Outcome]:
        """The outcome of every content of the batch; those of the batches just before are remembered."""
        outcomes: dict[bytes, Outcome] = {}
        fresh: list[bytes] = []
        for content_hash in batch.waiting:
            if (vector := self.recent.get(content_hash)) is not None:
                outcomes[content_hash] = vector
            else:
                fresh.append(content_hash)
        contents = [batch.waiting[content_hash][0].content for content_hash in fresh]
        with self.pace.timed(len(contents)):
            results = self._embed_or_split([content for content in contents if content is not None])
        outcomes.update(zip(fresh, results, strict=True))
        self.recent.add(outcomes)
        return outcomes

    def _embed_or_split(self, contents: Sequence[Content]) -> list[Outcome]:
        """Vectors; a batch that fails is halved until the content at fault is alone."""
        if not contents:
            return []
        try:
            vectors = embed_contents(self.model, contents)
        except ModelUnavailable:
            raise
        except ModelError as error:
            if len(contents) > 1:
                middle = len(contents) // 2
                return [*self._embed_or_split(contents[:middle]), *self._embed_or_split(contents[middle:])]
            self.pace.failed(error)
            return [error]
        self._check_dimensions(vectors.shape[1])
        self.pace.succeeded()
        return [row.astype("<f4", copy=False).tobytes() for row in vectors]

    def _check_dimensions(self, dimensions: int) -> None:
        if self.dimensions is None:
            self.dimensions = dimensions
        elif self.dimensions != dimensions:
            raise ModelUnavailable(
                f"The model {self.model.model_id} now gives vectors of {dimensions} dimensions, and this collection "
                f"holds vectors of {self.dimensions}: they cannot be compared. Was the model changed?"
            )

    def _save(self, batch: Batch, outcomes: dict[bytes, Outcome], rate: float | None) -> None:
        self.access.write(lambda conn: saving.save(conn, self.claim, batch, outcomes, rate))

    def _sweep(self) -> None:
        after: int | None = 0
        while after is not None:
            after = self.access.write(partial(saving.sweep_stretch, claim=self.claim, after=after))

    def _report(self) -> None:
        if self.on_progress:
            self.on_progress(self.access.read(lambda conn: jobs.get_job(conn, self.job.id)))


class _Pace:
    """How many contents a batch should hold, from how long the last ones took."""

    def __init__(self) -> None:
        self.target = FIRST_BATCH
        self.failures = 0
        self.any_success = False
        self._last = time.monotonic()
        self._rate: float | None = None

    @contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Time the model's work on so many contents and set the next target."""
        began = time.monotonic()
        yield
        seconds = max(time.monotonic() - began, 1e-6)
        if count >= self.target // 2:
            wanted = int(count / seconds * BATCH_SECONDS)
            self.target = max(1, min(wanted, self.target * 8, LARGEST_BATCH))

    def rate(self, batch: Batch) -> float | None:
        """Rows per second, averaged over the last batches, counted from the end of the one before."""
        moment = time.monotonic()
        present = batch.walked / max(moment - self._last, 1e-6)
        self._last = moment
        self._rate = present if self._rate is None else 0.6 * self._rate + 0.4 * present
        return self._rate

    def succeeded(self) -> None:
        """A content has been embedded: the model works."""
        self.any_success = True

    def failed(self, error: ModelError) -> None:
        """A content has failed alone; ModelUnavailable where nothing but failures came."""
        self.failures += 1
        if not self.any_success and self.failures >= GIVE_UP_AFTER:
            raise ModelUnavailable(f"The first {GIVE_UP_AFTER} contents all failed: {error}") from error


class _Recent:
    """The vectors of the last two batches, which the reader, a batch ahead, could not find stored yet."""

    def __init__(self) -> None:
        self._batches: deque[dict[bytes, bytes]] = deque(maxlen=2)

    def get(self, content_hash: bytes) -> bytes | None:
        """The vector of a content that was embedded just now."""
        return next((kept[content_hash] for kept in self._batches if content_hash in kept), None)

    def add(self, outcomes: dict[bytes, Outcome]) -> None:
        """Remember a batch and forget the one before the last."""
        self._batches.append({key: value for key, value in outcomes.items() if isinstance(value, bytes)})


@contextmanager
def _kept_lease(access: Access, job_id: int, owner: str) -> Iterator[None]:
    """Renew the lease by time while the block runs, however long a batch takes."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(jobs.RENEW_SECONDS):
            try:
                access.write(lambda conn: jobs.renew(conn, job_id, owner))
            except LeaseLost:
                return
            except (sqlite3.Error, EmbedError):
                continue  # a lock or a full disk: the batch's own commit will tell

    thread = threading.Thread(target=renew, name="embed-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _check_key(conn: sqlite3.Connection, vector_table: str, stored: list[str], table: str) -> None:
    """CannotEmbed where the table got another primary key than the collection was made for."""
    columns = [row[0] for row in conn.execute("select name from pragma_table_info(?)", (vector_table,))]
    if columns[: columns.index("chunk")] != stored:
        raise CannotEmbed(
            f"The primary key of {table} is no longer the one that this collection was made for: "
            "delete the collection and create it again"
        )


def _stopped(access: Access, job_id: int, owner: str, error: Exception, stop: threading.Event) -> None:
    """Pause the job where the fault may pass, and fail it otherwise; the reason is kept with it."""
    status, reason = jobs.FAILED, str(error)
    if is_passing(error):
        status = jobs.PAUSED
        reason = f"SQLite says: {error}. Nothing stored is lost; resume when that is mended"
    while True:
        try:
            access.write(lambda conn: jobs.end(conn, job_id, owner, status, reason))
        except LeaseLost:
            return
        except sqlite3.Error as unwritten:  # the same lock or full disk, most likely: what pauses must wait for it
            if not is_passing(unwritten) or stop.wait(1):
                return
        else:
            return
