"""A process that keeps a collection up to date, killed at random moments while rows change."""

import multiprocessing
import random
import time
from contextlib import closing

import pytest
from embedded import make_file, read, vectors, write
from fake_models import WordLengths, word_lengths
from followed import embed_and_follow, keep_up, sync

from datasette_embeddings.engine.access import connect

KILLS = 50  # of each journal mode half
ROWS = 400
NOTES = "create table notes (id integer primary key, slug text unique, body text)"
PATIENCE = 60  # seconds for a process to begin
processes = multiprocessing.get_context("spawn")


def change_some_rows(path, draw):
    """A burst of writes by another program: new rows, changed ones, displaced ones, and rows that go."""
    with closing(connect(path)) as conn, conn:
        for _ in range(draw.randrange(1, 60)):
            id, text = draw.randrange(1, ROWS * 2), " ".join("x" * draw.randrange(1, 9) for _ in range(5))
            statements = {
                "insert or replace into notes values (?, ?, ?)": (id, f"slug {draw.randrange(ROWS)}", text),
                "update notes set body = ? where id between ? and ? + 5": (text, id, id),
                "delete from notes where id = ?": (id,),
            }
            sql = draw.choice(list(statements))
            conn.execute(sql, statements[sql])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_random_kills(tmp_path, journal):
    """No row is lost or doubled, the file is sound after every kill, and in the end every vector is right."""
    draw = random.Random(journal)
    rows = [(n, f"slug {n}", f"row {'x' * (n % 9)} {n}") for n in range(1, ROWS)]
    path = make_file(tmp_path / "data.db", f"pragma journal_mode = {journal}; {NOTES}", notes=rows)
    embed_and_follow(path, "notes", ["body"], WordLengths())
    at_work = 0
    for _ in range(KILLS // 2):
        change_some_rows(path, draw)
        ready = processes.Event()
        process = processes.Process(target=keep_up, args=(str(path), ready), daemon=True)
        process.start()
        assert ready.wait(PATIENCE)
        time.sleep(draw.uniform(0, 0.15))
        change_some_rows(path, draw)  # while it is at work
        time.sleep(draw.uniform(0, 0.15))
        process.kill()
        process.join()
        assert read(path, "pragma integrity_check") == [("ok",)]
        at_work += len(read(path, "select 1 from _embed_jobs where status = 'running'"))
        write(path, "update _embed_jobs set lease_expires = 0 where status = 'running'")
    assert at_work  # when they were killed
    while sync(path, WordLengths()):  # what is noted while a killed job waits comes after it
        pass
    expected = {id: word_lengths(body) for id, body in read(path, "select id, body from notes")}
    assert vectors(path, "notes") == expected
    assert read(path, "select count(*) from _embed_vectors_notes") == [(len(expected),)]
