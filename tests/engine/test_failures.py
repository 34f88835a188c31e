"""The rows that failed: how often, and when they are tried again."""

import time

import pytest
from embedded import act, create, embed, make_file, read, run, write
from fake_models import Failing, WordLengths

from datasette_embeddings.engine.errors import ContentRefused
from datasette_embeddings.engine.failures import PAUSES

NOTES = "create table notes (id integer primary key, body text)"
MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=[(1, "good"), (2, "FAIL"), (3, "fine")])


def attempts(path):
    """How often each row has failed."""
    return dict(read(path, "select row_key, attempts from _embed_errors order by row_key"))


def pauses(path):
    """How long from now each row waits for its next attempt, in seconds; None where it waits for a person."""
    rows = read(path, "select retry_at from _embed_errors order by row_key")
    return [at and round(at - time.time(), -1) for (at,) in rows]


def test_the_same_content_counts_up(path):
    """Each pass that meets the same failure counts it, and the pauses grow until only a person asks for more."""
    seen = []
    for _ in range(5):
        embed(path, "notes", ["body"], Failing())
        seen.append((attempts(path)["[2]"], *pauses(path)))
    assert seen == [(1, 10 * MINUTE), (2, 2 * HOUR), (3, DAY), (4, None), (5, None)]
    assert PAUSES == (10 * MINUTE, 2 * HOUR, DAY)


def test_a_changed_content_starts_at_one(path):
    """What failed before says nothing of another content."""
    embed(path, "notes", ["body"], Failing())
    embed(path, "notes", ["body"], Failing())
    write(path, "update notes set body = 'FAIL again' where id = 2")
    embed(path, "notes", ["body"], Failing())
    assert attempts(path) == {"[2]": 1}
    assert pauses(path) == [10 * MINUTE]


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
