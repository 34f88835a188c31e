"""What a job walks over, by its kind."""

from __future__ import annotations

import sqlite3
import time

from .. import jobs
from ..collections import Collection
from ..follow.noted import Noted
from ..follow.notes import last_note, stored_notes
from ..follow.shape import shape_of, stored_shape
from ..listing import Listing
from ..retries import Due
from ..tables import SourceTable


def listing_of(conn: sqlite3.Connection, job: jobs.Job, collection: Collection, source: SourceTable) -> Listing | None:
    """The keys that the job is about; None where it is about every row."""
    if job.kind == jobs.NOTED:
        notes = stored_notes(conn, collection.name)
        if notes and (source.has_key or stored_shape(conn, collection.id) == shape_of(conn, source)):
            return Noted(notes, last_note(conn, notes))
        # The notes are gone, or the rowids in them may be those of other rows by now.
    if job.kind == jobs.RETRIED:
        return Due(collection.id, time.time())
    return None
