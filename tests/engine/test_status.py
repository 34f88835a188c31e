"""How many rows are embedded, pending, failed or empty, as the table is now."""

from contextlib import closing

import pytest
from embedded import act, create, embed, make_file, read, running, write
from fake_models import Failing, Held, WordLengths

from datasette_embeddings.engine import jobs, status
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.errors import NotFound
from datasette_embeddings.engine.retries import retry
from datasette_embeddings.engine.running import pace


@pytest.fixture
def path(tmp_path):
    rows = [(1, "a"), (2, "b b"), (3, "FAIL"), (4, None), (5, " "), (6, "c")]
    return make_file(tmp_path / "data.db", "create table notes (id text primary key, body)", notes=rows)


def counts(path):
    with closing(connect(path)) as conn:
        collection = get_collection(conn, "notes")
        found = status.count(conn, collection, jobs.latest_job(conn, collection.id))
    total = found.embedded + found.pending + found.failed + found.empty
    assert found.total == total == read(path, "select count(*) from notes")[0][0]
    return found.embedded, found.pending, found.failed, found.empty


def test_after_a_job(path):
    """Every row is what the job found it to be."""
    embed(path, "notes", ["body"], Failing())
    assert counts(path) == (3, 0, 1, 2)


def test_before_the_first_job(path):
    """Nothing is embedded, and all is pending."""
    create(path, "notes", ["body"], Failing())
    assert counts(path) == (0, 6, 0, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("insert into notes values (7, 'new')", (3, 1, 1, 2)),
        ("insert into notes values (7, null)", (3, 0, 1, 3)),
        ("insert into notes values (null, 'no key')", (3, 1, 1, 2)),
        ("delete from notes where id = 1", (2, 0, 1, 2)),
        ("update notes set body = 'changed' where id = 1", (2, 1, 1, 2)),
        ("update notes set body = null where id = 1", (2, 0, 1, 3)),
        ("update notes set body = 'mended' where id = 3", (3, 1, 0, 2)),
        ("update notes set body = null where id = 3", (3, 0, 0, 3)),
        ("update notes set body = 'filled' where id = 4", (3, 1, 1, 1)),
        ("update notes set id = 99 where id = 1", (2, 1, 1, 2)),
    ],
)
def test_after_a_change(path, change, expected):
    """A row counts as what it now is, not as what it was when it was embedded."""
    embed(path, "notes", ["body"], Failing())
    write(path, change)
    assert counts(path) == expected


def test_a_row_without_a_key(path):
    """A row whose key is NULL counts as failed once a job has met it."""
    write(path, "insert into notes values (null, 'no key')")
    embed(path, "notes", ["body"], Failing())
    assert counts(path) == (3, 0, 2, 2)


def test_while_a_job_is_under_way(path, monkeypatch):
    """The figures move with the job, and always make up the total."""
    monkeypatch.setattr(pace, "FIRST_BATCH", 1)
    monkeypatch.setattr(pace, "LARGEST_BATCH", 1)
    _, job = create(path, "notes", ["body"], model := Held())
    with running(path, job, model):
        model.wait_for_call()
        assert counts(path)[:2] == (0, 6)
        act(path, "pause", "notes")
    assert sum(counts(path)) == 6


def test_while_failed_rows_are_tried_again(path):
    """A job over a few rows says nothing of how many there are, nor of how many are empty."""
    embed(path, "notes", ["body"], Failing())
    with closing(connect(path)) as conn:
        retry(conn, 1)
    assert counts(path) == (3, 0, 1, 2)


def test_a_table_too_large_to_compare(path, monkeypatch):
    """Where comparing would take too long, keys alone are counted, and the result says so."""
    embed(path, "notes", ["body"], Failing())
    monkeypatch.setattr(status, "_compared", lambda *_: None)
    assert counts(path) == (3, 0, 1, 2)
    write(path, "delete from notes")
    assert counts(path) == (0, 0, 0, 0)


def test_a_table_that_is_gone(path):
    """The status of a collection whose table was dropped is a sentence."""
    embed(path, "notes", ["body"], WordLengths())
    write(path, "drop table notes")
    with pytest.raises(NotFound, match="There is no table 'notes'"):
        counts(path)
