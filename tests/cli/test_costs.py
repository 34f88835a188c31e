"""Before paying, on the command line: --dry-run, limits, and what a pass has cost."""

import re

import pytest
from fake_models import Failing, Priced, WordLengths

TABLE = ("notes", "body", "-m", "priced")


def test_a_dry_run(table, notes, read):
    """It says what a pass would cost, and does nothing."""
    result = table(notes, *TABLE, "--dry-run", model=(model := Priced()))
    assert result.stdout == "3 contents would go to the model: 17 tokens, $17.00\n"
    assert (model.calls, read(notes, "select name from sqlite_master")) == ([], [("notes",)])


def test_a_dry_run_subtracts_what_is_stored(table, notes, execute):
    """Only what has changed would cost again."""
    table(notes, *TABLE, model=Priced())
    execute(notes, "update notes set body = 'quite new' where id = 2")
    shown = table(notes, *TABLE, "--dry-run", model=Priced()).stdout
    assert shown == (
        "1 content would go to the model: 2 tokens, $2.00. 2 more are stored already, or equal to one of these\n"
    )


def test_a_dry_run_of_a_free_model(table, notes):
    """Contents are counted, and nothing is said of money."""
    assert table(notes, "notes", "body", "--dry-run").stdout == "3 contents would go to the model\n"


def test_what_it_has_cost(table, notes):
    """The last line tells it, where the model has a price."""
    assert table(notes, *TABLE, model=Priced()).stdout.endswith(" s: 3 embedded; 17 tokens, $17.00\n")


def test_max_rows(table, notes, vectors, read):
    """The command stops politely, says how to go on, and goes on with another limit."""
    result = table(notes, *TABLE, "--max-rows", "1", model=Priced(), status=1)
    assert "Error: Embedding notes was paused after 1 of 3 rows: The limit of 1 row is reached: the" in result.stderr
    assert result.stderr.endswith("With another limit, or with none, the job goes on where it stopped\n")
    assert len(vectors(notes)) == 1
    again = table(notes, *TABLE, model=(model := Priced()), status=1)
    assert ("The limit of 1 row is reached" in again.stderr, model.calls) == (True, [])
    assert table(notes, *TABLE, "--max-rows", "none", model=Priced()).stdout.endswith("3 embedded; 17 tokens, $17.00\n")
    assert read(notes, "select id, status, max_rows from _embed_jobs") == [(1, "finished", None)]


def test_max_cost(table, notes, vectors):
    """No content is embedded that would exceed it."""
    result = table(notes, *TABLE, "--max-cost", "12", model=Priced(), status=1)
    assert "The next content would exceed the limit of $12.00: the model was given 2 contents with 12" in result.stderr
    assert len(vectors(notes)) == 2


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--max-rows", "many"), 2, "'many' is neither a number nor none"),
        (("--max-rows", "0"), 1, "max_rows must be a whole number above 0"),
        (("--max-cost", "inf"), 1, "max_cost must be a number of US dollars above 0"),
    ],
)
def test_what_is_no_limit(table, notes, read, options, status, message):
    """A sentence says so, before anything is made."""
    assert message in table(notes, *TABLE, *options, model=Priced(), status=status).stderr
    assert read(notes, "select name from sqlite_master") == [("notes",)]


def test_money_for_a_free_model(table, notes, read):
    """There is nothing to limit."""
    result = table(notes, "notes", "body", "--max-cost", "1", status=1)
    assert "The model word-lengths names no price, so max_cost cannot be kept" in result.stderr
    assert read(notes, "select name from sqlite_master") == [("notes",)]


def test_limits_while_another_process_embeds(start, many, hold):
    """They cannot be set from here, and are not passed over."""
    first = start("table", many, "notes", "body", "-m", "held-by-file", env=hold.env)
    hold.wait_for_call()
    second = start("table", many, "notes", "body", "-m", "held-by-file", "--max-rows", "5", env=hold.env)
    assert "notes is being embedded by another process, under limits of its own: pause that first" in second.wait(1)
    hold.release()
    first.wait()


def test_retry_failed(table, notes, execute, read):
    """Only the rows that failed are looked at."""
    execute(notes, "update notes set body = 'FAIL' where id = 2")
    table(notes, "notes", "body", model=Failing())
    execute(notes, "update notes set body = 'mended' where id = 2", "update notes set body = 'changed' where id = 3")
    result = table(notes, "notes", "body", "--retry-failed", model=(model := Failing()))
    assert re.fullmatch(r"notes: 1 row in [\d.]+ s: 1 embedded\n", result.stdout)
    assert (model.contents, read(notes, "select count(*) from _embed_errors")) == (["mended"], [(0,)])


def test_nothing_to_retry(table, notes, read):
    """A sentence says so, and no collection is made for it."""
    result = table(notes, "notes", "body", "--retry-failed", status=1)
    assert "There is nothing to retry: no row has failed" in result.stderr
    assert read(notes, "select name from sqlite_master where name like '_embed_vectors%'") == []


def test_a_change_is_told_and_limited(embed, table, notes):
    """Another model may cost more: `change` has the same options."""
    table(notes, "notes", "body")
    models = [WordLengths(), Priced()]
    shown = embed("change", notes, "notes", "-m", "priced", "--dry-run", models=models).stdout
    assert shown == "3 contents would go to the model: 17 tokens, $17.00\n"
    result = embed("change", notes, "notes", "-m", "priced", "--max-cost", "5", models=models, status=1)
    assert "The next content would exceed the limit of $5.00: the model was given 0 contents" in result.stderr
