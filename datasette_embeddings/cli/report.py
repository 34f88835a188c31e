"""What a pass over a table came to, in words: the summary, the first rows that failed, or why it stopped."""

from __future__ import annotations

import sqlite3

import click

from ..engine import jobs
from ..engine.access import FileAccess
from ..engine.collections import Collection
from ..engine.errors import EmbedError
from ..engine.jobs import Job
from ..wording import counted, duration, progress_text, spent_text, walked
from .progress import one_line

SHOWN_FAILURES = 5
SHOWN_CHARACTERS = 300  # of one message: a model may quote a whole content in it
GO_ON = "the same command goes on where it stopped"


def summary(collection: Collection, job: Job, seconds: float, price: float | None) -> str:
    """What was done, in one line, and where the model has a price what that cost; EmbedError for an unfinished job."""
    if job.status != jobs.FINISHED:
        raise EmbedError(_stopped(collection, job))
    names = ("embedded", "reused", "unchanged", "empty", "failed", "postponed", "removed")
    parts = [f"{getattr(job, name):,} {name}" for name in names if getattr(job, name)]
    rows = walked(job, job.rows_done)
    cost = "" if price is None else f"; {spent_text(job, price)}"
    return f"{collection.name}: {rows} in {duration(seconds)}: {', '.join(parts) or 'nothing to embed'}{cost}"


def say_failures(access: FileAccess, job: Job) -> None:
    """Say on stderr which rows this pass left without a vector, and why, where there are any."""
    if job.failed or job.postponed:
        click.echo(access.read(lambda conn: _failures(conn, job)), err=True)


def _failures(conn: sqlite3.Connection, job: Job) -> str:
    total = job.failed + job.postponed
    rows = conn.execute(
        "select row_key, message from _embed_errors where collection_id = ? and job_id = ? order by rowid limit ?",
        (job.collection_id, job.id, SHOWN_FAILURES),
    ).fetchall()
    lines = [f"{counted(total, 'row')} could not be embedded:"]
    lines += [f"  {one_line(key)}: {one_line(message)[:SHOWN_CHARACTERS]}" for key, message in rows]
    if total > len(rows):
        lines.append(f"  and {total - len(rows):,} more: select * from _embed_errors")
    if job.postponed:
        were, them = ("was", "it") if job.postponed == 1 else ("were", "them")
        lines.append(f"{job.postponed:,} of these failed before and {were} postponed: --retry-failed tries {them} now")
    return "\n".join(lines)


def _stopped(collection: Collection, job: Job) -> str:
    verb = {jobs.FAILED: "failed", jobs.PAUSED: "was paused", jobs.CANCELLED: "was cancelled"}.get(
        job.status, "stopped"
    )
    done = progress_text(job) if job.rows_done else ""
    text = f"Embedding {collection.name} {verb}{f' after {done}' if done else ''}"
    if job.reason:
        text += f": {one_line(job.reason)}"
    # Under a limit it might not: the reason says what helps.
    return f"{text}; {GO_ON}" if job.status == jobs.PAUSED and job.limits == jobs.Limits() else text
