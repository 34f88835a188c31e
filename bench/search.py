"""Search by ours, by numpy, by sqlite-vec, by LLM and by datasette-llm-embed, in turn in one run; print the ratios.

    python bench/vectors.py million     makes the vectors (once)
    python bench/search.py              measures at 100,000 and at 1,000,000

Every contestant finds ten of the same vectors, round after round, so that a slow minute is shared. The query's own
embedding is left out on all sides. Ours is asked on a file, as a job leaves it, and does all that a search does there:
the collection's tokens, the scan, the candidates' vectors out of SQLite, their scores in float64, and the check that
their rows still say what was embedded. `--quick` runs everything once over a few random vectors.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import vectors as given
from search_clients import in_threads, over_http
from search_contestants import EXACT, OURS, Answer, Contestant, contestants, our_answer
from search_files import TABLE, Matrix, change_one, our_file

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.search import Among

CLOSE = 1e-4  # a match counts if its exact score reaches the tenth exact score less this
FILTER = f"select id from {TABLE} where part = 7"
WARMING = 5  # queries of each contestant in each round that do not count
QUICK = 33_000  # vectors, just enough for the search by codes


def main() -> None:
    """Parse the options, then measure size after size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help="vectors, up to 1,000,000; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement of several clients")
    parser.add_argument("--quick", action="store_true", help="see that everything runs")
    options = parser.parse_args()
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            draw = np.random.default_rng(1)
            drawn = draw.standard_normal((QUICK + 20, 384), dtype=np.float32)
            measure(Path(folder), [f"text {row}" for row in range(QUICK)], drawn[20:], drawn[:20], 1, 0.5, quick=True)
        return
    for size in options.size or [100_000, 1_000_000]:
        queries = np.asarray(given.word_queries(500, given.FRESH)[1])
        measure(given.DATA, given.wordnet()[0], given.million()[:size], queries, options.rounds, options.seconds)


def measure(
    folder: Path,
    texts: list[str],
    vectors: Matrix,
    queries: Matrix,
    rounds: int,
    seconds: float,
    *,
    quick: bool = False,
) -> None:
    """Everything at one size."""
    print(f"\n{len(vectors):,} vectors of {vectors.shape[1]} dimensions; {machine()}", flush=True)
    path = our_file(folder, texts, vectors)
    asked = contestants(folder, path, texts, vectors, quick=quick)
    ratios(in_turn(asked, queries, rounds), asked)
    recall(path, vectors, queries)
    del asked  # and with it the matrix in memory
    fresh(path, rounds)
    filtered(path, queries, rounds)
    changed(path, vectors, queries, rounds)
    print("Many at once, in threads:")
    one, ten = in_threads(path, queries, seconds)
    print(f"  1 client:   {one}\n  10 clients: {ten}; {ten.rate / one.rate:.2f} x the throughput of one")
    print("Many at once, a `datasette serve` over HTTP:")
    for line in over_http(path, len(vectors), seconds):
        print(line, flush=True)
    print(f"Load at the end: {load()}")


def machine() -> str:
    """On what is measured."""
    flags = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    has = ", ".join(f"{name}: {'yes' if flag in flags else 'no'}" for name, flag in (("AVX-512", "avx512f"),))
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} cores, {platform.machine()}, {has}, {versions}, load {load()}"


def load() -> str:
    """How busy the machine was in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def seconds_of(ask: Callable[[], object]) -> float:
    """The wall-clock time of one call."""
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def in_turn(asked: list[Contestant], queries: Matrix, rounds: int) -> dict[str, list[float]]:
    """Seconds of every query; in each round every contestant gets its queries one after the other.

    The first of them find the processor's caches full of what others left there, and do not count.
    """
    times: dict[str, list[float]] = {contestant.name: [] for contestant in asked}
    for number in range(rounds + 1):
        for contestant in asked:
            warming = min(WARMING, contestant.queries)
            drawn = np.roll(queries, -number * contestant.queries, axis=0)[: warming + contestant.queries]
            took = [seconds_of(lambda ask=contestant.answer, query=query: ask(query)) for query in drawn]
            if number:  # the first round is for warming up
                times[contestant.name].extend(contestant.scale * seconds for seconds in took[warming:])
    return times


def ratios(times: dict[str, list[float]], asked: list[Contestant]) -> None:
    """Medians, spreads, and how many times as long as numpy's product each takes."""
    exact = statistics.median(times[EXACT])
    width = max(map(len, times))
    print(f"\n{'ten nearest':{width}} {'median ms':>10} {'10 %':>9} {'90 %':>9} {'of numpy':>9} {'of ours':>9}")
    ours = statistics.median(times[OURS])
    for name, values in times.items():
        low, high = (float(np.percentile(values, share)) for share in (10, 90))
        median = statistics.median(values)
        shares = f"{median / exact:8.2f}x {median / ours:8.1f}x"
        print(f"{name:{width}} {1000 * median:10.1f} {1000 * low:9.1f} {1000 * high:9.1f} {shares}", flush=True)


def recall(path: Path, vectors: Matrix, queries: Matrix) -> None:
    """How many of the ten are as near as the true ten, for what a person types and for rows like a row."""
    rows = np.random.default_rng(given.FRESH).choice(len(vectors), min(len(queries), 200), replace=False)
    print()
    for name, asked in (("words and phrases", queries), ("stored rows", vectors[np.sort(rows)])):
        for k in (10, 100):
            share = recall_of(our_answer(path, k=k), vectors, asked, k)
            print(f"recall@{k}, {len(asked)} {name}: {share:.4f}", flush=True)


def recall_of(answer: Answer, vectors: Matrix, queries: Matrix, k: int) -> float:
    """The mean share of k that is found."""
    shares = []
    for start in range(0, len(queries), 50):
        part = queries[start : start + 50]
        best = np.full((len(part), k), -np.inf, np.float32)
        for first in range(0, len(vectors), 50_000):
            scores = part @ vectors[first : first + 50_000].T
            best = np.partition(np.hstack([best, scores]), -k, axis=1)[:, -k:]
        for query, cut in zip(part, best.min(axis=1) - CLOSE, strict=True):
            found = vectors[np.asarray(answer(query)) - 1] @ query
            shares.append(min(k, int((found >= cut).sum())) / k)
    return statistics.mean(shares)


def fresh(path: Path, rounds: int) -> None:
    """The first query of new processes, and their memory."""
    script = Path(__file__).with_name("search_fresh.py")
    got = [json.loads(subprocess.check_output([sys.executable, script, path])) for _ in range(max(1, rounds))]
    first, second = ([run[name] for run in got] for name in ("first", "second"))
    print(f"\nfirst query after a start: {spread(first)}; the second: {spread(second)}")
    held, peak = (max(run[name] for run in got) / 1e6 for name in ("held", "peak"))
    print(f"memory above the start: {held:.0f} MB held, {peak:.0f} MB at the peak", flush=True)


def filtered(path: Path, queries: Matrix, rounds: int) -> None:
    """A filter that leaves 1 % of the rows, and SQLite's own time for it."""
    answer, conn = our_answer(path, among=Among(FILTER)), connect(path)
    own, ours = [], []
    for query in queries[: 4 * rounds + 2]:
        own.append(seconds_of(lambda: conn.execute(FILTER).fetchall()))
        ours.append(seconds_of(lambda query=query: answer(query)))
    beyond = [search - alone for search, alone in zip(ours, own, strict=True)][2:]
    conn.close()
    print(f"a filter that leaves 1 %: {spread(ours[2:])}; SQLite alone {spread(own[2:])}; beyond it {spread(beyond)}")


def changed(path: Path, vectors: Matrix, queries: Matrix, rounds: int) -> None:
    """The search after one row was embedded anew, against the one after that."""
    answer, conn = our_answer(path), connect(path)
    answer(queries[0])
    after, then, write = [], [], []
    for query in queries[: 4 * rounds]:
        write.append(seconds_of(lambda: change_one(conn, vectors[16].tobytes())))
        after.append(seconds_of(lambda query=query: answer(query)))
        then.append(seconds_of(lambda query=query: answer(query)))
    conn.close()
    extra = [first - second for first, second in zip(after, then, strict=True)]
    print(f"a changed row: {spread(extra)} more for the next search; writing it {spread(write)}", flush=True)


def spread(values: Iterable[float]) -> str:
    """The median and the range of seconds, in milliseconds."""
    low, median, high = (1000 * float(np.percentile(list(values), share)) for share in (0, 50, 100))
    return f"{median:.1f} ms ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
