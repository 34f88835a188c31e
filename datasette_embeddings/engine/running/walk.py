"""One walk over a table's rows by one process: batches read ahead, embedded, and saved behind."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from .. import jobs, saving
from ..access import Access
from ..batches import Batch, Stretch, TableChanged, make_source
from ..collections import collection_by_id
from ..contents import Content
from ..errors import CannotEmbed, ModelError, ModelResultError, ModelUnavailable
from ..models import EmbeddingModel, embed_contents, is_ready, load
from ..rows import Position, count_rows, reader
from ..saving import Claim, Outcome
from ..tables import source_table
from ..transactions import is_passing
from .pace import SORTED_TOGETHER, Pace, Recent


class Walk:
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
        self.recent = Recent()

    def all(self) -> None:
        """Walk the rows, drop the vectors of rows that are gone, and finish."""
        self.pace = Pace()
        try:
            while not self._walk():
                pass
        except sqlite3.OperationalError as error:
            if not is_passing(error):
                self._begin()  # says in a sentence what became of the table or of its columns
            raise

    def _walk(self) -> bool:
        """True once the job has ended or was given back; False where the schema changed: look again and go on."""
        try:
            self._begin()
            self._embed_rows()
            if self.stop.is_set():
                self.access.write(lambda conn: jobs.release(conn, self.job.id, self.owner))
                return True
            self._sweep()
        except TableChanged:
            return False  # what is unchanged costs next to nothing
        self.access.write(lambda conn: saving.finish(conn, self.claim))
        self._report()
        return True

    def _begin(self) -> None:
        """Look at the table as it now is, and find the place to go on at."""

        def look(conn: sqlite3.Connection) -> int | None:
            collection = collection_by_id(conn, self.job.collection_id)
            source = source_table(conn, collection.table)
            _check_key(conn, collection.vector_table, [key.stored for key in source.keys], source.name)
            dimensions = self.dimensions or self.model.dimensions
            self.source = make_source(conn, collection, reader(source, collection), dimensions)
            self.claim = Claim(self.job.id, self.owner, collection.id, source, self.source.schema_version)
            job = jobs.get_job(conn, self.job.id)
            self.start = saving.start_of(conn, job, source)
            return count_rows(conn, source.name) if self.start.after is None else None

        total = self.access.read(look)
        first = None if total is None else (saving.first_position(self.claim), total)
        self.access.write(lambda conn: jobs.begin(conn, self.job.id, self.owner, self.start.counts, first))

    def _embed_rows(self) -> None:
        with ThreadPoolExecutor(1, "embed-read") as ahead, ThreadPoolExecutor(1, "embed-write") as behind:
            writing: Future[None] | None = None
            for batch in self._batches(ahead):
                outcomes, asked = self._embed(batch)
                if writing:
                    writing.result()
                    self._report()
                writing = behind.submit(self._save, batch, outcomes, asked, self.pace.rate(batch))
            if writing:
                writing.result()
                self._report()

    def _batches(self, ahead: ThreadPoolExecutor) -> Iterator[Batch]:
        """Batches in order, until the last row or until somebody wants the job to stop."""
        for stretch in self._stretches(ahead):
            self.recent.next_stretch()
            for batch in stretch.batches(lambda: self.pace.target):
                # Each time: it was read while the model worked, and somebody may have paused the job since.
                self.access.read(lambda conn: jobs.check(conn, self.job.id, self.owner))
                yield batch
                if self.stop.is_set():
                    return

    def _stretches(self, ahead: ThreadPoolExecutor) -> Iterator[Stretch]:
        """Stretches in order; the next one is read while the model works on this one."""

        def read(after: Position | None) -> Stretch | None:
            return self.access.read(lambda conn: self._next(conn, after))

        again = self.start.again
        stretch = read(self.start.after)
        while stretch is not None:
            again -= stretch.forget(again)
            following = ahead.submit(read, stretch.position)
            yield stretch
            stretch = following.result()

    def _next(self, conn: sqlite3.Connection, after: Position | None) -> Stretch | None:
        jobs.check(conn, self.job.id, self.owner)
        return self.source.next_stretch(conn, after, max(SORTED_TOGETHER, self.pace.target))

    def _embed(self, batch: Batch) -> tuple[dict[bytes, Outcome], int]:
        """The outcome of every content of the batch, and how many of them the model was asked for."""
        outcomes: dict[bytes, Outcome] = {}
        fresh: list[bytes] = []
        for content_hash in batch.waiting:
            if (vector := self.recent.get(content_hash)) is not None:
                outcomes[content_hash] = vector
            else:
                fresh.append(content_hash)
        contents = [batch.waiting[content_hash][0].content for content_hash in fresh]
        if contents and not is_ready(self.model):  # only now: where nothing has changed, no model is needed
            load(self.model)
            self.pace.start()
        with self.pace.timed(len(contents)):
            results = self._of_one_length(
                self._embed_or_split([content for content in contents if content is not None])
            )
        outcomes.update(zip(fresh, results, strict=True))
        self.recent.add(outcomes)
        return outcomes, len(fresh)

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
        self.pace.succeeded()
        return [row.astype("<f4", copy=False).tobytes() for row in vectors]

    def _of_one_length(self, outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes with a failure in place of each vector that cannot be compared with the others.

        ModelUnavailable where the model now gives vectors of another length throughout.
        """
        lengths = Counter(len(outcome) // 4 for outcome in outcomes if isinstance(outcome, bytes))
        if not lengths:
            return outcomes
        (usual, _), *_ = lengths.most_common(1)
        name = f"The model {self.model.model_id}"
        if self.dimensions is not None and self.dimensions not in lengths:
            raise ModelUnavailable(
                f"{name} now gives vectors of {usual} dimensions, and this collection holds vectors of "
                f"{self.dimensions}: they cannot be compared. Was the model changed?"
            )
        self.dimensions = self.dimensions or usual
        odd = f"{name} returned a vector of {{}} dimensions where the others have {self.dimensions}"
        return [
            ModelResultError(odd.format(len(outcome) // 4))
            if isinstance(outcome, bytes) and len(outcome) != 4 * self.dimensions
            else outcome
            for outcome in outcomes
        ]

    def _save(self, batch: Batch, outcomes: dict[bytes, Outcome], asked: int, rate: float | None) -> None:
        self.access.write(lambda conn: saving.save(conn, self.claim, batch, outcomes, asked, rate))

    def _sweep(self) -> None:
        after: int | None = 0
        while after is not None:
            after = self.access.write(partial(saving.sweep_stretch, claim=self.claim, after=after))

    def _report(self) -> None:
        if self.on_progress:
            self.on_progress(self.access.read(lambda conn: jobs.get_job(conn, self.job.id)))


def _check_key(conn: sqlite3.Connection, vector_table: str, stored: list[str], table: str) -> None:
    """CannotEmbed where the table got another primary key than the collection was made for."""
    columns = [row[0] for row in conn.execute("select name from pragma_table_info(?)", (vector_table,))]
    if not columns:
        raise CannotEmbed(f"The table {vector_table} is gone: delete the collection and create it again")
    if columns[: columns.index("chunk")] != stored:
        raise CannotEmbed(
            f"The primary key of {table} is no longer the one that this collection was made for: "
            "delete the collection and create it again"
        )
