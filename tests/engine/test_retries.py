"""Rows that failed, tried again: by whom, when, and what it costs."""

import time
from contextlib import closing

import pytest
from embedded import act, create, embed, errors, make_file, read, run, vectors, write
from fake_models import Failing, NeedsKey, WordLengths, word_lengths

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.errors import Conflict
from datasette_embeddings.engine.retries import due_collections, retry, retry_due

NOTES = "create table notes (id integer primary key, body text)"
ROWS = [(1, "good"), (2, "FAIL a"), (3, "fine"), (4, "FAIL b")]


class Mended(WordLengths):
    """The model failing, whose fault has passed."""

    model_id = "failing"


@pytest.fixture
def path(tmp_path):
    path = make_file(tmp_path / "data.db", NOTES, notes=ROWS)
    embed(path, "notes", ["body"], Failing())
    return path


def again(path, model, name="notes", **options):
    """What somebody's "Retry failed" comes to."""
    with FileAccess(path) as access:
        collection = access.read(lambda conn: get_collection(conn, name))
        job = access.write(lambda conn: retry(conn, collection.id, **options))
    return run(path, job, model)


def due(path, models=("failing",)):
    with closing(connect(path)) as conn:
        return due_collections(conn, models)


def test_only_the_failed_rows_are_walked(path):
    """A retry embeds the rows that failed, and no other that has changed since."""
    write(path, "update notes set body = 'changed' where id = 1")
    job = again(path, model := Mended())
    assert (job.kind, job.status, job.rows_total, job.rows_done, job.embedded) == ("failed", "finished", 2, 2, 2)
    assert sorted(model.contents) == ["FAIL a", "FAIL b"]
    assert errors(path) == []
    assert vectors(path, "notes")[2] == word_lengths("FAIL a")


def test_what_fails_again_counts_up(path):
    """The row stays, with one attempt more; the job is finished, for it did what it was for."""
    write(path, "update notes set body = 'mended' where id = 4")
    job = again(path, Failing())
    assert (job.status, job.embedded, job.failed) == ("finished", 1, 1)
    assert read(path, "select row_key, attempts, job_id from _embed_errors") == [("[2]", 2, job.id)]


def test_rows_that_are_gone_or_empty(path):
    """What has nothing to embed any more is no failure any more."""
    write(path, "delete from notes where id = 2")
    write(path, "update notes set body = null where id = 4")
    job = again(path, model := Failing())
    assert (job.status, job.empty, model.calls, errors(path)) == ("finished", 1, [], [])


@pytest.mark.parametrize(
    ("schema", "rows"),
    [
        ("create table notes (body text)", [("good",), ("FAIL",)]),
        ("create table notes (a text, b integer, body text, primary key (a, b))", [("x", 1, "ok"), ("x", 2, "FAIL")]),
        ("create table notes (id text primary key, body text) without rowid", [("ö/,", "FAIL"), ("b", "good")]),
        ("create table notes (id blob primary key, body text)", [(b"\xff\x00", "FAIL"), (b"b", "good")]),
    ],
)
def test_every_kind_of_key(tmp_path, schema, rows):
    """The failed row is found again whatever its key is made of."""
    path = make_file(tmp_path / "other.db", schema, notes=rows)
    embed(path, "notes", ["body"], Failing())
    assert again(path, model := Mended()).embedded == 1
    assert (model.contents, errors(path)) == (["FAIL"], [])


def test_rows_without_a_usable_key(tmp_path):
    """Tried again they fail again, each of them."""
    path = make_file(tmp_path / "other.db", "create table notes (id text primary key, body text)")
    write(path, "insert into notes values (null, 'a'), (null, 'b'), ('c', 'good')")
    embed(path, "notes", ["body"], WordLengths())
    again(path, WordLengths())
    assert read(path, "select row_key, attempts from _embed_errors") == [("[null]", 2), ("[null]", 2)]


def test_there_is_nothing_to_retry(path):
    """Where no row has failed a sentence says so, and there is no job for it."""
    again(path, Mended())
    with pytest.raises(Conflict, match="There is nothing to retry: no row has failed"):
        again(path, Mended())
    assert read(path, "select count(*) from _embed_jobs") == [(2,)]


def test_a_retry_goes_on_after_a_pause(path):
    """What it did not come to before its limit is done once it is resumed."""
    job = again(path, Mended(), limits={"max_rows": 1})
    assert (job.status, job.embedded) == ("paused", 1)
    with FileAccess(path) as access:
        access.write(lambda conn: jobs.act(conn, job.collection_id, "resume", {"max_rows": None}))
    assert run(path, job, Mended()).status == "finished"
    assert errors(path) == []


def later(path, seconds):
    """As if so much time had passed."""
    write(path, "update _embed_errors set retry_at = retry_at - ?", seconds)


def test_it_is_time(path):
    """A row is due once its pause is over, and that of its next failure begins anew."""
    assert due(path) == []
    later(path, 500)
    assert due(path) == []
    later(path, 110)
    assert due(path) == [1]
    _, job = create(path, "notes", ["body"], Failing(), kind=jobs.RETRIED)
    run(path, job, Failing())
    assert due(path) == []
    later(path, 7100)
    assert due(path) == []


def test_only_what_is_due_is_tried(path):
    """A row that has failed often enough, or not long enough ago, is not handed to the model again."""
    write(path, "update _embed_errors set retry_at = ? where row_key = '[2]'", time.time() - 1)
    _, job = create(path, "notes", ["body"], Failing(), kind=jobs.RETRIED)
    job = run(path, job, model := Mended())
    assert (job.rows_total, model.contents) == (1, ["FAIL a"])
    assert read(path, "select row_key from _embed_errors") == [("[4]",)]


def test_no_more_than_four_attempts(path):
    """What fails for ever is tried four times, and then no more unless somebody asks."""
    model = Failing()
    while due(path) or read(path, "select 1 from _embed_errors where retry_at is not null"):
        later(path, 90_000)
        _, job = create(path, "notes", ["body"], model, kind=jobs.RETRIED)
        assert run(path, job, model).status == "finished"
    assert read(path, "select attempts, retry_at from _embed_errors") == [(4, None), (4, None)]
    again(path, Failing())
    assert read(path, "select attempts, retry_at from _embed_errors") == [(5, None), (5, None)]


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_what_a_person_stopped_is_left_alone(path, action):
    """Nothing is tried again by itself while the collection's last job is paused or was cancelled."""
    later(path, 700)
    create(path, "notes", ["body"], Failing())
    assert due(path) == []  # it waits to run, and will try them all
    act(path, action, "notes")
    assert due(path) == []


def test_what_no_row_mends_is_left_alone(path, monkeypatch):
    """A key that was refused is for a person to put right: nothing is tried again until a job has come to its end."""
    monkeypatch.setenv("FAKE_MODELS_KEY", "wrong")
    later(path, 700)
    write(path, "insert into notes values (9, 'new')")
    _, job = create(path, "notes", ["body"], NeedsKey("failing"))
    assert run(path, job, NeedsKey("failing")).status == "failed"
    assert due(path) == []


def test_where_every_row_failed(tmp_path):
    """The rows were met one by one, so they are tried again, though the job failed."""
    path = make_file(tmp_path / "other.db", NOTES, notes=[(1, "FAIL")])
    assert embed(path, "notes", ["body"], Failing()).status == "failed"
    later(path, 700)
    assert due(path) == [1]


def test_a_model_that_is_not_installed(path):
    """A process without the model leaves the rows to one that has it."""
    later(path, 700)
    assert (due(path, models=()), due(path)) == ([], [1])


def test_a_job_for_what_is_due(path):
    """It is made once, and walks what is due."""
    later(path, 700)
    with FileAccess(path) as access:
        job = access.write(lambda conn: retry_due(conn, ["failing"]))
        assert access.write(lambda conn: retry_due(conn, ["failing"])) is None
    assert run(path, job, model := Mended()).status == "finished"
    assert sorted(model.contents) == ["FAIL a", "FAIL b"]


def test_a_file_without_our_tables(tmp_path):
    """Nothing is due there."""
    assert due(make_file(tmp_path / "bare.db", NOTES)) == []
