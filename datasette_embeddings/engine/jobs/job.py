"""What a job is: its statuses, what it walks over, and its columns."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .limits import Limits

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
KINDS = (ROWS, NOTED, RETRIED)

# What restarts with the walk; `contents`, what the model was asked for, does not.
COUNTS = ("rows_done", "embedded", "reused", "unchanged", "empty", "failed", "postponed", "removed")


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
    cause: str | None = None
    postponed: int = 0

    @property
    def limits(self) -> Limits:
        """What it may hand to the model, and spend there."""
        return Limits(self.max_cost, self.max_rows)

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


FIELDS = ", ".join(f"j.{field.name}" for field in fields(Job))


def counts(job: Job) -> dict[str, int]:
    """What the walk has counted so far."""
    return {name: getattr(job, name) for name in COUNTS}
