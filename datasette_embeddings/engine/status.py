"""How many rows of a collection are embedded, pending, failed or empty, as the table is now."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from dataclasses import dataclass

from .collections import Collection
from .identifiers import quote
from .jobs import ROWS, Job
from .rows import Row, count_rows, key_json, reader
from .tables import source_table
from .vector_table import check_key

SCAN_SECONDS = 1.5  # for comparing every row with its vector; a larger table gets its counts from keys alone


@dataclass(frozen=True)
class RowCounts:
    """Rows of the source table; total is the sum of the others."""

    embedded: int
    pending: int
    failed: int
    empty: int
    exact: bool = True  # False: rows that changed since they were embedded are counted as embedded

    @property
    def total(self) -> int:
        """The rows of the table."""
        return self.embedded + self.pending + self.failed + self.empty


def count(conn: sqlite3.Connection, collection: Collection, job: Job | None) -> RowCounts:
    """The counts: while a pass over every row is under way from its figures, else by comparing each with its vector."""
    check_key(conn, collection.vector_table, source_table(conn, collection.table))
    if job is None or (job.kind == ROWS and job.ended is None):
        return _quick(conn, collection, job)
    return _compared(conn, collection) or _quick(conn, collection, job)


def _compared(conn: sqlite3.Connection, collection: Collection) -> RowCounts | None:
    """Exact counts, or None where they would take longer than SCAN_SECONDS."""
    until = time.monotonic() + SCAN_SECONDS
    failed = dict(
        conn.execute(
            "select position, content_hash from _embed_errors where collection_id = ?", (collection.id,)
        ).fetchall()
    )
    states: Counter[str] = Counter()
    for number, row in enumerate(reader(source_table(conn, collection.table), collection).rows(conn, None)):
        if number % 1000 == 999 and time.monotonic() > until:
            return None
        states[_state(row, failed)] += 1
    return RowCounts(states["embedded"], states["pending"], states["failed"], states["empty"])


def _state(row: Row, failed: dict[str, bytes | None]) -> str:
    if row.is_current:
        return "embedded"
    has_key = row.key_fault is None
    if row.content is None and has_key:
        return "empty"
    if failed and (position := key_json(row.position)) in failed:
        return "failed" if not has_key or failed[position] == row.content_hash else "pending"
    return "pending"


def _quick(conn: sqlite3.Connection, collection: Collection, job: Job | None) -> RowCounts:
    """Counts of keys alone: rows without a vector are pending unless the last pass found them empty or failing."""
    total = job.rows_total if job and job.kind == ROWS and job.ended is None else None
    if total is None:
        total = count_rows(conn, collection.table)
    embedded = min(total, _count(conn, f"select count(*) from {quote(collection.vector_table)} where chunk = 0"))
    failed = min(
        total - embedded, _count(conn, "select count(*) from _embed_errors where collection_id = ?", collection.id)
    )
    empty = min(total - embedded - failed, _empty(conn, collection))
    return RowCounts(embedded, total - embedded - failed - empty, failed, empty, exact=False)


def _empty(conn: sqlite3.Connection, collection: Collection) -> int:
    """How many rows the last pass over every row found empty."""
    row = conn.execute(
        "select empty from _embed_jobs where collection_id = ? and kind = ? order by id desc limit 1",
        (collection.id, ROWS),
    ).fetchone()
    return int(row[0]) if row else 0


def _count(conn: sqlite3.Connection, sql: str, *values: object) -> int:
    return int(conn.execute(sql, values).fetchone()[0])
