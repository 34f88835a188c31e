"""What a job walks over, by its kind."""

from __future__ import annotations

import sqlite3
import time

from .. import jobs
from ..collections import Collection
from ..follow.notes import Noted, last_note, notes_of
from ..listing import Listing
from ..retries import Due
from ..tables import SourceTable


def listing_of(conn: sqlite3.Connection, job: jobs.Job, collection: Collection, source: SourceTable) -> Listing | None:
    """The keys that the job is about; None where it is about every row."""
    if job.kind == jobs.NOTED:
        notes = notes_of(collection.name, source)
        return Noted(notes, collection.id, last_note(conn, notes))
    if job.kind == jobs.RETRIED:
        return Due(collection.id, time.time())
    return None
