"""Jobs as they are stored: made, found, and the next one that a worker may take."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence

from ..collections import now
from ..errors import NotFound
from ..schema import has_schema
from ..transactions import transaction
from .job import FIELDS, KINDS, PENDING, ROWS, Job
from .limits import NOTHING, Given, Limits

# A pending job waits while another of its collection runs, even one whose lease has run out: that one goes first.
CLAIMABLE = """(
    (j.status = 'running' and j.lease_expires < :now)
    or (j.status = 'pending' and not exists (
        select 1 from _embed_jobs as other where other.collection_id = j.collection_id and other.status = 'running'
    ))
)"""


def create_job(
    conn: sqlite3.Connection,
    collection_id: int,
    *,
    kind: str = ROWS,
    actor: str | None = None,
    cause: str | None = None,
    limits: Given = NOTHING,
) -> Job:
    """A new job, pending; of the limits, those that are not given are those of the collection's job before."""
    with transaction(conn):
        limited = _limits(conn, collection_id).changed(limits)
        cursor = conn.execute(
            "insert into _embed_jobs (collection_id, kind, status, actor, cause, created, max_cost, max_rows)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (collection_id, kind, PENDING, actor, cause, now(), limited.max_cost, limited.max_rows),
        )
        return get_job(conn, int(cursor.lastrowid or 0))


def _limits(conn: sqlite3.Connection, collection_id: int) -> Limits:
    """Those of the collection's newest job."""
    sql = "select max_cost, max_rows from _embed_jobs where collection_id = ? order by id desc limit 1"
    row = conn.execute(sql, (collection_id,)).fetchone()
    return Limits(*row) if row else Limits()


def set_limits(conn: sqlite3.Connection, job_id: int, limits: Given) -> None:
    """Change what is given of a job's limits, in the caller's transaction."""
    limited = get_job(conn, job_id).limits.changed(limits)
    conn.execute(
        "update _embed_jobs set max_cost = ?, max_rows = ? where id = ?", (limited.max_cost, limited.max_rows, job_id)
    )


def get_job(conn: sqlite3.Connection, job_id: int) -> Job:
    """The job of that id, or NotFound."""
    row = conn.execute(f"select {FIELDS} from _embed_jobs as j where id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no job {job_id} in this database")
    return Job(*row)


def latest_job(conn: sqlite3.Connection, collection_id: int) -> Job | None:
    """The job to show for a collection: the running one, else the newest, but no finished one over noted rows."""
    row = conn.execute(
        f"select {FIELDS} from _embed_jobs as j where collection_id = ?"
        " order by status = 'running' desc, kind = 'noted' and status = 'finished', id desc limit 1",
        (collection_id,),
    ).fetchone()
    return Job(*row) if row else None


def claimable_job(conn: sqlite3.Connection, kinds: Sequence[str] = KINDS) -> Job | None:
    """The next job of these kinds that a worker may take: pending, or running with a lease that has run out."""
    if not has_schema(conn):
        return None
    row = conn.execute(
        f"select {FIELDS} from _embed_jobs as j where {CLAIMABLE}"
        " and kind in (select value from json_each(:kinds)) order by status = 'running' desc, id limit 1",
        {"now": time.time(), "kinds": json.dumps(kinds)},
    ).fetchone()
    return Job(*row) if row else None
