"""One walk over a table's rows by one process: batches read ahead, embedded, and saved behind."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial

from .. import jobs, saving
from ..access import Access
from ..batches import Batch, Stretch
from ..collections import collection_by_id
from ..contents import Content
from ..cutting import Cutter
from ..errors import EmbedError
from ..fingerprint import inherit, recognise
from ..follow.notes import last_note, stored_notes
from ..follow.shape import shape_of
from ..follow.uniques import needs_sweep
from ..measures import make_cutter
from ..models import EmbeddingModel
from ..positions import start_of
from ..rows import Position, count_rows, reader
from ..saving import Claim, Outcome
from ..sources import TableChanged, make_source
from ..tables import source_table
from ..transactions import is_passing
from ..vector_table import check_key
from .asking import Asking
from .budget import Budget
from .collecting import uncollected
from .listings import listing_of
from .pace import SORTED_TOGETHER, Pace, Recent
from .waiting import Patience, Stopping


@dataclass(frozen=True)
class Embedded:
    """What came of a batch."""

    batch: Batch  # those of its contents that have an outcome
    outcomes: dict[bytes, Outcome]  # by content hash
    asked: int  # contents that the model was given
    tokens: int  # of these, where they are priced
    fault: EmbedError | None  # what kept the others from it, and ends the walk


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
        present = access.read(lambda conn: jobs.get_job(conn, job.id))
        self.pace = Pace()
        self.patience = Patience(stop, self._check, self._explain)
        model = find_model(collection.model)
        self.asking = Asking(model, collection.dimensions, self.pace, self.patience, self._recognise)
        self.budget = Budget(present, model, binary=collection.definition.binary)
        self.chunking = collection.definition.chunking
        self.recent = Recent()
        self.answers = 0

    def all(self) -> None:
        """Walk the rows, drop the vectors of rows that are gone, and finish."""
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
            self._clear()
        except TableChanged:
            return False  # what is unchanged costs next to nothing
        self.access.write(lambda conn: saving.finish(conn, self.claim))
        self._report()
        return True

    def _begin(self) -> None:
        """Look at the table as it now is, and find the place to go on at."""
        self.access.write(lambda conn: inherit(conn, self.job.collection_id))

        def look(conn: sqlite3.Connection) -> int | None:
            collection = collection_by_id(conn, self.job.collection_id)
            source = source_table(conn, collection.table)
            check_key(conn, collection.vector_table, source)
            dimensions = self.asking.dimensions or self.asking.model.dimensions
            job = jobs.get_job(conn, self.job.id)
            listing = listing_of(conn, job, collection, source)
            self.start = start_of(conn, job, source)
            if self.start.after is None:
                self.answers = last_note(conn, stored_notes(conn, collection.name))
            self.source = make_source(conn, collection, reader(source, collection), dimensions, listing)
            version, shape = self.source.schema_version, shape_of(conn, source)
            self.claim = Claim(job.id, self.owner, collection.id, source, version, shape, listing, self.answers)
            self.sweeps = listing is None or needs_sweep(conn, source)
            if self.start.after is not None:
                return None
            return listing.count(conn) if listing else count_rows(conn, source.name)

        total = self.access.read(look)
        self.access.write(lambda conn: saving.begin(conn, self.claim, self.start, total))

    def _embed_rows(self) -> None:
        # One thread that reads and writes: two of them wait for each other (a commit for the reader, both for Python's
        # lock), and a fast model waits for them.
        with ThreadPoolExecutor(1, "embed-file") as beside:
            writing: Future[None] | None = None
            for batch in self._batches(beside):
                embedded = self._embed(batch)
                if writing:
                    writing.result()
                    self._report()
                writing = beside.submit(self._save, embedded, self.pace.rate(embedded.batch))
                if embedded.fault:
                    writing.result()
                    raise embedded.fault
            if writing:
                writing.result()
                self._report()

    def _batches(self, beside: ThreadPoolExecutor) -> Iterator[Batch]:
        """Batches in order, until the last row or until somebody wants the job to stop."""
        for stretch in self._stretches(beside):
            self.recent.next_stretch()
            for batch in stretch.batches(lambda: self.pace.target):
                # Each time: it was read while the model worked, and somebody may have paused the job since.
                self._check()
                yield batch
                if self.stop.is_set():
                    return

    def _stretches(self, beside: ThreadPoolExecutor) -> Iterator[Stretch]:
        """Stretches in order; the next one is read while the model works on this one."""

        again = self.start.again
        stretch = self._read(self.start.after)
        while stretch is not None:
            again -= stretch.forget(again)
            self.budget.planned(len(stretch.contents))
            following = beside.submit(self._read, stretch.position)
            yield stretch
            stretch = following.result()

    def _read(self, after: Position | None) -> Stretch | None:
        """The stretch after a position, None at the end; its texts are cut while no connection is held."""
        stretch = self.access.read(lambda conn: self._next(conn, after))
        if stretch is not None and stretch.uncut:
            try:
                stretch.cut_all(self.cutter, self.source.reader.recipe)
            except Stopping:
                return None
            self.access.read(lambda conn: self.source.place_cut(conn, stretch))
        return stretch

    @cached_property
    def cutter(self) -> Cutter | None:
        """What cuts long texts; made once a row has changed, because some models must be loaded for it."""
        return self.patience.call(lambda: make_cutter(self.chunking, self.asking.model))

    def _next(self, conn: sqlite3.Connection, after: Position | None) -> Stretch | None:
        jobs.check(conn, self.job.id, self.owner)
        with uncollected():
            return self.source.next_stretch(conn, after, self.budget.plan(max(SORTED_TOGETHER, self.pace.target)))

    def _embed(self, batch: Batch) -> Embedded:
        """Have the model embed what is new in the batch, and keep what it gave, whatever ends this early."""
        outcomes = self.recent.find({key for alike in (*batch.rows, *batch.unfinished) for key in alike.unknown})
        fresh = {key: content for key, content in batch.contents.items() if key not in outcomes}
        made, tokens, fault = self._ask(list(fresh.values()))
        outcomes.update(zip(fresh, made, strict=False))
        self.recent.add(outcomes)
        return Embedded(batch.only(outcomes), outcomes, len(made), tokens, fault)

    def _ask(self, contents: Sequence[Content]) -> tuple[list[Outcome], int, EmbedError | None]:
        """The contents' outcomes, from the first on, their tokens, and what kept the other contents from the model."""
        tokens = self.budget.fit(contents)
        made: list[Outcome] = []
        fault: EmbedError | None = None
        try:
            for outcome in self.asking.outcomes(contents[: len(tokens)]):
                made.append(outcome)
        except Stopping:
            pass
        except EmbedError as error:
            fault = error
        spent = self.budget.spend(tokens[: len(made)])
        if fault is None and len(made) == len(tokens) < len(contents):
            fault = self.budget.reached()
        return self.asking.of_one_length(made), spent, fault

    def _save(self, embedded: Embedded, rate: float | None) -> None:
        done = (embedded.batch, embedded.outcomes, embedded.asked, embedded.tokens)

        def save(conn: sqlite3.Connection) -> None:
            with uncollected():
                saving.save(conn, self.claim, *done, rate)

        self.access.write(save)

    def _check(self) -> None:
        """LeaseLost unless we still run the job."""
        self.access.read(lambda conn: jobs.check(conn, self.job.id, self.owner))

    def _recognise(self, made: bytes | None) -> None:
        """Keep the model's fingerprint, or ModelUnavailable where it has other weights than the collection's."""
        self.access.write(lambda conn: recognise(conn, self.job.collection_id, made))

    def _explain(self, reason: str | None) -> None:
        with suppress(sqlite3.OperationalError):  # a lock: what is only told must not end the job
            self.access.write(lambda conn: jobs.explain(conn, self.job.id, self.owner, reason))
        self._report()

    def _clear(self) -> None:
        """Drop the vectors of rows that are gone, and after every row the notes that are answered by that."""
        while self.sweeps and (gone := self.access.read(lambda conn: saving.gone_vectors(conn, self.claim))):
            self.access.write(partial(saving.sweep, claim=self.claim, ids=gone))
        while self.claim.listing is None and self.access.write(lambda conn: saving.forget_notes(conn, self.claim)):
            pass

    def _report(self) -> None:
        if self.on_progress:
            self.on_progress(self.access.read(lambda conn: jobs.get_job(conn, self.job.id)))
