"""The rows that failed: how often, and when they are tried again."""

import time

import pytest
from embedded import act, create, embed, make_file, read, run, vectors, write
from fake_models import Failing, WordLengths

from datasette_embeddings.engine.errors import ContentRefused
from datasette_embeddings.engine.failures import PAUSES
from datasette_embeddings.engine.running import pace

NOTES = "create table notes (id integer primary key, body text)"
HOUR, DAY = 60, 24 * 60  # minutes


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=[(1, "good"), (2, "FAIL"), (3, "fine")])


def attempts(path):
    """How often each row has failed."""
    return dict(read(path, "select row_key, attempts from _embed_errors order by row_key"))


def pauses(path):
    """How long from now each row waits for its next attempt, in minutes; None where it waits for a person."""
    rows = read(path, "select retry_at from _embed_errors order by row_key")
    return [at and round((at - time.time()) / 60) for (at,) in rows]


def now_due(path):
    """As if the pause of every row were over."""
    write(path, "update _embed_errors set retry_at = 1")


def test_the_same_content_counts_up(path):
    """Each attempt that fails counts, and the pauses grow until only a person asks for more."""
    seen = []
    for _ in range(5):
        embed(path, "notes", ["body"], Failing())
        seen.append((attempts(path)["[2]"], *pauses(path)))
        now_due(path)
    assert seen == [(1, 10), (2, 2 * HOUR), (3, DAY), (4, None), (5, None)]
    assert PAUSES == (10 * 60, 2 * HOUR * 60, DAY * 60)


def test_a_changed_content_starts_at_one(path):
    """What failed before says nothing of another content."""
    embed(path, "notes", ["body"], Failing())
    now_due(path)
    embed(path, "notes", ["body"], Failing())
    assert attempts(path) == {"[2]": 2}
    write(path, "update notes set body = 'FAIL again' where id = 2")
    embed(path, "notes", ["body"], Failing())
    assert attempts(path) == {"[2]": 1}
    assert pauses(path) == [10]


def test_a_content_that_is_refused_is_not_tried_again(path):
    """What a model refuses for its kind or size, and a row without a key, wait for a person."""

    class Refusing(WordLengths):
        def embed_batch(self, contents):
            if "FAIL" in contents:
                raise ContentRefused("The text is too long")
            return super().embed_batch(contents)

    assert embed(path, "notes", ["body"], Refusing()).failed == 1
    assert (attempts(path), pauses(path)) == ({"[2]": 1}, [None])


def test_a_row_without_a_key_is_not_tried_again(tmp_path):
    """Only a change of the row can mend it."""
    path = make_file(tmp_path / "data.db", "create table notes (id text primary key, body text)", notes=[(None, "a")])
    embed(path, "notes", ["body"], WordLengths())
    assert pauses(path) == [None]


def test_a_pass_that_begins_anew_counts_up(path):
    """A job that starts over, as one whose every row failed, forgets nothing of what it met before."""
    write(path, "delete from notes where id <> 2")
    job = embed(path, "notes", ["body"], Failing())
    act(path, "resume", "notes")
    assert run(path, job, Failing()).status == "failed"
    assert attempts(path) == {"[2]": 2}


def test_what_is_not_met_again_is_forgotten(path):
    """A pass that begins anew drops at its end the failures of rows that are gone or mended by then."""
    _, job = create(path, "notes", ["body"], Failing())
    write(path, "update notes set body = 'FAIL'")
    job = run(path, job, Failing())
    write(path, "delete from notes where id = 1")
    write(path, "update notes set body = 'mended' where id = 2")
    act(path, "resume", "notes")
    assert run(path, job, Failing()).status == "finished"
    assert attempts(path) == {"[3]": 2}


def test_a_pass_over_every_row_leaves_alone_what_is_not_due(path):
    """A row that failed costs nothing until its next attempt: it counts as postponed, and its error stays."""
    embed(path, "notes", ["body"], Failing())
    write(path, "update notes set body = 'new' where id = 1")
    job = embed(path, "notes", ["body"], model := WordLengths("failing"))
    assert (job.status, job.failed, job.postponed, model.contents) == ("finished", 0, 1, ["new"])
    assert (attempts(path), pauses(path)) == ({"[2]": 1}, [10])
    assert read(path, "select job_id from _embed_errors") == [(job.id,)]
    now_due(path)
    job = embed(path, "notes", ["body"], model)
    assert (job.embedded, job.postponed, attempts(path)) == (1, 0, {})


def test_what_waits_for_a_person_is_left_alone_too(path):
    """No pass over every row tries what the schedule says never to try."""
    embed(path, "notes", ["body"], Failing())
    write(path, "update _embed_errors set retry_at = null")
    job = embed(path, "notes", ["body"], model := WordLengths("failing"))
    assert (job.postponed, model.calls, attempts(path)) == (1, [], {"[2]": 1})


def test_a_stale_vector_of_a_row_that_is_left_alone(path):
    """A row never keeps the vector of a text that it had before, whatever became of its error."""
    embed(path, "notes", ["body"], model := Failing())
    write(path, "insert into _embed_vectors_notes select 2, chunk, chunk_start, chunk_end, x'00', vector, 99, row_hash"
          " from _embed_vectors_notes where id = 1")  # fmt: skip
    assert embed(path, "notes", ["body"], model).postponed == 1
    assert set(vectors(path, "notes")) == {1, 3}


def test_a_change_tries_what_failed(path):
    """Another template makes other contents, of which none has failed yet."""
    embed(path, "notes", ["body"], Failing())
    job = embed(path, "notes", ["body"], Failing(), template="Note: {{ body }}", name="dressed")
    assert (job.failed, job.postponed) == (1, 0)


def test_a_job_that_goes_on_does_not_pay_twice(path, monkeypatch):
    """What failed before it stopped still counts as failed in this job, and is not tried in it again."""
    monkeypatch.setattr(pace, "FIRST_BATCH", 1)
    _, job = create(path, "notes", ["body"], Failing(), limits={"max_rows": 2})
    assert run(path, job, Failing()).status == "paused"
    assert attempts(path) == {"[2]": 1}
    act(path, "resume", "notes", {"max_rows": None})
    job = run(path, job, model := WordLengths("failing"))
    assert (job.status, job.failed, job.postponed, model.contents) == ("finished", 1, 0, ["fine"])


def test_a_job_that_an_older_version_left(path):
    """It goes on where it stopped, though its position knows nothing of rows that are postponed."""
    _, job = create(path, "notes", ["body"], WordLengths(), limits={"max_rows": 1})
    assert run(path, job, WordLengths()).status == "paused"
    write(path, "update _embed_jobs set position = json_remove(position, '$.counts.postponed')")
    act(path, "resume", "notes", {"max_rows": None})
    assert run(path, job, WordLengths()).embedded == 3
