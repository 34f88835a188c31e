"""Trying rows again that failed: when somebody asks, and by itself after growing pauses."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass

from . import jobs
from .collections import Collection
from .errors import Conflict
from .failures import POSTPONED, ask_again
from .rows import Key, Position, key_from_json
from .schema import has_schema
from .transactions import transaction

# Of collections that have no unfinished job. A job that failed came to its end too where it walked all its rows: every
# one of them failed by itself.
_DUE = """
select distinct c.id, c.model from _embed_errors as e
join _embed_collections as c on c.id = e.collection_id
join _embed_jobs as j on j.id = (select max(id) from _embed_jobs where collection_id = e.collection_id)
where e.retry_at <= ? and (j.status = 'finished' or (j.status = 'failed' and j.rows_done = j.rows_total))
and not exists (
    select 1 from _embed_jobs as other
    where other.collection_id = e.collection_id and other.status in ('pending', 'running', 'paused')
)
"""


def retry(
    conn: sqlite3.Connection, collection_id: int, *, actor: str | None = None, limits: jobs.Given = jobs.NOTHING
) -> jobs.Job:
    """A job over every row of the collection that has failed; Conflict where none has."""
    with transaction(conn):
        if not ask_again(conn, collection_id):
            raise Conflict("There is nothing to retry: no row has failed")
        return jobs.create_job(conn, collection_id, kind=jobs.RETRIED, actor=actor, limits=limits)


def try_all(conn: sqlite3.Connection, collection: Collection) -> None:
    """Before a pass that a person asks for: in two cases it tries the rows that failed, whatever their schedule.

    Where the last job failed as a whole, the rows may not have been at fault; and a collection that is to replace
    another one cannot do so without them.
    """
    if _wants_all(conn, collection):
        ask_again(conn, collection.id)


def postponed_contents(conn: sqlite3.Connection, collection: Collection) -> set[bytes]:
    """The hashes of the contents that such a pass would leave alone, because they failed and are not due."""
    if _wants_all(conn, collection):
        return set()
    sql = f"select content_hash from _embed_errors where collection_id = ? and {POSTPONED}"
    return {content_hash for (content_hash,) in conn.execute(sql, (collection.id, time.time())) if content_hash}


def _wants_all(conn: sqlite3.Connection, collection: Collection) -> bool:
    job = jobs.latest_job(conn, collection.id)
    return collection.replaces is not None or (job is not None and job.status == jobs.FAILED)


def due_collections(conn: sqlite3.Connection, models: Container[str]) -> list[int]:
    """The ids of collections by these models, of which a row that failed is to be tried again by now.

    Only of those whose last job came to its end: what a person stopped, and what no other row will mend, is left alone.
    """
    if not has_schema(conn):
        return []
    return [collection_id for collection_id, model in conn.execute(_DUE, (time.time(),)) if model in models]


def retry_due(conn: sqlite3.Connection, models: Container[str], collection_id: int | None = None) -> jobs.Job | None:
    """A job over the rows of such a collection, or of just this one, that are due; None where there are none."""
    with transaction(conn):
        for due in due_collections(conn, models):
            if collection_id in (None, due):
                return jobs.create_job(conn, due, kind=jobs.RETRIED)
        return None


@dataclass(frozen=True)
class Due:
    """The listing that a job of kind `failed` walks over: the rows that are to be tried again by a moment."""

    collection_id: int
    moment: float  # Unix seconds

    def keys(self, conn: sqlite3.Connection, after: Position | None, limit: int) -> Iterator[tuple[Position, Key]]:
        """Each with its position as it is stored, which no VACUUM changes."""
        rows = conn.execute(
            "select position, row_key from _embed_errors where collection_id = ? and retry_at <= ? and position > ?"
            " order by position limit ?",
            (self.collection_id, self.moment, *(after or ("",)), limit),
        )
        for position, key in rows:
            yield (position,), key_from_json(key)

    def count(self, conn: sqlite3.Connection) -> int:
        """How many these are."""
        sql = "select count(*) from _embed_errors where collection_id = ? and retry_at <= ?"
        return int(conn.execute(sql, (self.collection_id, self.moment)).fetchone()[0])

    def settle(self, conn: sqlite3.Connection, after: Position | None, until: Position) -> None:
        """Nothing: a row that failed again is kept until later, and what is known of the others is forgotten."""
