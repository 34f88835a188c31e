"""Jobs, one pass each that brings a collection up to date: guarded changes of status, and leases."""

from __future__ import annotations

import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from .collections import now
from .errors import Conflict, EmbedError, LeaseLost, NotFound
from .schema import has_schema
from .transactions import transaction

LEASE_SECONDS = 15.0  # a process that died is replaced after this
RENEW_SECONDS = 5.0

PENDING = "pending"  # waits for a worker
RUNNING = "running"  # a worker holds its lease
PAUSED = "paused"  # by a person, or by a full disk or a lock; goes on where it stopped
CANCELLED = "cancelled"  # what was embedded stays
FINISHED = "finished"  # every row was walked; some may have failed
FAILED = "failed"  # no use going on; the reason says why

# What a job walks over.
ROWS = "rows"  # every row of the table
NOTED = "noted"  # the rows that the triggers noted
RETRIED = "failed"  # the rows in _embed_errors

# What restarts with the walk; `contents`, what the model was asked for, does not.
COUNTS = ("rows_done", "embedded", "reused", "unchanged", "empty", "failed", "removed")

# action: (statuses it may be taken in, status it leads to)
_ACTIONS = {
    "pause": ((PENDING, RUNNING), PAUSED),
    "resume": ((PAUSED, FAILED), PENDING),
    "cancel": ((PENDING, RUNNING, PAUSED), CANCELLED),
}


@dataclass(frozen=True)
class Job:
    """A job as stored; the columns' comments are in schema.py."""

    id: int
    collection_id: int
    status: str
    reason: str | None
    owner: str | None
    lease_expires: float | None
    position: str | None
    rows_total: int | None
    rows_done: int
    embedded: int
    reused: int
    unchanged: int
    empty: int
    failed: int
    removed: int
    contents: int
    rate: float | None
    actor: str | None
    created: str
    started: str | None
    updated: str | None
    ended: str | None
    kind: str = ROWS
    tokens: int = 0
    max_cost: float | None = None
    max_rows: int | None = None

    @property
    def is_active(self) -> bool:
        """True while it runs or waits to."""
        return self.status in (PENDING, RUNNING)

    @property
    def is_waiting(self) -> bool:
        """True while it runs and does not get on, because of what its reason names."""
        return self.status == RUNNING and self.reason is not None

    @property
    def seconds_left(self) -> float | None:
        """What is left at the present rate, or None where that is not known."""
        if not self.is_active or self.is_waiting or not self.rate or self.rows_total is None:
            return None
        return max(0, self.rows_total - self.rows_done) / self.rate


_FIELDS = ", ".join(f"j.{field.name}" for field in fields(Job))


def new_owner() -> str:
    """A name for this process as the holder of leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def create_job(conn: sqlite3.Connection, collection_id: int, *, actor: str | None = None) -> Job:
    """A new job, pending."""
    with transaction(conn):
        cursor = conn.execute(
            "insert into _embed_jobs (collection_id, status, actor, created) values (?, ?, ?, ?)",
            (collection_id, PENDING, actor, now()),
        )
        return get_job(conn, int(cursor.lastrowid or 0))


def get_job(conn: sqlite3.Connection, job_id: int) -> Job:
    """The job of that id, or NotFound."""
    row = conn.execute(f"select {_FIELDS} from _embed_jobs as j where id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no job {job_id} in this database")
    return Job(*row)


def latest_job(conn: sqlite3.Connection, collection_id: int) -> Job | None:
    """The job to show for a collection: the running one, else the newest."""
    row = conn.execute(
        f"select {_FIELDS} from _embed_jobs as j where collection_id = ?"
        " order by status = 'running' desc, id desc limit 1",
        (collection_id,),
    ).fetchone()
    return Job(*row) if row else None


def claimable_job(conn: sqlite3.Connection) -> Job | None:
    """The next job that a worker may take: pending, or running with a lease that has run out."""
    if not has_schema(conn):
        return None
    row = conn.execute(
        f"select {_FIELDS} from _embed_jobs as j where {_CLAIMABLE} order by status = 'running' desc, id limit 1",
        {"now": time.time()},
    ).fetchone()
    return Job(*row) if row else None


# A pending job waits while another of its collection runs, even one whose lease has run out: that one goes first.
_CLAIMABLE = """(
    (j.status = 'running' and j.lease_expires < :now)
    or (j.status = 'pending' and not exists (
        select 1 from _embed_jobs as other where other.collection_id = j.collection_id and other.status = 'running'
    ))
)"""


def claim(conn: sqlite3.Connection, job_id: int, owner: str) -> bool:
    """Take the job's lease; False where another process was quicker or still holds it."""
    with transaction(conn):
        moment = time.time()
        taken = conn.execute(
            "update _embed_jobs as j set status = 'running', owner = :owner, lease_expires = :until, reason = null,"
            f" started = coalesce(started, :at), updated = :at where id = :id and {_CLAIMABLE}",
            {"owner": owner, "until": moment + LEASE_SECONDS, "at": now(), "id": job_id, "now": moment},
        )
        return taken.rowcount == 1


def renew(conn: sqlite3.Connection, job_id: int, owner: str) -> None:
    """Hold the lease for another LEASE_SECONDS; LeaseLost where it is no longer ours."""
    with transaction(conn):
        _guarded(conn, job_id, owner, "lease_expires = ?", [time.time() + LEASE_SECONDS])


def check(conn: sqlite3.Connection, job_id: int, owner: str) -> None:
    """LeaseLost unless we still run the job; only reads."""
    if not is_ours(conn, job_id, owner):
        raise _lost(conn, job_id)


def is_ours(conn: sqlite3.Connection, job_id: int, owner: str) -> bool:
    """True while we run the job."""
    row = conn.execute("select status, owner from _embed_jobs where id = ?", (job_id,)).fetchone()
    return row is not None and tuple(row) == (RUNNING, owner)


def release(conn: sqlite3.Connection, job_id: int, owner: str) -> None:
    """Give a running job back, to be taken up where it stopped; nothing happens where it is not ours any more."""
    with transaction(conn):
        conn.execute(
            "update _embed_jobs set status = 'pending', owner = null, lease_expires = null, reason = null"
            " where id = ? and status = 'running' and owner = ?",
            (job_id, owner),
        )


def explain(conn: sqlite3.Connection, job_id: int, owner: str, reason: str | None) -> None:
    """Say why a running job does not get on, or that it does; nothing happens where it is not ours any more."""
    with transaction(conn):
        conn.execute(
            "update _embed_jobs set reason = ?, updated = ? where id = ? and status = 'running' and owner = ?",
            (reason, now(), job_id, owner),
        )


def advance(conn: sqlite3.Connection, job_id: int, owner: str, rate: float | None, **counts: int) -> None:
    """Move the job on by these counts, within the transaction that writes the batch; LeaseLost as in renew().

    A job that was paused since keeps the batch too, even if it was resumed and nobody has taken it up yet.
    """
    changes = ", ".join(f"{name} = {name} + ?" for name in counts)
    _guarded(
        conn,
        job_id,
        owner,
        f"{changes}, rate = coalesce(?, rate), updated = ?, lease_expires = ?",
        [*counts.values(), rate, now(), time.time() + LEASE_SECONDS],
        "('running', 'paused', 'pending')",
    )


def move(conn: sqlite3.Connection, job_id: int, position: str) -> None:
    """Set the position, in the transaction of advance()."""
    conn.execute("update _embed_jobs set position = ? where id = ?", (position, job_id))


def counts(job: Job) -> dict[str, int]:
    """What the walk has counted so far."""
    return {name: getattr(job, name) for name in COUNTS}


def begin(
    conn: sqlite3.Connection,
    job_id: int,
    owner: str,
    counts: Mapping[str, int],
    first: tuple[str, int] | None = None,
) -> None:
    """Begin a walk with these counts: at the job's position, or at the first row (its position, the rows in all)."""
    with transaction(conn):
        changes = ", ".join(f"{name} = ?" for name in COUNTS)
        values: list[object] = [counts[name] for name in COUNTS]
        if first is not None:
            changes, values = f"{changes}, position = ?, rows_total = ?", [*values, *first]
            # What failed in a walk before is met again, and then counts up, or is gone.
            conn.execute("update _embed_errors set job_id = 0 where job_id = ?", (job_id,))
        _guarded(conn, job_id, owner, changes, values)


def end(conn: sqlite3.Connection, job_id: int, owner: str, status: str, reason: str | None = None) -> None:
    """Finish, fail or pause a job that we run; LeaseLost where it is no longer ours."""
    with transaction(conn):
        _guarded(
            conn,
            job_id,
            owner,
            "status = ?, reason = ?, owner = null, lease_expires = null, updated = ?, ended = ?",
            [status, reason, now(), None if status == PAUSED else now()],
        )


def act(conn: sqlite3.Connection, collection_id: int, action: str) -> Job:
    """Pause, resume or cancel the collection's jobs, those that wait behind the running one too.

    Conflict where the status of the newest forbids it.
    """
    if action not in _ACTIONS:
        raise EmbedError(f"There is no action {action!r}; the actions are pause, resume, cancel, update and delete")
    before, after = _ACTIONS[action]
    with transaction(conn):
        job = latest_job(conn, collection_id)
        if job is None or job.status not in before:
            raise Conflict(f"There is nothing to {action}: " + _state(job))
        others = tuple(status for status in before if status != FAILED)  # what failed before the newest stays so
        conn.execute(
            # Paused and resumed, it keeps its owner: the batch in flight, perhaps paid for, may still be saved.
            "update _embed_jobs set status = ?, reason = null, lease_expires = null, updated = ?, ended = ?,"
            " owner = case ? when 'cancelled' then null else owner end"
            f" where collection_id = ? and (id = ? or status in ({', '.join('?' * len(others))}))",
            (after, now(), now() if after == CANCELLED else None, after, collection_id, job.id, *others),
        )
        return get_job(conn, job.id)


def _state(job: Job | None) -> str:
    return f"the last job is {job.status}" if job else "there is no job yet"


def _guarded(
    conn: sqlite3.Connection,
    job_id: int,
    owner: str,
    changes: str,
    values: Sequence[object],
    statuses: str = "('running')",
) -> None:
    changed = conn.execute(
        f"update _embed_jobs set {changes} where id = ? and status in {statuses} and owner = ?",
        (*values, job_id, owner),
    )
    if changed.rowcount != 1:
        raise _lost(conn, job_id)


def _lost(conn: sqlite3.Connection, job_id: int) -> LeaseLost:
    row = conn.execute("select status from _embed_jobs where id = ?", (job_id,)).fetchone()
    status = row[0] if row else "deleted"
    return LeaseLost(f"Job {job_id} is {'run by another process' if status == RUNNING else status}")
