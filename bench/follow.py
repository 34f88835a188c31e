"""Measure what following a table costs whoever writes it, and how fast what changed is dealt with; print ratios.

    python bench/follow.py --rows 100000 --rounds 7

The load is one transaction of so many rows of about 60 words, into a file, through Python's sqlite3: into the bare
table, into one that is followed, into one whose triggers `insert or ignore` the key into a table of keys, and into one
with sqlite-chronicle where that is installed. All take turns in one run.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from datasette_embeddings import EmbeddingModel
from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.collections import create_collection, define, get_collection
from datasette_embeddings.engine.follow.attending import attend, look
from datasette_embeddings.engine.follow.following import follow
from datasette_embeddings.engine.running import run_job
from datasette_embeddings.engine.tables import source_table
from datasette_embeddings.engine.vector_table import find_gone

TABLE = "create table notes (id integer primary key, title text, body text{})"
UNIQUE = ", email text unique"
POLLED = 20  # collections in the file that is looked at
LOOKS = 200

Row = tuple[object, ...]


class Trivial(EmbeddingModel):
    """Four numbers for any text, at once."""

    model_id = "trivial"
    dimensions = 4

    def embed_batch(self, contents):
        return [[1.0, 2.0, 3.0, float(len(content))] for content in contents]


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", end=", ")
    print(f"SQLite {sqlite3.sqlite_version}")
    rows = list(made(options.rows))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        for title, table, values in (
            ("60 words", TABLE.format(""), rows),
            ("2 words", TABLE.format(""), [(number, "a title", "a body") for number, *_ in rows]),
            ("60 words, and a UNIQUE column", TABLE.format(UNIQUE), [(*row, f"{row[0]}@example.com") for row in rows]),
        ):
            print(f"\n{len(values):,} rows of {title}, in one transaction")
            report({name: [] for name in LOADS}, path, table, values, options.rounds)
        print()
        drained(path, rows)
        polled(path)


def made(count: int) -> Iterable[Row]:
    """Rows of a number, a title of four words and a body of sixty, the same at every run."""
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(5000)]
    for number in range(1, count + 1):
        yield number, " ".join(draw.choices(words, k=4)), " ".join(draw.choices(words, k=60))


# What is watched, and how.


def bare(conn: sqlite3.Connection) -> None:
    """Nothing."""


def followed(conn: sqlite3.Connection) -> None:
    """As `datasette embed table --follow` leaves the table."""
    collection, _ = create_collection(conn, define(conn, "notes", ["title", "body"], None, Trivial()))
    follow(conn, collection)


def keys(conn: sqlite3.Connection) -> None:
    """The keys alone, each once, without a time: the least that a trigger can note, for inserts only."""
    conn.execute("create table changed (id integer primary key)")
    conn.execute("create trigger noting after insert on notes begin insert or ignore into changed values (new.id); end")


def chronicle(conn: sqlite3.Connection) -> None:
    """sqlite-chronicle's table and triggers."""
    from sqlite_chronicle import enable_chronicle

    enable_chronicle(conn, "notes")


LOADS: dict[str, Callable[[sqlite3.Connection], None]] = {"bare": bare, "followed": followed, "or ignore": keys}
if find_spec("sqlite_chronicle"):
    LOADS["sqlite-chronicle"] = chronicle


def load(path: Path, table: str, prepare: Callable[[sqlite3.Connection], None], rows: list[Row]) -> tuple[float, float]:
    """Seconds by the clock, commit included, and of processor time."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(table)
        prepare(conn)
        conn.commit()
        wall, busy = time.perf_counter(), time.process_time()
        with conn:
            width = conn.execute("select count(*) from pragma_table_info('notes')").fetchone()[0]
            conn.executemany(f"insert into notes values ({', '.join('?' * width)})", rows)
        return time.perf_counter() - wall, time.process_time() - busy


def report(taken: dict[str, list[tuple[float, float]]], path: Path, table: str, rows: list[Row], rounds: int) -> None:
    """The medians of the rounds, in which all take turns, and the ratios to the bare load of the same round."""
    for _ in range(rounds):
        for name, prepare in LOADS.items():
            taken[name].append(load(path, table, prepare, rows))
    for name, times in taken.items():
        ratios = [[own[i] / other[i] for own, other in zip(times, taken["bare"], strict=True)] for i in (0, 1)]
        clock, processor = ((statistics.median(each), min(each), max(each)) for each in ratios)
        print(
            f"  {name:17} {statistics.median(wall for wall, _ in times):6.2f} s"
            f"   {clock[0]:5.2f} times the bare load ({clock[1]:.2f} to {clock[2]:.2f})"
            f"   {processor[0]:5.2f} in processor time ({processor[1]:.2f} to {processor[2]:.2f})"
        )


# What comes after.


def drained(path: Path, rows: list[Row]) -> None:
    """How fast noted rows are dealt with, by a model that takes no time."""
    load(path, TABLE.format(""), followed, [])
    with FileAccess(path) as access:
        collection = access.read(lambda conn: get_collection(conn, "notes"))
        access.write(lambda conn: jobs.create_job(conn, collection.id))
        run_due(access)
        for title, sql, values in (
            ("new", "insert into notes values (?, ?, ?)", rows),
            ("written as they were", "update notes set title = ?2, body = ?3 where id = ?1", rows),
            ("changed", "update notes set body = body || ?", [("!",)]),
            ("deleted", "delete from notes where id > ?", [(len(rows) // 2,)]),
        ):
            with closing(sqlite3.connect(path)) as conn, conn:
                conn.executemany(sql, values)
            began = time.perf_counter()
            done = run_due(access)
            rate = done.rows_done / (time.perf_counter() - began)
            print(f"drained {done.rows_done:,} rows {title}: {rate:,.0f} rows/s")
            if title == "new":
                swept(access)


def swept(access: FileAccess) -> None:
    """What it takes to look for vectors of rows that are gone, where none is."""
    collection = access.read(lambda conn: get_collection(conn, "notes"))
    source = access.read(lambda conn: source_table(conn, "notes"))
    began = time.perf_counter()
    gone = access.read(lambda conn: find_gone(conn, collection.vector_table, source))
    print(f"looked for vectors of rows that are gone, {len(gone)} found: {time.perf_counter() - began:.3f} s")


def run_due(access: FileAccess) -> jobs.Job:
    """Attend to the file and run the one job that is due."""
    access.write(attend)
    job = access.read(jobs.claimable_job)
    assert job is not None
    assert access.write(lambda conn: jobs.claim(conn, job.id, "bench"))
    done = run_job(access, job, "bench", lambda name: Trivial())
    assert (done.status, done.kind) == (jobs.FINISHED, job.kind), done
    return done


def polled(path: Path) -> None:
    """What a look at a file with POLLED followed collections takes, where nothing has changed."""
    path.unlink()
    with closing(sqlite3.connect(path)) as conn:
        for number in range(POLLED):
            conn.execute(f"create table t{number} (id integer primary key, body text)")
            collection, _ = create_collection(conn, define(conn, f"t{number}", ["body"], None, Trivial()))
            jobs.create_job(conn, follow(conn, collection).id)
        conn.commit()
    with FileAccess(path) as access:
        while job := access.read(jobs.claimable_job):
            assert access.write(lambda conn, job=job: jobs.claim(conn, job.id, "bench"))
            run_job(access, job, "bench", lambda name: Trivial())
        checked = access.read(lambda conn: look(conn, None)).checked
        for title, version in (("as it was", checked), ("changed", None)):
            times = []
            for _ in range(LOOKS):
                began = time.perf_counter()
                access.read(lambda conn, version=version: look(conn, version))
                times.append(time.perf_counter() - began)
            middle = statistics.median(times) * 1000
            print(f"a look at {POLLED} followed collections, the schema {title}: {middle:.2f} ms")


if __name__ == "__main__":
    main()
