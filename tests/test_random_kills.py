"""A process that keeps a collection up to date, killed at random moments while rows change."""

import multiprocessing
import os
import random
import sys
import time
from contextlib import closing

import pytest
from chunked import ShortSighted, numbered_words
from embedded import make_file, read, vectors, wait_until, write
from fake_models import WordLengths, word_lengths
from followed import Slow, SlowReader, embed_and_follow, keep_up, sync
from servers import PATIENCE

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.chunking import AUTOMATIC
from datasette_embeddings.engine.contents import content_hash, make_recipe
from datasette_embeddings.engine.measures import make_cutter
from datasette_embeddings.engine.vectors import encode

KILLS = 50  # of each journal mode half
KILLS_AT_LONG_TEXTS = 6
ROWS = 400
NOTES = "create table notes (id integer primary key, slug text unique, body text)"
processes = multiprocessing.get_context("forkserver")  # a process of its own for each, whose imports are made once
processes.set_forkserver_preload(["followed", "pytest"])


@pytest.fixture(autouse=True)
def imports_are_found(monkeypatch):
    """The process that forks the others has no other way to know where they are."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


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


class Killed:
    """A process that keeps a file up to date, killed at the end of the block; the file is sound, and may be claimed."""

    def __init__(self, path, model=Slow):
        self.path, self.was_at_work = path, False
        self.ready = processes.Event()
        self.process = processes.Process(target=keep_up, args=(str(path), self.ready, model), daemon=True)

    def __enter__(self):
        self.process.start()
        assert self.ready.wait(PATIENCE)
        return self

    def wait_until_at_work(self):
        """Return once it runs a job, or has dealt with everything before we could see it."""
        begun = "exists (select 1 from _embed_jobs where status = 'running')"
        done = "not exists (select 1 from _embed_notes_notes)"
        wait_until(self.path, f"select {begun} or {done}", "the process to be at work")

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()
        assert read(self.path, "pragma integrity_check") == [("ok",)]
        self.was_at_work = bool(read(self.path, "select 1 from _embed_jobs where status = 'running'"))
        write(self.path, "update _embed_jobs set lease_expires = 0 where status = 'running'")


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_random_kills(tmp_path, journal):
    """No row is lost or doubled, the file is sound after every kill, and in the end every vector is right."""
    draw = random.Random(journal)
    rows = [(n, f"slug {n}", f"row {'x' * (n % 9)} {n}") for n in range(1, ROWS)]
    path = make_file(tmp_path / "data.db", f"pragma journal_mode = {journal}; {NOTES}", notes=rows)
    embed_and_follow(path, "notes", ["body"], WordLengths())
    at_work = 0
    for number in range(KILLS // 2):
        change_some_rows(path, draw)
        with Killed(path) as process:
            if number % 2:
                process.wait_until_at_work()
            time.sleep(draw.uniform(0, 0.15))
            change_some_rows(path, draw)  # while it is at work
            time.sleep(draw.uniform(0, 0.15))
        at_work += process.was_at_work
    assert at_work  # when they were killed
    while sync(path, WordLengths()):  # what is noted while a killed job waits comes after it
        pass
    expected = {id: word_lengths(body) for id, body in read(path, "select id, body from notes")}
    assert vectors(path, "notes") == expected
    assert read(path, "select count(*) from _embed_vectors_notes") == [(len(expected),)]


RECIPE, CUTTER = make_recipe("notes", ["body"], ["body"]), make_cutter(AUTOMATIC, ShortSighted())


def rewrite_some_rows(path, draw, known):
    """New texts of one to seven chunks; `known` gets the chunks of each, by the hash of the whole text."""
    with closing(connect(path)) as conn, conn:
        for id in draw.sample(range(1, 60), 30):
            paragraphs = [numbered_words(12, draw.randrange(10**6)) + "." for _ in range(draw.randrange(1, 8))]
            text = "\n\n".join(paragraphs)
            known[content_hash(text)] = CUTTER.chunks(RECIPE, [text], text)
            conn.execute("insert or replace into notes (id, body) values (?, ?)", (id, text))


def stored_chunks(path):
    """The chunks of each row, with its vectors: {id: (hash of the whole text, [(content hash, vector)])}."""
    rows = {}
    sql = (
        "select id, coalesce(row_hash, content_hash), content_hash, vector from _embed_vectors_notes order by id, chunk"
    )
    for id, whole, *chunk in read(path, sql):
        rows.setdefault(id, (whole, []))[1].append(tuple(chunk))
    return rows


def test_random_kills_at_long_texts(tmp_path):
    """After every kill a row has all chunks of one of its texts or none, and in the end those of its present text."""
    draw, known, at_work = random.Random("chunks"), {}, 0
    path = make_file(tmp_path / "data.db", NOTES)
    embed_and_follow(path, "notes", ["body"], model := ShortSighted())

    def expected(whole):
        return [(chunk.content_hash, encode(model.embed(chunk.content))) for chunk in known[whole]]

    for _ in range(KILLS_AT_LONG_TEXTS):
        with Killed(path, SlowReader) as process:
            rewrite_some_rows(path, draw, known)
            process.wait_until_at_work()
            time.sleep(draw.uniform(0, 0.3))
        at_work += process.was_at_work
        assert all(chunks == expected(whole) for whole, chunks in stored_chunks(path).values())
    assert at_work
    while sync(path, model):
        pass
    rows = read(path, "select id, body from notes")
    assert stored_chunks(path) == {id: (content_hash(body), expected(content_hash(body))) for id, body in rows}
