"""Ctrl-C in the middle of a table, and a power cut."""

import shutil
import sqlite3
from contextlib import closing

from datasette_embeddings.engine import jobs

TABLE = ("notes", "body", "-m", "held-by-file")


def undisturbed(embed, path, plugins_dir, vectors):
    """The vectors of the same table, embedded in one go."""
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    embed("table", copy, *TABLE, "--plugins-dir", plugins_dir)
    return vectors(copy)


def interrupted(start, many, hold):
    """A command that was interrupted with its first batch in the model."""
    command = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    command.interrupt()
    command.wait_for_output("Stopping after the batch in flight")
    return command


def test_the_batch_in_flight_is_kept(embed, start, many, hold, read, vectors, plugins_dir):
    """Ctrl-C pauses the job after the batch, says how to go on, and nothing is embedded twice."""
    command = interrupted(start, many, hold)
    hold.release()
    assert "notes is paused after 32 of 300 rows; the same command goes on where it stopped" in command.wait(130)
    assert read(many, "select status, owner, rows_done from _embed_jobs") == [(jobs.PAUSED, None, 32)]
    output = start("table", many, *TABLE, env=hold.env).wait()
    assert "notes: going on after 32 of 300 rows" in output
    assert "300 embedded" in output
    assert hold.contents == 300
    assert vectors(many) == undisturbed(embed, many, plugins_dir, vectors)


def test_the_second_one_ends_at_once(embed, start, many, hold, read, vectors, plugins_dir):
    """It does not wait for the model, and gives the lease back, so that the next command need not wait either."""
    command = interrupted(start, many, hold)
    command.interrupt()
    assert "Stopped at once" in command.wait(130)
    assert read(many, "select status, owner, reason from _embed_jobs") == [(jobs.PAUSED, None, "Stopped by Ctrl-C")]
    hold.release()
    start("table", many, *TABLE, env=hold.env).wait()
    assert vectors(many) == undisturbed(embed, many, plugins_dir, vectors)


def test_who_watches_may_leave(start, many, hold, read):
    """Ctrl-C on the command that watches stops nothing."""
    first = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    second = start("table", many, *TABLE, env=hold.env)
    second.wait_for_output("is being embedded by another process")
    second.interrupt()
    assert "the other process goes on with it" in second.wait(130)
    assert read(many, "select status from _embed_jobs") == [(jobs.RUNNING,)]
    hold.release()
    first.wait()


def test_a_power_cut(embed, start, many, hold, read, vectors, plugins_dir):
    """After SIGKILL another command waits for the lease to run out, and then goes on."""
    first = start("table", many, *TABLE, env=hold.env)
    hold.wait_for_call()
    first.kill()
    second = start("table", many, *TABLE, env=hold.env)
    second.wait_for_output("is being embedded by another process")
    hold.release()
    with closing(sqlite3.connect(many)) as conn, conn:
        conn.execute("update _embed_jobs set lease_expires = 1")
    assert "300 embedded" in second.wait()
    assert read(many, "select id, status from _embed_jobs") == [(1, jobs.FINISHED)]
    assert vectors(many) == undisturbed(embed, many, plugins_dir, vectors)
