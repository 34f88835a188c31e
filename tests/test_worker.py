"""The worker in a real server: it takes jobs up, gives them back, and stops where errors are to be raised."""

import asyncio
import signal
import sqlite3
import threading
from contextlib import closing, suppress

import pytest
from embedded import act, create, make_file, read, run, vectors, wait_until, write
from fake_models import PROBE, Busy, Failing, HeldByFile, NeedsKey, SlowLoading, WordLengths, word_lengths
from servers import PATIENCE, wait_for

from datasette_embeddings import compat, worker
from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import create_collection, define

NOTES = "create table notes (id integer primary key, body text)"
ROWS = [(number, f"{'x' * number} note") for number in range(1, 41)]  # a first batch of 32, and a second


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=ROWS)


@pytest.fixture
def hold(tmp_path):
    """A file that holds every batch in the model of the server, while it exists."""
    path = tmp_path / "hold"
    path.touch()
    return path


def finished(path, status="finished"):
    return wait_until(path, f"select status = '{status}' from _embed_jobs order by id desc limit 1", f"a {status} job")


def in_the_model(hold):
    return wait_for(hold.with_name("hold.calls").exists, "a batch in the model")


def test_pending_jobs_are_taken_up(path, tmp_path, serve):
    """A server runs what is left pending in any of its databases, and what another process creates later."""
    other = make_file(tmp_path / "other.db", NOTES, notes=ROWS)
    for file in (path, other):
        create(file, "notes", ["body"], WordLengths())
    serve(path, other)
    for file in (path, other):
        finished(file)
        assert vectors(file, "notes") == {key: word_lengths(text) for key, text in ROWS}
    create(other, "notes", ["body"], WordLengths(), name="later")
    finished(other)


def test_a_read_only_database_is_left_alone(path, serve):
    """A pending job of an immutable database stays pending, and the server serves."""
    create(path, "notes", ["body"], WordLengths())
    server = serve(args=["-i", path])
    assert server.json("/data/notes.json?_shape=array")
    server.terminate()
    assert read(path, "select status from _embed_jobs") == [("pending",)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_stops_gives_its_job_back(path, serve, hold, number):
    """The batch in flight is saved, and the job is pending at once, not only when its lease runs out."""
    with closing(connect(path)) as conn, conn:  # more than it comes to before it has heard of the end
        conn.executemany("insert into notes values (?, ?)", [(number, f"{number} x") for number in range(100, 20_000)])
    server = serve(path, env={"FAKE_MODELS_HOLD": str(hold)})
    create(path, "notes", ["body"], HeldByFile())  # later, or the model would be held while it is warmed
    in_the_model(hold)
    server.process.send_signal(number)
    wait_for(lambda: "Waiting for application shutdown" in server.output(), "the signal to be heard")
    hold.unlink()
    server.process.wait(PATIENCE)
    given = sum(map(int, hold.with_name("hold.calls").read_text().split()))
    assert read(path, "select status, owner, lease_expires, embedded from _embed_jobs") == [
        ("pending", None, None, given)
    ]
    assert "Traceback" not in server.output()


def test_a_server_stops_although_the_model_does_not(path, serve, hold):
    """A model that does not come back holds up neither the end of the server nor the next process."""
    server = serve(path, env={"FAKE_MODELS_HOLD": str(hold)})
    create(path, "notes", ["body"], HeldByFile())  # later, or the model would be held while it is warmed
    in_the_model(hold)
    assert server.terminate() in (0, -signal.SIGTERM)
    assert read(path, "select status, owner, embedded from _embed_jobs") == [("pending", None, 0)]
    assert "Traceback" not in server.output()


def test_pause_and_resume_while_served(path, serve, hold):
    """A pause that any program writes stops the job after its batch, and a resume goes on."""
    serve(path, env={"FAKE_MODELS_HOLD": str(hold)})
    create(path, "notes", ["body"], HeldByFile())
    in_the_model(hold)
    act(path, "pause", "notes")
    hold.unlink()
    wait_until(path, "select embedded = 32 from _embed_jobs", "the batch in flight")
    assert read(path, "select status from _embed_jobs") == [("paused",)]
    act(path, "resume", "notes")
    finished(path)


def test_a_failed_job_does_not_end_the_worker(path, serve):
    """What fails is logged with its reason, and the next job runs."""
    create(path, "notes", ["body"], NeedsKey())
    server = serve(path, env={"FAKE_MODELS_KEY": ""})
    finished(path, "failed")
    wait_for(lambda: "is failed: The model needs-key needs the key 'fake'" in server.output(), "the reason in the log")
    create(path, "notes", ["body"], WordLengths("gone"), name="gone")
    wait_for(lambda: "There is no model 'gone'; the installed ones are" in server.output(), "the reason in the log")
    create(path, "notes", ["body"], WordLengths(), name="next")
    finished(path)


def test_a_job_that_waits_holds_up_no_other(path, tmp_path, serve):
    """While the server of one model is busy, jobs of others run; and it goes on beside them."""
    busy = tmp_path / "busy"
    busy.touch()
    serve(path, env={"FAKE_MODELS_BUSY": str(busy)})
    create(path, "notes", ["body"], Busy())
    wait_until(path, "select reason is not null from _embed_jobs", "the wait")
    create(path, "notes", ["body"], WordLengths(), name="other")
    finished(path)
    assert read(path, "select status from _embed_jobs order by id") == [("running",), ("finished",)]
    busy.unlink()
    wait_until(path, "select max(status) = 'finished' from _embed_jobs", "the job that waited")
    assert len(vectors(path, "notes")) == len(vectors(path, "other")) == len(ROWS)


def test_a_server_that_stops_while_a_job_waits(path, tmp_path, serve):
    """The job is given back, and the server ends at once."""
    busy = tmp_path / "busy"
    busy.touch()
    server = serve(path, env={"FAKE_MODELS_BUSY": str(busy)})
    create(path, "notes", ["body"], Busy())
    wait_until(path, "select reason is not null from _embed_jobs", "the wait")
    assert server.terminate() in (0, -signal.SIGTERM)
    assert read(path, "select status, owner, reason from _embed_jobs") == [("pending", None, None)]
    assert "Traceback" not in server.output()


def test_rows_that_failed_are_tried_again_by_themselves(path, serve):
    """Once their pause is over the worker makes a job for them, and for them alone."""
    write(path, "insert into notes values (99, 'FAIL')")
    _, job = create(path, "notes", ["body"], Failing())
    run(path, job, Failing())
    write(path, "update notes set body = 'mended' where id = 99")
    serve(path)
    write(path, "update _embed_errors set retry_at = 1")
    wait_until(path, "select max(id) = 2 and max(status) = 'finished' from _embed_jobs", "another job")
    assert read(path, "select kind, rows_done, embedded from _embed_jobs where id = 2") == [("failed", 1, 1)]
    assert read(path, "select count(*) from _embed_errors") == [(0,)]


def test_the_authors_traceback(path, serve):
    """With DATASETTE_EMBED_RAISE_ERRORS the server stops with the traceback of the model's own error."""
    write(path, "insert into notes values (99, 'FAIL')")
    create(path, "notes", ["body"], Failing())
    server = serve(path, env={"DATASETTE_EMBED_RAISE_ERRORS": "1"})
    assert server.process.wait(PATIENCE) != 0
    assert "ValueError: cannot embed 'FAIL'" in server.output()
    assert 'fake_models.py", line' in server.output()
    assert read(path, "select status, owner from _embed_jobs") == [("pending", None)]


def test_warm_loads_the_model():
    """A model with load() is loaded, and gets no content."""
    model = SlowLoading()
    model.loaded.set()
    worker.warm(model)
    assert (model.loads, model.calls) == (1, [])


def test_warm_embeds_a_word_with_a_model_that_loads_inside_its_batch(monkeypatch):
    """A model without load() embeds one word, unless that might cost."""
    model, costly = WordLengths(), NeedsKey()
    monkeypatch.setenv("FAKE_MODELS_KEY", "right")
    worker.warm(model)
    worker.warm(costly)
    assert (model.contents, costly.contents) == (["warm"], [])


async def started(datasette):
    """The worker of this Datasette, begun as a server would."""
    await datasette.invoke_startup()
    worker.worker_for(datasette).start()
    return worker.worker_for(datasette)


async def ended(path, condition="status not in ('pending', 'running')"):
    """Wait until the newest job is over, without holding up the event loop."""
    await asyncio.to_thread(
        wait_until, path, f"select {condition} from _embed_jobs order by id desc limit 1", "its end"
    )


async def test_the_worker_of_a_datasette_in_this_process(make_datasette, path):
    """The worker runs a job on Datasette's own connections, in the model that was registered."""
    model = WordLengths()
    create(path, "notes", ["body"], model)
    current = await started(make_datasette(path, models=[model]))
    await ended(path)
    await current.close()
    assert sorted(model.contents[-40:]) == sorted(text for _, text in ROWS)


async def test_a_disk_that_is_full(make_datasette, path):
    """On Datasette's connections too, a full disk pauses the job and loses nothing."""
    with closing(connect(path)) as conn, conn:
        conn.executemany("insert into notes values (?, ?)", [(number, f"{number} x") for number in range(100, 3000)])
    datasette = make_datasette(path, models=[model := WordLengths()])
    create(path, "notes", ["body"], model)
    pages = read(path, "pragma page_count")[0][0]
    database = datasette.get_database("data")
    await database.execute_write_fn(lambda conn: conn.execute(f"pragma max_page_count = {pages + 40}").fetchall())
    current = await started(datasette)
    await ended(path)
    await current.close()
    ((status, reason, done),) = read(path, "select status, reason, rows_done from _embed_jobs")
    assert (status, reason[:40]) == ("paused", "SQLite says: database or disk is full. N")
    assert done == len(vectors(path, "notes"))
    assert read(path, "pragma integrity_check") == [("ok",)]


async def job_in_memory(make_datasette, name, model):
    """The job that has embedded a table of a named database in memory, once it is over."""
    datasette = make_datasette(models=[model])
    database = datasette.add_memory_database(name)
    await compat.write(database, fill)
    job = await compat.write(database, lambda conn: begin(conn, model))
    current = await started(datasette)

    async def its_end():
        while True:
            with suppress(sqlite3.OperationalError):  # a writer refuses readers that share its cache
                present = await database.execute_fn(lambda conn: jobs.get_job(conn, job.id))
                if present.ended or present.status == "paused":
                    return present
            await asyncio.sleep(0.02)

    try:
        over = await asyncio.wait_for(its_end(), PATIENCE)
    finally:
        await current.close()
    return over.status, over.reason, over.embedded


async def test_a_database_in_memory(make_datasette):
    """A named database in memory is embedded like a file."""
    assert await job_in_memory(make_datasette, "test_worker_memory", WordLengths()) == ("finished", None, 2000)


async def test_readers_of_a_database_in_memory(make_datasette):
    """Who reads the table of jobs holds a job up and does not pause it, although SQLite refuses its writes at once."""
    name = "test_worker_readers"
    reader = sqlite3.connect(f"file:{name}?mode=memory&cache=shared", uri=True, check_same_thread=False)

    class Read(WordLengths):
        def embed_batch(self, contents):
            # At the first batch nothing is being written that could keep the reader out.
            if not self.contents and contents != [PROBE]:
                reader.execute("begin")
                reader.execute("select * from _embed_jobs").fetchall()
                threading.Timer(0.5, reader.rollback).start()
            return super().embed_batch(contents)

    with closing(reader):
        assert await job_in_memory(make_datasette, name, Read()) == ("finished", None, 2000)


def fill(conn):
    conn.execute(NOTES)
    conn.executemany("insert into notes values (?, ?)", [(number, f"{number} x") for number in range(2000)])


def begin(conn, model):
    collection, _ = create_collection(conn, define(conn, "notes", ["body"], None, model))
    return jobs.create_job(conn, collection.id)
