"""A plugin that ends or holds its server in one phase of a job: $FAKE_PHASE, from the $FAKE_PHASE_AFTER-th call on.

read, model, write and sweep: a file $FAKE_PHASE_MARK is made and nothing goes on until the server is killed.
commit: the server kills itself while the transaction of a batch is being committed, and begins to save no other.
"""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from datasette import hookimpl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a plugins folder is not importable by itself

from fake_models import WordLengths

from datasette_embeddings.engine import jobs, models, saving, sources
from datasette_embeddings.engine.running import asking, pace

PHASE = os.environ.get("FAKE_PHASE")
AFTER = int(os.environ.get("FAKE_PHASE_AFTER", "1"))
pace.LARGEST_BATCH = int(os.environ.get("FAKE_LARGEST_BATCH", pace.LARGEST_BATCH))
jobs.leases.LEASE_SECONDS = float(os.environ.get("FAKE_LEASE_SECONDS", jobs.leases.LEASE_SECONDS))


def stop():
    if PHASE == "commit":  # within the next milliseconds, whatever SQLite is then at
        threading.Thread(target=kill_soon).start()
        return
    Path(os.environ["FAKE_PHASE_MARK"]).touch()
    threading.Event().wait()


def kill_soon():
    time.sleep(random.random() / 300)
    os.kill(os.getpid(), signal.SIGKILL)


def stopping(function):
    """The function, which stops the server as soon as it has been called often enough and has done its work."""
    calls = []

    def wrapped(*arguments, **options):
        result = function(*arguments, **options)
        calls.append(1)
        if len(calls) == AFTER:
            stop()
        if len(calls) > AFTER:
            threading.Event().wait()  # for the kill, which comes late on a busy machine
        return result

    return wrapped


if PHASE == "read":
    sources.Source.next_stretch = stopping(sources.Source.next_stretch)
elif PHASE == "model":
    asking.embed_contents = stopping(models.embed_contents)
elif PHASE in ("write", "commit"):
    jobs.advance = stopping(jobs.advance)  # the last statement before a batch is committed
elif PHASE == "sweep":
    saving.find_gone = stopping(saving.find_gone)


@hookimpl
def register_embedding_models(register):
    register(WordLengths())
