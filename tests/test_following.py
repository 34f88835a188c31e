"""A real server keeps collections up to date, whatever program writes to the file."""

import sqlite3
from contextlib import closing

import pytest
import sqlite_utils
from embedded import make_file, read, vectors, wait_until, write
from fake_models import WordLengths, word_lengths
from followed import embed_and_follow, execute, fresh, triggers
from servers import wait_for

NOTES = "create table notes (id integer primary key, title text, body text)"
ROWS = [(n, f"title {n}", f"the body of {'x' * n}") for n in range(1, 6)]


@pytest.fixture
def path(tmp_path):
    """A followed collection `notes` over the body."""
    path = make_file(tmp_path / "data.db", NOTES, notes=ROWS)
    embed_and_follow(path, "notes", ["body"], WordLengths())
    return path


def wait_until_true(path, **columns):
    """Wait until the vectors are those of the rows as they are now."""
    wait_for(lambda: vectors(path, "notes") == fresh(path, **columns), "the vectors to follow")


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_writes_of_another_process_are_followed(path, serve, journal):
    """Inserts, updates and deletes of a program that knows nothing of us reach the vectors by themselves."""
    execute(path, f"pragma journal_mode = {journal}")
    serve(path)
    write(path, "insert into notes (body) values ('all new')")
    wait_until_true(path)
    write(path, "update notes set body = body || ' and more' where id < 3")
    write(path, "delete from notes where id = 4")
    wait_until_true(path)
    wait_for(lambda: read(path, "select count(*) from _embed_notes_notes") == [(0,)], "the notes to be dealt with")


def test_what_was_written_while_no_server_ran(path, serve):
    """A server that starts deals with what waits."""
    write(path, "update notes set body = 'written in the night'")
    serve(path)
    wait_until_true(path)


def test_sqlite_utils(path, serve):
    """Each way in which sqlite-utils writes is followed, and the triggers that its transform() drops are made again."""
    serve(path)
    database = sqlite_utils.Database(path)
    table = database["notes"]
    table.insert({"id": 9, "body": "inserted"})
    table.upsert_all([{"id": 9, "body": "upserted"}, {"id": 10, "body": "upserted too"}], pk="id")
    table.update(1, {"body": "updated"})
    table.delete(2)
    wait_until_true(path)
    table.transform(drop={"title"})
    table.insert({"id": 11, "body": "while nobody noted"}, replace=True)
    wait_until_true(path)
    wait_for(lambda: len(triggers(path)) == 4, "the triggers to be made again")
    table.delete(11)
    wait_until_true(path)
    database.close()


def test_only_changed_contents_reach_the_model(path, serve):
    """Of rows that were written, those are embedded whose content is another one, each once."""
    serve(path)
    changes = (
        "update notes set title = 'another'; update notes set body = body || case when id < 3 then ' more' else '' end"
    )
    execute(path, f"begin; {changes}; commit")
    wait_until_true(path)
    wait_until(path, "select status = 'finished' from _embed_jobs where kind = 'noted'", "the job to end")
    assert read(path, "select contents, unchanged from _embed_jobs where kind = 'noted'") == [(2, 3)]


def test_a_kill_at_any_moment_loses_no_note(path, serve):
    """Killed while it follows, a server leaves the notes to the next one."""
    for number in range(3):
        server = serve(path)
        write(path, f"update notes set body = 'round {number} of ' || id")
        first = word_lengths(f"round {number} of 1")
        wait_for(lambda first=first: first in vectors(path, "notes").values(), "the first vector")
        server.kill()
        write(path, "update _embed_jobs set lease_expires = 0 where status = 'running'")
    write(path, "delete from notes where id = 1")
    serve(path)
    wait_until_true(path)
    assert read(path, "pragma integrity_check") == [("ok",)]


def test_a_file_that_cannot_be_written(path, serve):
    """Served with -i it stays as it is to the byte, though rows wait and a trigger is gone; the page says so."""
    execute(path, "update notes set body = 'waits' where id = 1; drop trigger _embed_insert_notes")
    before = path.read_bytes()
    server = serve(args=["-i", path])
    data = server.json("/data/-/embed/notes.json")
    assert data["waiting"]["rows"] == 1
    assert (
        data["following"]
        == "The triggers that note the changes of notes were gone: rows that changed since are not known"
    )
    assert path.read_bytes() == before
    assert "Traceback" not in server.output()


def test_two_servers_on_one_file(path, serve):
    """Both look at the file, and one of them deals with each change."""
    servers = [serve(path), serve(path)]
    for number in range(5):
        write(path, f"update notes set body = 'round {number} of ' || id")
        wait_until_true(path)
    assert read(path, "select count(*), count(distinct id) from _embed_vectors_notes") == [(5, 5)]
    assert all("Traceback" not in server.output() for server in servers)


def test_a_writer_is_not_kept_waiting(path, serve):
    """A program that writes all the time, and waits for a lock as long as Python does by itself, is never refused."""
    serve(path)
    with closing(sqlite3.connect(path)) as conn:
        for number in range(300):
            with conn:
                conn.execute("insert into notes (body) values (?)", (f"number {number}",))
    wait_until_true(path)


def test_a_bulk_load_of_100_000_rows(path, serve):
    """What one transaction writes is dealt with, however much it is."""
    serve(path)
    with closing(sqlite3.connect(path)) as conn, conn:
        rows = ((f"{'x' * (n % 9)} {n} of a load",) for n in range(100_000))
        conn.executemany("insert into notes (body) values (?)", rows)
    wait_until(path, "select count(*) = 100005 from _embed_vectors_notes", "all vectors")
    wait_until_true(path)
