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


async def row_counts(datasette, database, collection: Collection, job: Job | None) -> RowCounts:
    """The counts of the table as it is now, or as it was a moment ago where they take long."""
    if not hasattr(datasette, "_embed_counts"):
        datasette._embed_counts = {}
    key = (database.name, collection.id)
    state = (collection.token, job and (job.id, job.status, job.updated, job.rows_done))
    kept: _Kept | None = datasette._embed_counts.get(key)
    if kept and kept.state == state and time.monotonic() < kept.until:
        return kept.counts

    def counted(conn: sqlite3.Connection) -> tuple[RowCounts, float]:
        began = time.monotonic()
        return count(conn, collection, job), time.monotonic() - began

    counts, seconds = await database.execute_fn(counted)
    if seconds > QUICK_SECONDS:
        datasette._embed_counts[key] = _Kept(state, counts, time.monotonic() + BELIEVED * seconds)
    return counts
