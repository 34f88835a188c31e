"""Several processes on one file."""

import sqlite3
from contextlib import closing

import pytest
import servers
from fake_models import WordLengths

from datasette_embeddings.engine import access, jobs
from datasette_embeddings.engine.collections import get_collection

TABLE = ("notes", "body", "-m", "held-by-file")


def act(path, action):
    """What a button of the page does."""
    with closing(sqlite3.connect(path)) as conn, conn:
        return jobs.act(conn, get_collection(conn, "notes").id, action)


def test_the_second_command_watches(start, many, hold, read):
    """Two commands on one table: the second follows the first to the end, and nothing is embedded twice."""
    first = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    second = start("table", many, *TABLE, env=hold.env)
    second.wait_for_output("notes is being embedded by another process (")
    hold.release()
    for command in (first, second):
        assert "300 embedded" in command.wait()
    assert hold.contents == 300
    assert read(many, "select id, status from _embed_jobs") == [(1, jobs.FINISHED)]


def test_a_server_embeds_and_the_command_watches(start, serve, many, hold, read):
    """A job that a server's worker runs is left to it."""
    interrupted = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    interrupted.kill()
    with closing(sqlite3.connect(many)) as conn, conn:
        conn.execute("update _embed_jobs set lease_expires = 1, owner = ''")
    serve(many, env=hold.env)
    servers.wait_for(lambda: read(many, "select owner from _embed_jobs") != [("",)], "the worker to take the job")
    command = start("table", many, *TABLE, env=hold.env)
    command.wait_for_output("is being embedded by another process")
    hold.release()
    assert "300 embedded" in command.wait()
    assert hold.contents == 32 + 1 + 300  # the first batch died with its process; a server warms the model by a word
    assert read(many, "select id, status from _embed_jobs") == [(1, jobs.FINISHED)]


def test_a_server_leaves_the_job_to_the_command(start, serve, many, hold):
    """What the command began, a server's worker does not begin too."""
    serve(many, env=hold.env)
    command = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    hold.release()
    assert "300 embedded" in command.wait()
    assert hold.contents == 300


def test_somebody_pauses(start, many, hold):
    """The button of the page stops the command, which says so."""
    command = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    act(many, "pause")
    hold.release()
    output = command.wait(1)
    assert "Error: Embedding notes was paused after " in output
    assert "the same command goes on where it stopped" in output


def test_somebody_cancels(start, many, hold):
    """A cancelled job is an error for the command."""
    command = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    act(many, "cancel")
    hold.release()
    assert "Error: Embedding notes was cancelled" in command.wait(1)


@pytest.mark.parametrize("collection", [[], ["notes"]])
def test_somebody_removes(start, embed, many, hold, read, collection):
    """A collection that is removed meanwhile is a sentence, for who embeds and for who watches, and stays removed."""
    commands = [start("table", many, *TABLE, env=hold.env)]
    hold.wait_for_call()
    commands.append(start("table", many, *TABLE, env=hold.env))
    commands[1].wait_for_output("is being embedded by another process")
    embed("remove", many, *collection, "--yes")
    hold.release()
    for command in commands:
        assert command.wait(1).endswith("\nError: notes was removed while it was being embedded\n")
    assert read(many, "select name from sqlite_master where name like '%vectors%'") == []


def test_a_locked_file(embed, many, monkeypatch):
    """Another program's lock is waited for a while, and then named."""
    monkeypatch.setattr(access, "LOCK_SECONDS", 0.1)
    with closing(sqlite3.connect(many, isolation_level=None)) as conn:
        conn.execute("begin exclusive")
        result = embed("table", many, "notes", "body", models=[WordLengths()], status=1)
    assert result.stderr.endswith("is locked\n")


def test_the_table_can_be_written_meanwhile(start, many, hold, vectors):
    """The model's work locks nobody out; a row that came too late is embedded by the next command."""
    command = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    with closing(sqlite3.connect(many)) as conn, conn:
        conn.execute("insert into notes values (301, 'late')")
    hold.release()
    command.wait()
    start("table", many, *TABLE).wait()
    assert [row[0] for row in vectors(many)] == list(range(1, 302))
    assert hold.contents in (300, 301)
