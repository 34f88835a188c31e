"""Holding a job's lease while it is worked on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .. import jobs
from ..access import Access
from ..errors import EmbedError, LeaseLost

RENEW_SECONDS = 5.0


@contextmanager
def kept_lease(access: Access, job_id: int, owner: str) -> Iterator[None]:
    """Renew the lease by time while the block runs, however long a batch takes."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            try:
                access.write(lambda conn: jobs.renew(conn, job_id, owner))
            except LeaseLost:
                return
            except (sqlite3.Error, EmbedError):
                continue  # a lock or a full disk: the batch's own commit will tell

    thread = threading.Thread(target=renew, name="embed-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
