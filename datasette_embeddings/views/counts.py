"""How many rows of a collection are embedded, counted no more often than the counting is worth."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from ..engine.collections import Collection
from ..engine.jobs import Job
from ..engine.status import RowCounts, count

BELIEVED = 20  # times as long as the counting took
QUICK_SECONDS = 0.05  # a count that takes less is made anew each time


@dataclass(frozen=True)
class _Kept:
    state: tuple
    counts: RowCounts
    until: float


def row_counts(
    datasette, conn: sqlite3.Connection, database: str, collection: Collection, job: Job | None
) -> RowCounts:
    """The counts of the table as it is now, or as it was a moment ago where they take long."""
    everything: dict[tuple[str, int], _Kept] = datasette.__dict__.setdefault("_embed_counts", {})
    key = (database, collection.id)
    state = (collection.token, job and (job.id, job.status, job.updated, job.rows_done))
    kept = everything.get(key)
    if kept and kept.state == state and time.monotonic() < kept.until:
        return kept.counts
    began = time.monotonic()
    counts = count(conn, collection, job)
    seconds = time.monotonic() - began
    if seconds > QUICK_SECONDS:
        everything[key] = _Kept(state, counts, time.monotonic() + BELIEVED * seconds)
    return counts
