"""How far the collections of a file are."""

import json
import sqlite3
from contextlib import closing

import pytest
from fake_models import Failing


@pytest.fixture
def embedded(embed, notes):
    """Notes with a row embedded, one failed, one changed since, one empty."""
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("update notes set body = 'FAIL' where id = 2")
        conn.execute("insert into notes values (4, null, ' ')")
    embed("table", notes, "notes", "body", models=[Failing()])
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("update notes set body = 'changed' where id = 3")
    return notes


def test_the_rows_as_they_are_now(embed, embedded):
    """What is embedded, changed, failed and empty, and what the last job came to."""
    assert embed("status", embedded).stdout == (
        "notes\n  notes: body, by failing\n  1 of 4 rows embedded, 1 pending, 1 failed, 1 empty\n  job 1 finished\n"
    )


def test_json(embed, embedded):
    """The same for programs, shaped as the page's JSON."""
    (found,) = json.loads(embed("status", embedded, "--json").stdout)
    assert found["collection"]["name"] == "notes"
    assert found["collection"]["columns"] == ["body"]
    assert found["rows"] == {"total": 4, "embedded": 1, "pending": 1, "failed": 1, "empty": 1}
    assert (found["job"]["status"], found["problem"]) == ("finished", None)


def test_a_job_on_its_way(embed, embedded):
    """A paused job tells how far it is, and why it stopped."""
    with closing(sqlite3.connect(embedded)) as conn, conn:
        conn.execute("update _embed_jobs set status = 'paused', reason = 'because', ended = null, rows_done = 2")
    assert "  job 1 paused: 2 of 4 rows, 1 failed: because\n" in embed("status", embedded).stdout


def test_a_table_that_is_gone(embed, embedded):
    """The collection is shown with what is wrong."""
    with closing(sqlite3.connect(embedded)) as conn, conn:
        conn.execute("drop table notes")
    assert "There is no table 'notes' in this database" in embed("status", embedded).stdout
    (found,) = json.loads(embed("status", embedded, "--json").stdout)
    assert (found["rows"], found["problem"]) == (None, "There is no table 'notes' in this database")


def test_nothing_yet(embed, notes):
    """A file that was never embedded has none, and looking does not change it."""
    before = notes.read_bytes()
    assert embed("status", notes).stdout.endswith("data.db has no collections\n")
    assert embed("status", notes, "--json").stdout == "[]\n"
    assert notes.read_bytes() == before


def test_no_file(embed, tmp_path):
    """A file that is not there is not created."""
    assert "There is no file" in embed("status", tmp_path / "nosuch.db", status=1).stderr
    assert list(tmp_path.iterdir()) == []
