"""The lease of a running job: taken, renewed and given back, and what only its holder may write."""

from __future__ import annotations

import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Mapping, Sequence

from ..collections import now
from ..errors import LeaseLost
from ..transactions import transaction
from .job import COUNTS, PAUSED, RUNNING
from .stored import CLAIMABLE

LEASE_SECONDS = 15.0  # a process that died is replaced after this


def new_owner() -> str:
    """A name for this process as the holder of leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def claim(conn: sqlite3.Connection, job_id: int, owner: str) -> bool:
    """Take the job's lease; False where another process was quicker or still holds it."""
    with transaction(conn):
        moment = time.time()
        taken = conn.execute(
            "update _embed_jobs as j set status = 'running', owner = :owner, lease_expires = :until, reason = null,"
            f" started = coalesce(started, :at), updated = :at where id = :id and {CLAIMABLE}",
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
