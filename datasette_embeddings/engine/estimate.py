"""What a job would hand to the model, before it begins: contents, tokens and their price, less what is stored."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from .collections import Definition, every_collection
from .contents import Content, Recipe, content_hash
from .cutting import Cutter, undivided
from .errors import EmbedError
from .identifiers import quote
from .kept import find_kept
from .models import EmbeddingModel
from .prices import TokenCounter, cost_of, price_of, size_of
from .retries import postponed_contents
from .rows import count_rows, read_all, selected
from .sources import known_tables
from .states import one_state
from .tables import SourceTable, source_table
from .vector_table import find_vector

READ_SECONDS = 0.5  # for reading the table whole; then as much again for a sample of it
COUNT_SECONDS = 0.5  # for counting tokens
SAMPLE_SIZE = 4_000_000  # bytes of the contents whose tokens are counted
PLACES = 200  # in the table, evenly spread, at which a sample is taken
STRIDE = 77  # from each of these to the next that is looked at; has no factor in common with PLACES
ROWS_A_PLACE = 10


@dataclass(frozen=True)
class Survey:
    """What the rows of a table would come to."""

    contents: int  # that the model would be given
    stored: int  # contents that cost nothing: they are stored already, or those of another row
    size: int  # bytes of the contents for the model
    sample: tuple[Content, ...]  # the first of these
    seen: int | None = None  # rows that all this is estimated from; None: every row was read
    postponed: int = 0  # contents that failed before and are not due yet


@dataclass(frozen=True)
class Estimate:
    """What the model would be given, and what that costs."""

    survey: Survey
    tokens: int | None  # None, as the cost, where there is no price
    cost: float | None  # US dollars
    counted: bool  # by the model itself; False: estimated by length
    is_exact: bool  # every row was read, and every token counted


def survey(
    conn: sqlite3.Connection,
    definition: Definition,
    model: EmbeddingModel,
    cutter: Cutter | None = None,
    seconds: float = READ_SECONDS,
    *,
    anew: bool = False,
) -> Survey:
    """Read the table as a job would, whole within so many seconds; else a sample of it, in as many again.

    `anew`: as the job of a change would that takes over no vector made before.
    """
    with one_state(conn):
        source = source_table(conn, definition.table)
        recipe = definition.recipe(source)
        known = _Known(conn, definition, model, anew)
        tally = _Tally(recipe, cutter, known)
        if tally.read(read_all(conn, source, recipe), seconds):
            return tally.survey()
        if source.rowid is not None:  # the first rows say little of the others, which may be newer or longer
            tally = _Tally(recipe, cutter, known)
            tally.read(_spread_rows(conn, source, recipe), seconds)
        return tally.survey(count_rows(conn, source.name))


def estimate(
    found: Survey,
    model: EmbeddingModel,
    *,
    binary: bool = False,
    by_length: bool = False,
    seconds: float = COUNT_SECONDS,
) -> Estimate:
    """Count the tokens, of as many contents as there is time for; `by_length` never asks the model's tokenizer.

    The tokenizer may have to be loaded for it.
    """
    price = price_of(model, binary=binary)
    if price is None:
        return Estimate(found, None, None, False, found.seen is None)
    count = TokenCounter(model)
    count.counts &= not by_length
    tokens = size = done = 0
    until = None
    for content in found.sample:
        tokens, size, done = tokens + count(content), size + size_of(content), done + 1
        until = until or time.monotonic() + seconds  # the first call may have loaded the model's tokenizer
        if time.monotonic() > until:
            break
    if done < found.contents:
        tokens = round(tokens * found.size / size) if size else 0
    is_exact = found.seen is None and done == found.contents and count.counts
    return Estimate(found, tokens, cost_of(tokens, price), count.counts, is_exact)


class _Known:
    """The contents whose vector a job of a definition would take over."""

    def __init__(self, conn: sqlite3.Connection, definition: Definition, model: EmbeddingModel, anew: bool) -> None:
        of_model = [collection for collection in every_collection(conn) if collection.model == definition.model]
        if anew:  # only what such a change has made so far
            of_model = [collection for collection in of_model if collection.replaces is not None]
        own = next((collection for collection in of_model if definition.is_met_by(collection.definition)), None)
        newest = max((other for other in of_model if other.fingerprint), key=lambda other: other.id, default=None)
        # One that is to be made will hold its model to be the newest's.
        like = own or (newest and replace(newest, id=0))
        dimensions = (own.dimensions if own else None) or model.dimensions
        self._conn, self._own = conn, own
        self._tables = known_tables(conn, like, dimensions) if like else ()
        self.postponed = postponed_contents(conn, own) if own else set()

    def __contains__(self, content_hash: bytes) -> bool:
        if any(find_vector(self._conn, table, content_hash) is not None for table in self._tables):
            return True
        return self._own is not None and find_kept(self._conn, self._own.id, content_hash) is not None


class _Tally:
    """Counts contents, and tells which the model would be given."""

    def __init__(self, recipe: Recipe, cutter: Cutter | None, known: _Known) -> None:
        self._recipe, self._known = recipe, known
        self._cut = cutter.chunks if cutter else undivided
        self._met: set[bytes] = set()
        self._sample: list[Content] = []
        self._rows = self._stored = self._postponed = self._size = self._sampled = 0

    def read(self, rows: Iterable[Sequence[object]], seconds: float) -> bool:
        """Count the rows, for so long; True where it was enough for all of them."""
        until = time.monotonic() + seconds
        for values in rows:
            self._rows += 1
            content = self._recipe.content(values)
            if content is not None:
                self._add(values, content)
            if self._rows % 10 == 0 and time.monotonic() > until:
                return False
        return True

    def survey(self, total: int | None = None) -> Survey:
        """What was counted; as it would be of `total` rows, if these were only some of them."""
        scale = 1 if total is None else total / max(1, self._rows)
        counts = (len(self._met), self._stored, self._size, self._postponed)
        contents, stored, size, postponed = (round(number * scale) for number in counts)
        return Survey(contents, stored, size, tuple(self._sample), None if total is None else self._rows, postponed)

    def _add(self, values: Sequence[object], whole: Content) -> None:
        if self._known.postponed and content_hash(whole) in self._known.postponed:
            self._postponed += 1
            return
        with suppress(EmbedError):  # a text that cannot be cut fails in the job, and costs nothing
            for chunk in self._cut(self._recipe, values, whole):
                if chunk.content_hash in self._met or chunk.content_hash in self._known:
                    self._stored += 1
                else:
                    self._met.add(chunk.content_hash)
                    self._keep(chunk.content)

    def _keep(self, content: Content) -> None:
        size = size_of(content)
        self._size += size
        if self._sampled < SAMPLE_SIZE:
            self._sample.append(content)
            self._sampled += size


def _spread_rows(conn: sqlite3.Connection, source: SourceTable, recipe: Recipe) -> Iterator[Sequence[object]]:
    """Rows from many places of the table, none of them twice; the first few come from all over it too."""
    table, rowid = quote(source.name), f"t.{quote(str(source.rowid))}"
    first, last = (
        conn.execute(f"select {rowid} from {table} as t order by {rowid} {order} limit 1").fetchone()[0]
        for order in ("asc", "desc")
    )
    sql = (
        f"select {rowid}, {', '.join(selected(recipe))} from {table} as t"
        f" where {rowid} >= ? order by {rowid} limit {ROWS_A_PLACE}"
    )
    taken = set()
    for step in range(PLACES):
        start = first + (last - first) * (step * STRIDE % PLACES) // PLACES
        for found, *values in conn.execute(sql, (start,)):
            if found not in taken:
                taken.add(found)
                yield values
