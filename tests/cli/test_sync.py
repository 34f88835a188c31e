"""`datasette embed sync`, and following as it is switched on and told on the command line."""

import json
import signal

import embedded
import pytest
from fake_models import Failing, QuerySide, Unloadable, WordLengths
from followed import fresh, triggers
from servers import wait_for

from datasette_embeddings.cli import rounds


@pytest.fixture
def sync(embed):
    """sync(path, *args, model=…): `datasette embed sync`."""

    def run(path, *args, model=None, **options):
        return embed("sync", path, *args, models=[model or WordLengths()], **options)

    return run


@pytest.fixture
def followed(table, notes):
    """The path of notes(id, title, body) with a followed collection over the body."""
    table(notes, "notes", "body", "--follow")
    return notes


def test_only_what_changed_is_looked_at(sync, followed, execute):
    """Of a followed collection the changed rows are embedded, and the counts tell."""
    execute(followed, "update notes set body = 'new words' where id = 2", "delete from notes where id = 3")
    result = sync(followed, model=(model := WordLengths()))
    assert result.stdout.startswith("notes: 2 changes in ")
    assert result.stdout.endswith(" s: 1 embedded, 1 removed\n")
    assert model.contents == ["new words"]
    assert sync(followed).stdout == "notes: nothing has changed\n"


def test_what_is_not_followed_is_compared(sync, table, notes, execute):
    """Every row of a collection without triggers is compared, and nothing is switched on."""
    table(notes, "notes", "body")
    execute(notes, "update notes set body = 'new words' where id = 2")
    result = sync(notes, model=(model := WordLengths()))
    assert result.stdout.endswith("1 embedded, 2 unchanged\n")
    assert (model.contents, triggers(notes)) == (["new words"], {})


def test_one_collection_of_several(sync, followed, table, execute):
    """The one that is named is brought up to date, ignoring case; a name that is not there is an error."""
    table(followed, "notes", "title", "--collection", "titles", "--follow")
    execute(followed, "update notes set title = 'x', body = 'y' where id = 1")
    assert sync(followed, "TITLES").stdout.startswith("titles: 1 change in ")
    assert sync(followed).stdout.startswith("notes: 1 change in ")
    assert "There is no collection 'other'" in sync(followed, "other", status=1).stderr


def test_a_file_without_collections(sync, notes):
    """It is said that there are none."""
    assert sync(notes).stdout == "There are no collections\n"


def test_lost_triggers_are_made_again(sync, followed, execute):
    """Triggers that are gone are made again and every row is compared; status says so as well."""
    execute(followed, "drop trigger _embed_update_notes", "update notes set body = 'unnoted' where id = 1")
    assert sync(followed).stdout.endswith("1 embedded, 2 unchanged\n")
    assert len(triggers(followed)) == 4


def test_a_paused_job_is_left_alone(sync, followed, execute):
    """What somebody paused is named and not touched, and that is no error."""
    execute(followed, "update _embed_jobs set status = 'paused', reason = 'for the night'")
    execute(followed, "update notes set body = 'new words' where id = 2")
    result = sync(followed)
    assert result.stderr == "notes is left alone, because its last job is paused: for the night\n"
    assert result.stdout == ""


def test_a_model_that_cannot_work(sync, followed, table, execute):
    """The others are brought up to date all the same; the exit status is 1, and the next sync tries again."""
    table(followed, "notes", "title", "-m", "query-side", "--follow", model=QuerySide())
    execute(followed, "update notes set title = 'x', body = 'y' where id = 1")
    result = sync(followed, status=1)
    assert "notes: 1 change in" in result.stdout
    assert "Error: Embedding notes-query-side failed" in result.stderr
    assert "notes-query-side: 1 change in" in sync(followed, model=QuerySide()).stdout


def test_rows_that_fail(sync, table, notes, execute):
    """They are named on standard error, and nothing else stops."""
    table(notes, "notes", "body", "--follow", model=Failing())
    execute(notes, "update notes set body = 'FAIL' where id = 1")
    assert "1 row could not be embedded:\n  [1]:" in sync(notes, model=Failing()).stderr


def test_changes_that_come_meanwhile_are_dealt_with_too(sync, followed, execute):
    """What is written during a pass is brought in by the same round, if it comes to an end."""

    class Writing(WordLengths):
        def embed_batch(self, contents):
            if len(self.calls) < 2:
                execute(followed, f"update notes set body = 'again {len(self.calls)}' where id = 3")
            return super().embed_batch(contents)

    execute(followed, "update notes set body = 'first' where id = 1")
    sync(followed, model=Writing())
    assert embedded.vectors(followed, "notes") == fresh(followed)


def test_a_round_ends_though_somebody_goes_on_writing(sync, followed, execute):
    """A program that never stops writing does not keep a round from the other collections."""

    class Writing(WordLengths):
        def embed_batch(self, contents):
            execute(followed, f"update notes set body = 'again {'x' * len(self.calls)}' where id = 3")
            return super().embed_batch(contents)

    execute(followed, "update notes set body = 'first' where id = 1")
    assert sync(followed, model=Writing()).stdout.count("notes:") == rounds.PASSES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_goes_on_until_it_is_stopped(start, followed, execute, number):
    """--watch embeds what changes within seconds, and ends with status 0 when it is asked to."""
    command = start("sync", followed, "--watch")
    command.wait_for_output("notes: nothing has changed")
    for times, words in enumerate(("one", "one and two"), 1):
        execute(followed, f"update notes set body = '{words}' where id = 2")
        wait_for(lambda times=times: command.output.count("notes: 1 change in") == times, "the change to be told")
        assert embedded.vectors(followed, "notes") == fresh(followed)
    command.process.send_signal(number)
    assert command.wait(0).count("notes: 1 change in") == 2


def test_ctrl_c_in_the_middle_of_a_batch(start, many, hold, read):
    """A round that is interrupted saves the batch and gives the job back, to whoever comes next."""
    start("table", many, "notes", "body", "-m", "word-lengths", "--follow").wait()
    embedded.write(many, "update _embed_collections set model = 'held-by-file', fingerprint = null")
    embedded.write(many, "update notes set body = body || ' more'")
    command = start("sync", many, env=hold.env)
    hold.wait_for_call()
    command.interrupt()
    command.wait_for_output("Stopping after the batch in flight")
    hold.release()
    command.wait(130)
    assert read(many, "select status from _embed_jobs where kind = 'noted'") == [("pending",)]
    assert "notes:" in start("sync", many).wait()
    assert embedded.vectors(many, "notes") == fresh(many)


def test_following_is_asked_for(table, notes):
    """Without --follow nothing is added to the table; --no-follow takes away what --follow added."""
    table(notes, "notes", "body")
    assert triggers(notes) == {}
    table(notes, "notes", "body", "--follow")
    assert len(triggers(notes)) == 4
    table(notes, "notes", "body")
    assert len(triggers(notes)) == 4
    table(notes, "notes", "body", "--no-follow")
    assert triggers(notes) == {}


def test_status_tells_what_waits(embed, followed, execute):
    """The number of rows that wait, each once, and since when; as JSON too."""
    assert "Kept up to date: no change waits" in embed("status", followed).stdout
    execute(followed, "update notes set body = 'a' where id < 3", "update notes set body = 'b' where id = 1")
    execute(followed, "update _embed_notes_notes set at = julianday('2026-11-22 10:00:00')")
    assert "2 changed rows wait since 2026-11-22 10:00:00 UTC" in embed("status", followed).stdout
    (found,) = json.loads(embed("status", followed, "--json").stdout)
    assert found["waiting"] == {"rows": 2, "since": "2026-11-22T10:00:00Z"}
    assert found["collection"]["follow"] is True


def test_status_mends(embed, sync, followed, execute):
    """Status makes missing triggers again, says that every row will be compared, and leaves that to others."""
    execute(followed, "drop trigger _embed_update_notes")
    gone = (
        "The triggers that note the changes of notes were gone and were made again: every row is going to be compared"
    )
    assert gone in embed("status", followed).stdout
    assert len(triggers(followed)) == 4
    sync(followed)
    found = embed("status", followed).stdout
    assert "The triggers on notes were gone and were made again: this pass compares every row" in found
    assert "Kept up to date" in found


def test_a_retry_after_a_model_failed(sync, followed, execute):
    """A job that failed as a whole is tried again by the next sync."""
    execute(followed, "update notes set body = 'new words' where id = 2")
    sync(followed, model=Unloadable(), status=1)
    assert sync(followed).stdout.endswith("1 embedded\n")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("drop table notes", "There is no table 'notes' in this database"),
        ("alter table notes drop column body", "notes has no column 'body'"),
    ],
)
def test_what_was_embedded_is_gone(embed, sync, followed, table, execute, change, problem):
    """Neither a round nor the status says that all is well; other collections are brought up to date."""
    execute(followed, "create table others as select 1 as id, 'new' as body")
    table(followed, "others", "body")
    execute(followed, change)
    result = sync(followed, status=1)
    assert f"Error: {problem}" in result.stderr
    assert "others: 1 row in" in result.stdout
    assert f"Nothing can be kept up to date: {problem}" in embed("status", followed, models=[WordLengths()]).stdout
