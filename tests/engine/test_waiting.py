"""A model's server that is busy: the batch waits, the job says so, and whoever ends the job ends the wait."""

import re
import threading
import time

import pytest
from embedded import act, create, embed, job_of, make_file, read, run, running, vectors, wait_until, write
from fake_models import Busy, Failing, Held, word_lengths

from datasette_embeddings import ModelBusy
from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.collections import delete_collection
from datasette_embeddings.engine.running import lease, pace, waiting

NOTES = "create table notes (id integer primary key, body text)"
WAITING = "select reason is not null from _embed_jobs"
LONG = 1000  # seconds: no test waits for it


@pytest.fixture
def path(tmp_path):
    rows = [(number, f"{'x' * number} note") for number in range(1, 9)]
    return make_file(tmp_path / "data.db", NOTES, notes=rows)


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that were asked for; the waiting itself is left out."""
    asked = []
    monkeypatch.setattr(waiting.Patience, "_sleep", lambda self, seconds: asked.append(seconds))
    return asked


def expected(path):
    return {key: word_lengths(text) for key, text in read(path, "select id, body from notes")}


def test_the_same_batch_is_handed_over_again(path, pauses):
    """A batch waits with growing pauses for a server that is busy, and is embedded whole, once."""
    job = embed(path, "notes", ["body"], model := Busy(times=4))
    assert (job.status, job.reason, job.embedded, job.failed) == ("finished", None, 8, 0)
    assert (pauses, len(model.calls)) == ([2, 4, 8, 16], 1)
    assert vectors(path, "notes") == expected(path)


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(7.5, 7.5), (0.1, 2), (None, 2), (-3, 2), (float("nan"), 2), (float("inf"), 86_400)],
)
def test_no_sooner_than_the_server_asks(path, pauses, retry_after, pause):
    """Retry-After is kept, up to a day, and never makes a pause shorter than it would be."""
    embed(path, "notes", ["body"], Busy(times=1, retry_after=retry_after))
    assert pauses == [pause]


def test_pauses_stop_growing(path, pauses):
    """Twice as long each time, up to five minutes; the batch is never given up."""
    assert embed(path, "notes", ["body"], Busy(times=12)).status == "finished"
    assert pauses[7:] == [256, 300, 300, 300, 300]


def test_busy_while_it_loads(path, pauses):
    """A model that finds its server busy in load() is loaded a little later."""

    class Loading(Busy):
        def load(self):
            self.embed_batch([])

    assert embed(path, "notes", ["body"], Loading(times=2)).status == "finished"
    assert len(pauses) == 2


class BusyInTheMiddle(Failing):
    """Fails as Failing does, and is busy before every other call."""

    calm = False

    def embed_batch(self, contents):
        self.calm = not self.calm
        if self.calm:
            raise ModelBusy("The fake server is busy")
        return super().embed_batch(contents)


def test_busy_in_the_middle_of_halving(path, pauses):
    """A half that has to wait is neither halved further for it nor handed over twice, and the bad row alone fails."""
    write(path, "update notes set body = 'FAIL ' || body where id = 5")
    job = embed(path, "notes", ["body"], model := BusyInTheMiddle())
    assert (job.status, job.embedded, job.failed) == ("finished", 7, 1)
    assert sorted(len(call) for call in model.calls) == [1, 2, 4]
    assert read(path, "select row_key from _embed_errors") == [("[5]",)]


class BusyAfter(Failing):
    """Busy for ever after so many calls that succeeded."""

    def __init__(self, calls):
        super().__init__()
        self.most = calls

    def embed_batch(self, contents):
        if len(self.calls) >= self.most:
            raise ModelBusy("The fake server is busy", LONG)
        return super().embed_batch(contents)


@pytest.mark.parametrize("end", ["pause", "stop"])
def test_what_a_half_gave_is_kept(path, end):
    """Where the job is taken away while a half waits, the half that was embedded, perhaps paid for, is saved."""
    write(path, "update notes set body = 'FAIL' where id = 1")
    _, job = create(path, "notes", ["body"], Failing())
    stop = threading.Event()
    with running(path, job, BusyAfter(1), stop=stop) as done:
        wait_until(path, WAITING, "the wait")
        stop.set() if end == "stop" else act(path, end, "notes")
    assert (done[0].status, done[0].embedded, done[0].contents) == ("paused" if end == "pause" else "pending", 4, 4)
    if end == "pause":
        act(path, "resume", "notes")
    job = run(path, job, model := Failing())
    assert (job.status, job.embedded, job.failed, len(model.contents)) == ("finished", 7, 1, 3)


def test_the_reason_names_the_fault_and_the_time(path):
    """While it waits, the running job says what the server said and when it is asked again."""
    _, job = create(path, "notes", ["body"], Busy())
    with running(path, job, Busy(times=1, retry_after=LONG)):
        wait_until(path, WAITING, "the wait")
        waiting_job = job_of(path, job)
        act(path, "cancel", "notes")
    said = r"Waiting for the model's server: The fake server is busy; next attempt at \d\d:\d\d:\d\d UTC"
    assert waiting_job.status == "running"
    assert re.fullmatch(said, waiting_job.reason)


def test_the_reason_goes_away_by_itself(path, monkeypatch):
    """Once the server answers, nothing is said of it any more, while the job still runs."""
    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(pace, "FIRST_BATCH", 2)
    monkeypatch.setattr(pace, "LARGEST_BATCH", 2)

    class BusyThenHeld(Held):
        times = 1

        def embed_batch(self, contents):
            if self.times:
                self.times -= 1
                raise ModelBusy("The fake server is busy")
            return super().embed_batch(contents)

    model, seen = BusyThenHeld(), []
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model, on_progress=lambda job: seen.append(job.reason)):
        model.wait_for_call()
        model.release()
        model.wait_for_call()
        assert (job_of(path, job).status, job_of(path, job).reason) == ("running", None)
    assert seen[0].startswith("Waiting for the model's server")
    assert set(seen[1:]) == {None}


@pytest.mark.parametrize(("action", "status"), [("pause", "paused"), ("cancel", "cancelled"), ("delete", "cancelled")])
def test_the_wait_ends_with_the_job(path, action, status):
    """Pausing, cancelling and deleting end a wait at once, however long it would be."""
    _, job = create(path, "notes", ["body"], Busy())
    with running(path, job, Busy(times=1, retry_after=LONG)) as done:
        wait_until(path, WAITING, "the wait")
        if action == "delete":
            with FileAccess(path) as access:
                access.write(lambda conn: delete_collection(conn, "notes"))
        else:
            act(path, action, "notes")
    assert done[0].status == status
    assert action == "delete" or job_of(path, job).reason is None


def test_a_process_that_stops_waits_no_longer(path):
    """A process that is asked to stop gives the waiting job back at once, and says nothing of a wait any more."""
    _, job = create(path, "notes", ["body"], Busy())
    stop = threading.Event()
    with running(path, job, Busy(times=1, retry_after=LONG), stop=stop) as done:
        wait_until(path, WAITING, "the wait")
        stop.set()
    assert (done[0].status, done[0].owner, done[0].reason) == ("pending", None, None)
    assert run(path, job, Busy()).status == "finished"


def test_the_lease_is_kept_while_it_waits(path, monkeypatch):
    """No other process takes a waiting job up, however long it waits."""
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    _, job = create(path, "notes", ["body"], Busy())
    with running(path, job, Busy(times=1, retry_after=LONG)):
        wait_until(path, WAITING, "the wait")
        write(path, "update _embed_jobs set lease_expires = 0")
        wait_until(path, f"select lease_expires > {time.time()} from _embed_jobs", "the lease to be renewed")
        with FileAccess(path) as access:
            assert not access.write(lambda conn: jobs.claim(conn, job.id, "other"))
        act(path, "cancel", "notes")


def test_a_lock_does_not_end_the_wait(path, monkeypatch, pauses):
    """Where the reason cannot be written, because another program holds the file, the job waits all the same."""
    monkeypatch.setattr("datasette_embeddings.engine.access.LOCK_SECONDS", 0.05)
    written = jobs.explain

    def locked(conn, job_id, owner, reason):
        if reason:
            with FileAccess(path) as other, other._writing:
                other._writing.execute("begin immediate")
                return written(conn, job_id, owner, reason)
        return written(conn, job_id, owner, reason)

    monkeypatch.setattr(jobs, "explain", locked)
    assert embed(path, "notes", ["body"], Busy(times=1)).status == "finished"
    assert pauses == [2]
