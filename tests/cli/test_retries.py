"""Rows that failed, tried again by `datasette embed sync`: those whose time has come, or all of them."""

import pytest
from fake_models import Failing, WordLengths


class Mended(WordLengths):
    """The model failing, whose fault has passed."""

    model_id = "failing"


@pytest.fixture
def failed(table, notes, execute):
    """The path of notes(id, title, body), followed, of which one row has failed."""
    execute(notes, "update notes set body = 'FAIL' where id = 2")
    table(notes, "notes", "body", "--follow", model=Failing())
    return notes


def test_before_its_time_a_row_is_left_alone(embed, failed):
    """Nothing is handed to the model, however often a round is made."""
    result = embed("sync", failed, models=[model := Mended()])
    assert (result.stdout, model.calls) == ("notes: nothing has changed\n", [])


def test_its_time_has_come(embed, failed, execute, read):
    """A round tries it again, with no server at work."""
    execute(failed, "update _embed_errors set retry_at = 1")
    result = embed("sync", failed, models=[model := Mended()])
    assert result.stdout.endswith(" s: 1 embedded\n")
    assert (model.contents, read(failed, "select count(*) from _embed_errors")) == (["FAIL"], [(0,)])


def test_somebody_asks(embed, failed, read):
    """With --retry-failed all of them are tried, once a round."""
    result = embed("sync", failed, "--retry-failed", models=[Failing()])
    assert " s: 1 failed\n" in result.stdout
    assert read(failed, "select attempts from _embed_errors") == [(2,)]
    embed("sync", failed, "--retry-failed", models=[Mended()])
    assert embed("sync", failed, "--retry-failed", models=[Mended()]).stdout == "notes: nothing has changed\n"


def test_a_model_that_is_not_installed(embed, failed, execute, read):
    """The rows wait for a process that has it, and nothing fails for want of it."""
    execute(failed, "update _embed_errors set retry_at = 1")
    assert embed("sync", failed, models=[WordLengths()]).stdout == "notes: nothing has changed\n"
    assert read(failed, "select max(status), count(*) from _embed_jobs") == [("finished", 1)]
