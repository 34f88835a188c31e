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


@pytest.fixture
def compared(table, notes, execute):
    """The path of notes(id, title, body), not followed, of which one row has failed."""
    execute(notes, "update notes set body = 'FAIL' where id = 2")
    table(notes, "notes", "body", model=Failing())
    return notes


def test_a_pass_over_every_row_says_what_it_left_alone(table, compared):
    """It hands no row to the model again that failed a moment ago, names it, and says how to insist."""
    result = table(compared, "notes", "body", model=(model := Mended()))
    assert result.stdout.endswith(": 2 unchanged, 1 postponed\n")
    assert "1 row could not be embedded:\n  [2]: The model failing failed: cannot embed" in result.stderr
    assert result.stderr.endswith("1 of these failed before and was postponed: --retry-failed tries it now\n")
    assert model.calls == []


def test_a_round_over_every_row(embed, compared):
    """What cron does every few minutes pays for a failed row on its schedule only, unless somebody asks."""
    assert embed("sync", compared, models=[model := Mended()]).stdout.endswith(": 2 unchanged, 1 postponed\n")
    assert model.calls == []
    assert embed("sync", compared, "--retry-failed", models=[model]).stdout.endswith(": 1 embedded, 2 unchanged\n")
    assert model.contents == ["FAIL"]


def test_after_every_row_has_failed(embed, table, notes, execute):
    """The rows may not be at fault, so whoever gives the command again has all of them tried; cron has not."""
    execute(notes, "update notes set body = 'FAIL ' || id")
    table(notes, "notes", "body", model=Failing(), status=1)
    result = embed("sync", notes, models=[model := Mended()], status=1)
    assert "3 of 3 rows, 3 postponed: Every row failed: The model failing failed" in result.stderr
    assert model.calls == []
    assert table(notes, "notes", "body", model=model).stdout.endswith(" 3 embedded\n")


def test_an_estimate_of_what_failed_is_refused(table, compared):
    """A dry run counts what a pass over every row would do, so it is not asked for something else."""
    result = table(compared, "notes", "body", "--retry-failed", "--dry-run", model=Failing(), status=1)
    assert result.stderr == "Error: --dry-run tells of a pass over every row, and not of --retry-failed\n"
