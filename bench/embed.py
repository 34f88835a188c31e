"""Embed one table with datasette-embed and by other means, in turn in one run, and print the ratios.

    python bench/embed.py --rows 3000 --rounds 3
    python bench/embed.py --model wordllama --short --rows 20000 --rounds 9

The table is the demo's (docstrings of the Python standard library: real, of mixed length), or with --short a row for
each line of it. Left out on all sides: start-up, imports, the load of the model, and deleting what was made. Counted on
ours: reading, hashing, the model, writing, the job's end, from an empty collection. The others are those of
bench/embed_peers.py for the model's plugin, and with --beside a job of another model over the same rows.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from embed_peers import Contestant, Peers, kind_of, peers

from datasette_embeddings.cli.instance import open_instance
from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.collections import create_collection, define, delete_collection
from datasette_embeddings.engine.models import EmbeddingModel, load
from datasette_embeddings.engine.running import run_job
from datasette_embeddings.registry import registry_for

OURS = "datasette-embed"
SHORT = 20  # characters that a line must have to be a row


class Taken(NamedTuple):
    """Seconds of one run: by the clock, and of processor time over all cores."""

    wall: float
    busy: float


def main() -> None:
    """Parse the options, run the rounds, print the table."""
    options = parsed()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        path = build(Path(folder), options.rows, short=options.short)
        registry = registry_for(stack.enter_context(open_instance(options.config, None)))
        model = registry.model(options.model)
        load(model)
        contents = read_contents(path)
        contestants: Peers = {OURS: Contestant(lambda: ours(path, model), lambda: delete_ours(path))}
        contestants |= peers(model, path, contents)
        if options.beside:
            other = registry.model(options.beside)
            load(other)
            contestants[f"job of {options.beside}"] = Contestant(lambda: ours(path, other), lambda: delete_ours(path))
        describe(model, contents)
        report(measure(contestants, options.rounds), len(contents))


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--short", action="store_true", help="a row for each line")
    parser.add_argument("--config", metavar="FILE", help="Datasette's configuration, where that names the models")
    parser.add_argument("--beside", metavar="MODEL", help="measure a job of this model too")
    return parser.parse_args()


def build(folder: Path, rows: int, *, short: bool) -> Path:
    """A database with the table texts(id, text), so many rows of the demo's."""
    path = folder / "bench.db"
    script = Path(__file__).parent.parent / "demo" / "docstrings.py"
    subprocess.run([sys.executable, script, path], check=True, stdout=subprocess.DEVNULL)
    with sqlite3.connect(path) as conn:
        texts = [text for (text,) in conn.execute("select name || char(10) || doc from docstrings")]
        if short:
            lines = (line.strip() for text in texts for line in text.splitlines())
            texts = list(dict.fromkeys(line for line in lines if len(line) >= SHORT))
        conn.execute("create table texts (id integer primary key, text text)")
        # drawn over all modules, so that long and short ones are mixed
        texts.sort(key=hash_of)
        conn.executemany("insert into texts (text) values (?)", ((text,) for text in texts[:rows]))
    return path


def hash_of(text: str) -> bytes:
    """The same at every run, unlike Python's own."""
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


def read_contents(path: Path) -> list[str]:
    """The contents as ours makes them."""
    with sqlite3.connect(path) as conn:
        return [text for (text,) in conn.execute("select text from texts")]


def ours(path: Path, model: EmbeddingModel) -> None:
    """A job over an empty collection, run as the worker and the command line run it."""
    with FileAccess(path) as access:
        definition = access.read(lambda conn: define(conn, "texts", ["text"], None, model, chunking=None))
        collection, _ = access.write(lambda conn: create_collection(conn, definition))
        job = access.write(lambda conn: jobs.create_job(conn, collection.id))
        assert access.write(lambda conn: jobs.claim(conn, job.id, "bench"))
        done = run_job(access, job, "bench", lambda name: model)
        assert (done.status, done.rows_done) == (jobs.FINISHED, done.rows_total), done


def delete_ours(path: Path) -> None:
    """Delete the collection that ours() made."""
    with FileAccess(path) as access:
        access.write(lambda conn: delete_collection(conn, "texts"))


def measure(contestants: Peers, rounds: int) -> dict[str, list[Taken]]:
    """What every round took, the contestants in turn, so that a slow minute is shared."""
    taken: dict[str, list[Taken]] = {name: [] for name in contestants}
    width = max(map(len, contestants))
    for number in range(rounds):
        for name, contestant in contestants.items():
            began, busy = time.perf_counter(), time.process_time()
            contestant.run()
            took = Taken(time.perf_counter() - began, time.process_time() - busy)
            contestant.tidy()
            taken[name].append(took)
            print(f"round {number + 1}: {name:{width}} {took.wall:7.2f} s, {took.busy:7.2f} s of processor", flush=True)
    return taken


def describe(model: EmbeddingModel, contents: list[str]) -> None:
    """Say what is measured, and on what."""
    tokens = statistics.mean(min(model.count_tokens(text) or 0, model.max_tokens or 10**9) for text in contents[:500])
    amx = "amx_bf16" in Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else False
    print(f"{len(contents)} rows, {tokens:.0f} tokens on average, {model.model_id}{kind_of(model)}")
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, AMX: {'yes' if amx else 'no'}, Python {sys.version.split()[0]}"
    )


def report(taken: dict[str, list[Taken]], rows: int) -> None:
    """Medians over the rounds; ours is so many times faster in the same round, by the clock and in processor time."""
    width = max(map(len, taken))
    print(f"\n{'':{width}} {'median s':>9} {'rows/s':>8} {'ours is':>9} {'from':>6} {'to':>6} {'processor':>10}")
    for name, times in taken.items():
        wall = statistics.median(took.wall for took in times)
        ratios = sorted(theirs.wall / our.wall for theirs, our in zip(times, taken[OURS], strict=True))
        busy = statistics.median(theirs.busy / our.busy for theirs, our in zip(times, taken[OURS], strict=True))
        print(
            f"{name:{width}} {wall:9.2f} {rows / wall:8.0f} {statistics.median(ratios):8.2f}x"
            f" {ratios[0]:6.2f} {ratios[-1]:6.2f} {busy:9.2f}x"
        )


if __name__ == "__main__":
    main()
