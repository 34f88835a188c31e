"""Where a job has come to and where it goes on, as it stands in the file: a row, and the counts up to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from . import jobs
from .rows import Position, key_from_json, key_json
from .sources import schema_version
from .tables import SourceTable


def position_json(after: Position | None, schema: int, counts: Mapping[str, int]) -> str:
    """A position as the job keeps it: the last row dealt with, the schema's version, and the counts up to there."""
    return json.dumps({"after": key_json(after or ()), "schema": schema, "counts": counts})


@dataclass(frozen=True)
class Start:
    """Where a job goes on, and what it had counted up to there."""

    after: Position | None  # None: at the first row
    counts: Mapping[str, int]
    again: int = 0  # rows beyond it that the job has embedded too: counted already, and met as unchanged ones


def start_of(conn: sqlite3.Connection, job: jobs.Job, source: SourceTable) -> Start:
    """Where a job goes on: at its position, unless the rows were renumbered since."""
    nothing = dict.fromkeys(jobs.COUNTS, 0)
    if job.position is None:
        return Start(None, nothing)
    position = json.loads(job.position)
    if not source.stable and position["schema"] != schema_version(conn):
        return Start(None, nothing)
    counts = position["counts"]
    again = job.embedded - counts["embedded"]
    # An older version may have written it, which knew fewer counts.
    counts = {**nothing, **counts, "embedded": job.embedded, "rows_done": counts["rows_done"] + again}
    return Start(key_from_json(position["after"]) or None, counts, again)
