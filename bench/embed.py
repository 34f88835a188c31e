"""Embed one table with datasette-embed, with LLM and by a bare encode(), in turn in one run, and print the ratios.

    python bench/embed.py --rows 3000 --rounds 3

The table is the demo's (docstrings of the Python standard library: real, of mixed length), the model MiniLM from local
files, the dtype ours ("auto": bfloat16 where the CPU has AMX). Left out on all sides: start-up, imports, the load of
the model. Counted on ours: reading, hashing, the model, writing, the job's end, from an empty collection; on LLM's:
the method that `llm embed-multi --sql` calls, in its batches, over the same rows of the same file; on the bare one:
encode() of the same list in memory by the library's own model, with the same dtype.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import llm
import llm_sentence_transformers
import sqlite_utils
from datasette.app import Datasette
from sentence_transformers import SentenceTransformer

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.collections import create_collection, define, delete_collection
from datasette_embeddings.engine.models import load
from datasette_embeddings.engine.running import run_job
from datasette_embeddings.registry import registry_for

COLUMNS = ["name", "doc"]


def main() -> None:
    """Parse the options, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder), options.rows)
        model = registry_for(Datasette([])).model(options.model)
        load(model)
        contents = read_contents(path)
        peer, bare = peer_model(model), bare_model(model)
        contestants: dict[str, Callable[[], object]] = {
            "datasette-embed": lambda: ours(path, model),
            "llm embed-multi": lambda: llms(path, peer),
            "bare encode()": lambda: bare.encode(contents, show_progress_bar=False),
        }
        describe(model, contents)
        report(measure(contestants, options.rounds), len(contents))


def build(folder: Path, rows: int) -> Path:
    """A database with so many rows of the demo's table."""
    path = folder / "bench.db"
    script = Path(__file__).parent.parent / "demo" / "docstrings.py"
    subprocess.run([sys.executable, script, path], check=True, stdout=subprocess.DEVNULL)
    with sqlite3.connect(path) as conn:
        # drawn over all modules, so that long and short ones are mixed
        sample = "select id from docstrings order by id * 7919 % 10007 limit ?"
        conn.execute(f"delete from docstrings where id not in ({sample})", (rows,))
    return path


def read_contents(path: Path) -> list[str]:
    """The contents as ours makes them."""
    with sqlite3.connect(path) as conn:
        return [f"{name}\n{doc}" for name, doc in conn.execute(f"select {', '.join(COLUMNS)} from docstrings")]


def peer_model(model: object) -> llm.EmbeddingModel:
    """LLM's plugin over the same files, loaded."""
    peer = llm_sentence_transformers.SentenceTransformerModel("minilm", str(model._source()), False)
    peer.embed("load")
    return peer


def bare_model(model: object) -> SentenceTransformer:
    """The library's own model with our dtype and none of our doings."""
    return SentenceTransformer(model._source(), model_kwargs={"dtype": next(model._model.parameters()).dtype})


def ours(path: Path, model: object) -> None:
    """A job over an empty collection, run as the worker and the command line run it."""
    with FileAccess(path) as access:
        definition = access.read(lambda conn: define(conn, "docstrings", COLUMNS, None, model))
        collection, _ = access.write(lambda conn: create_collection(conn, definition))
        job = access.write(lambda conn: jobs.create_job(conn, collection.id))
        assert access.write(lambda conn: jobs.claim(conn, job.id, "bench"))
        done = run_job(access, job, "bench", lambda name: model)
        assert (done.status, done.rows_done) == (jobs.FINISHED, done.rows_total), done
        access.write(lambda conn: delete_collection(conn, collection.name))


def llms(path: Path, model: llm.EmbeddingModel) -> None:
    """What `llm embed-multi bench --sql` does, with a model that is loaded already."""
    db = sqlite_utils.Database(path)
    collection = llm.Collection("bench", db, model=model)
    rows = db.query(f"select id, {', '.join(COLUMNS)} from docstrings")
    collection.embed_multi((str(row["id"]), " ".join(row[name] or "" for name in COLUMNS)) for row in rows)
    collection.delete()
    db.close()


def measure(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round, the contestants in turn, so that a slow minute is shared."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, run in contestants.items():
            began, busy = time.perf_counter(), time.process_time()
            run()
            seconds[name].append(time.perf_counter() - began)
            busy = time.process_time() - busy
            print(f"round {number + 1}: {name:16} {seconds[name][-1]:7.2f} s, {busy:7.2f} s of processor", flush=True)
    return seconds


def describe(model: object, contents: list[str]) -> None:
    """Say what is measured, and on what."""
    tokens = statistics.mean(min(model.count_tokens(text) or 0, model.max_tokens or 10**9) for text in contents[:500])
    dtype = next(model._model.parameters()).dtype
    amx = "amx_bf16" in Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else False
    print(f"{len(contents)} rows, {tokens:.0f} tokens on average, {model.model_id}, {dtype}")
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, AMX: {'yes' if amx else 'no'}, Python {sys.version.split()[0]}"
    )


def report(seconds: dict[str, list[float]], rows: int) -> None:
    """Medians, and how many times faster ours is."""
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"\n{'':16} {'median s':>9} {'rows/s':>8} {'ours is':>9}")
    for name, median in medians.items():
        print(f"{name:16} {median:9.2f} {rows / median:8.0f} {median / medians['datasette-embed']:8.2f}x")


if __name__ == "__main__":
    main()
