"""Jobs: guarded changes of status, leases, and who may take what up when."""

import itertools
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from embedded import act, create, embed, job_of, make_file, read, run, running, vectors, wait_until, write
from fake_models import Held, WordLengths, word_lengths
from servers import PATIENCE

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.errors import Conflict, EmbedError, LeaseLost, NotFound
from datasette_embeddings.engine.running import lease, pace, run_job

NOTES = "create table notes (id integer primary key, body text)"


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=[(n, f"{'x' * n} note") for n in range(1, 41)])


@pytest.fixture
def job(path):
    return create(path, "notes", ["body"], WordLengths())[1]


@pytest.fixture
def conn(path):
    with closing(connect(path)) as conn:
        yield conn


def test_a_new_job_is_pending(conn, job):
    """A job waits for a worker, with nothing done."""
    assert (job.status, job.rows_done, job.owner, job.ended) == ("pending", 0, None, None)
    assert jobs.claimable_job(conn) == job


def test_only_one_claim_succeeds(conn, job):
    """Of two that want a job, one gets it."""
    assert [jobs.claim(conn, job.id, "a"), jobs.claim(conn, job.id, "b")] == [True, False]
    assert job_of_owner(conn, job) == ("running", "a")


def job_of_owner(conn, job):
    job = jobs.get_job(conn, job.id)
    return job.status, job.owner


def test_many_threads_claim_one_job(path, job):
    """However many want a job at once, one gets it."""
    won, barrier = [], threading.Barrier(8)

    def want(name):
        with closing(connect(path)) as conn:
            barrier.wait(PATIENCE)
            if jobs.claim(conn, job.id, name):
                won.append(name)

    threads = [threading.Thread(target=want, args=(f"owner {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(won) == 1


def test_the_lease_is_15_seconds(conn, job):
    """A claim holds for 15 seconds from now."""
    before = time.time()
    jobs.claim(conn, job.id, "a")
    assert before + 15 <= jobs.get_job(conn, job.id).lease_expires <= time.time() + 15


def test_a_lease_that_has_not_run_out_is_respected(conn, job):
    """No other process sees a job whose lease still holds."""
    jobs.claim(conn, job.id, "a")
    assert jobs.claimable_job(conn) is None
    assert not jobs.claim(conn, job.id, "b")


def test_a_lease_that_has_run_out(conn, job):
    """Another process takes the job up, and the first one can neither renew, save nor end it."""
    jobs.claim(conn, job.id, "a")
    conn.execute("update _embed_jobs set lease_expires = ?", (time.time() - 1,))
    assert jobs.claimable_job(conn).id == job.id
    assert jobs.claim(conn, job.id, "b")
    for attempt in (
        lambda: jobs.renew(conn, job.id, "a"),
        lambda: jobs.advance(conn, job.id, "a", None, rows_done=1),
        lambda: jobs.end(conn, job.id, "a", jobs.FINISHED),
        lambda: jobs.check(conn, job.id, "a"),
        lambda: jobs.begin(conn, job.id, "a", jobs.counts(job)),
    ):
        with pytest.raises(LeaseLost, match="run by another process"):
            attempt()
    jobs.release(conn, job.id, "a")
    assert job_of_owner(conn, job) == ("running", "b")


def test_renew_prolongs_the_lease(conn, job):
    """A renewed lease holds for another 15 seconds."""
    jobs.claim(conn, job.id, "a")
    conn.execute("update _embed_jobs set lease_expires = 1")
    before = time.time()
    jobs.renew(conn, job.id, "a")
    assert jobs.get_job(conn, job.id).lease_expires >= before + 15


def test_the_lease_is_renewed_during_a_long_batch(path, job, monkeypatch):
    """The lease is kept by time, however long the model takes for one batch."""
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.02)
    with running(path, job, model := Held()):
        model.wait_for_call()
        write(path, "update _embed_jobs set lease_expires = 0")
        wait_until(path, f"select lease_expires > {time.time()} from _embed_jobs", "a renewal")


def test_a_job_waits_for_its_collections_running_one(conn, job):
    """Two jobs of a collection never run at once, and one whose process died goes first."""
    second = jobs.create_job(conn, job.collection_id)
    jobs.claim(conn, job.id, "a")
    assert not jobs.claim(conn, second.id, "b")
    conn.execute("update _embed_jobs set lease_expires = 0")
    assert not jobs.claim(conn, second.id, "b")
    assert jobs.claimable_job(conn).id == job.id
    jobs.end(conn, job.id, "a", jobs.FINISHED)
    assert jobs.claim(conn, second.id, "b")


def test_release_gives_the_job_back_at_once(conn, job):
    """A released job is pending, and the next process need not wait for the lease."""
    jobs.claim(conn, job.id, "a")
    jobs.release(conn, job.id, "a")
    assert job_of_owner(conn, job) == ("pending", None)
    assert jobs.claim(conn, job.id, "b")


def set_status(conn, status):
    with conn:
        conn.execute("update _embed_jobs set status = ?", (status,))


@pytest.mark.parametrize(
    ("action", "allowed", "after"),
    [
        ("pause", {"pending", "running"}, "paused"),
        ("resume", {"paused", "failed"}, "pending"),
        ("cancel", {"pending", "running", "paused"}, "cancelled"),
    ],
)
@pytest.mark.parametrize("status", ["pending", "running", "paused", "cancelled", "finished", "failed"])
def test_an_action_is_allowed_or_refused(conn, job, action, allowed, after, status):
    """Each action has the statuses that it may be taken in, and is refused with a sentence in the others."""
    set_status(conn, status)
    if status in allowed:
        assert jobs.act(conn, job.collection_id, action).status == after
    else:
        with pytest.raises(Conflict, match=f"There is nothing to {action}: the last job is {status}"):
            jobs.act(conn, job.collection_id, action)


def test_an_unknown_action(conn, job):
    """An action that there is not is named."""
    with pytest.raises(EmbedError, match="There is no action 'explode'"):
        jobs.act(conn, job.collection_id, "explode")


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_what_waits_behind_is_stopped_too(conn, job, action):
    """Somebody who pauses or cancels does not see the next job of the collection begin instead."""
    second = jobs.create_job(conn, job.collection_id)
    jobs.claim(conn, job.id, "a")
    jobs.act(conn, job.collection_id, action)
    assert jobs.claimable_job(conn) is None
    assert jobs.get_job(conn, second.id).status == {"pause": "paused", "cancel": "cancelled"}[action]


def test_an_old_failure_is_not_resumed(conn, job):
    """Only the newest job counts: what failed before it is history."""
    set_status(conn, "failed")
    second = jobs.create_job(conn, job.collection_id)
    with conn:
        conn.execute("update _embed_jobs set status = 'finished' where id = ?", (second.id,))
    with pytest.raises(Conflict, match="the last job is finished"):
        jobs.act(conn, job.collection_id, "resume")
    assert jobs.get_job(conn, job.id).status == "failed"


def test_an_action_without_a_job(conn, job):
    """A collection that has no job has nothing to pause."""
    with conn:
        conn.execute("delete from _embed_jobs")
    with pytest.raises(Conflict, match="there is no job yet"):
        jobs.act(conn, job.collection_id, "pause")


def test_a_job_that_is_not_there(conn, job):
    """An unknown job is named."""
    with pytest.raises(NotFound, match="There is no job 99"):
        jobs.get_job(conn, 99)


def test_a_file_that_was_never_embedded_has_no_jobs(tmp_path):
    """Looking for jobs creates nothing."""
    path = make_file(tmp_path / "plain.db", NOTES)
    with closing(connect(path)) as conn:
        assert jobs.claimable_job(conn) is None
    assert read(path, "select name from sqlite_master") == [("notes",)]


def test_the_latest_job(conn, job):
    """The running job is the one to show, else the newest."""
    second = jobs.create_job(conn, job.collection_id)
    assert jobs.latest_job(conn, job.collection_id).id == second.id
    jobs.claim(conn, job.id, "a")
    assert jobs.latest_job(conn, job.collection_id).id == job.id


def test_the_time_left(conn, job):
    """What is left is rows by rate, and unknown while either is."""
    assert job.seconds_left is None
    with conn:
        conn.execute("update _embed_jobs set rows_total = 100, rows_done = 40, rate = 20.0")
    assert jobs.get_job(conn, job.id).seconds_left == 3.0
    set_status(conn, "paused")
    assert jobs.get_job(conn, job.id).seconds_left is None


def test_taken_up_exactly_where_it_stopped(path, job, monkeypatch):
    """After a process died, the next one embeds no row again that was saved, and misses none."""
    monkeypatch.setattr(pace, "FIRST_BATCH", 4)
    monkeypatch.setattr(pace, "LARGEST_BATCH", 4)
    dead = Held()
    with running(path, job, dead) as done:
        dead.wait_for_call()
        dead.release()
        dead.wait_for_call()
        wait_until(path, "select rows_done = 4 from _embed_jobs", "the first batch to be saved")
        write(path, "update _embed_jobs set lease_expires = 0")
        ended = run(path, job, model := WordLengths(), owner="next")
    assert (ended.status, ended.embedded, ended.contents) == ("finished", 40, 40)
    assert len(model.contents) == 36
    assert done[0] == ended  # the one that came back too late changed nothing
    assert read(path, "select count(*), count(distinct id) from _embed_vectors_notes") == [(40, 40)]


def test_processes_that_compete_for_one_file(path, monkeypatch):
    """However the leases of several processes run out, every row has its vector once and no batch is saved twice."""
    monkeypatch.setattr(pace, "LARGEST_BATCH", 3)
    monkeypatch.setattr(pace, "FIRST_BATCH", 3)
    _, job = create(path, "notes", ["body"], WordLengths())
    models = [WordLengths() for _ in range(4)]
    until = time.monotonic() + PATIENCE

    def compete(number):
        with FileAccess(path) as access:
            while jobs_left(access) and time.monotonic() < until:
                if access.write(lambda conn: jobs.claim(conn, job.id, f"owner {number}")):
                    run_job(access, job, f"owner {number}", lambda name: models[number])

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for pause in itertools.count(1):  # longer each time, or nobody on a slow machine comes to save a batch
        if not any(thread.is_alive() for thread in threads):
            break
        write(path, "update _embed_jobs set lease_expires = 0 where status = 'running'")  # as if its process hung
        threads[0].join(pause / 100)
    ended = job_of(path, job)
    assert (ended.status, ended.rows_done, ended.embedded) == ("finished", 40, 40)
    assert vectors(path, "notes") == {key: word_lengths(text) for key, text in read(path, "select * from notes")}


def jobs_left(access):
    return access.read(lambda conn: conn.execute("select 1 from _embed_jobs where status <> 'finished'").fetchone())


def test_two_collections_run_at_once(path):
    """Jobs of different collections do not wait for each other."""
    first, second = Held(), WordLengths()
    _, job = create(path, "notes", ["body"], first)
    with running(path, job, first):
        first.wait_for_call()
        assert embed(path, "notes", ["body"], second, name="other").status == "finished"


def test_a_paused_job_is_not_claimed(path, job):
    """A worker leaves a paused job alone until somebody resumes it."""
    act(path, "pause", "notes")
    with closing(connect(path)) as conn:
        assert jobs.claimable_job(conn) is None
        assert not jobs.claim(conn, job.id, "a")
    act(path, "resume", "notes")
    assert run(path, job, WordLengths()).status == "finished"


def test_the_file_itself_allows_one_running_job(conn, job):
    """Whatever a program does, a collection never has two running jobs."""
    jobs.create_job(conn, job.collection_id)
    with pytest.raises(sqlite3.IntegrityError), conn:
        conn.execute("update _embed_jobs set status = 'running'")


def test_each_owner_is_another():
    """Two workers never have one name."""
    assert len({jobs.new_owner() for _ in range(100)}) == 100
