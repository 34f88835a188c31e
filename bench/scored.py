"""How many candidates a search scores, and how many of the nearest it finds, by the parameters that say so.

    python bench/scored.py --size 1000000

The file and the vectors are those of bench/search.py. `--quick` runs everything once over a few random vectors.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import vectors as given
from search import QUICK, machine, recall_of
from search_contestants import Answer, our_answer
from search_files import Matrix, our_file

from datasette_embeddings.engine.search import candidates, meaning, prospects

ALL = 1e9  # standard deviations: nobody is ruled out
# For ten matches: how many candidates, and ERRORS.
PARAMETERS = ((320, ALL), (400, ALL), (400, 4.0), (400, 3.5), (400, 3.0), (400, 2.5))


def main() -> None:
    """Parse the options, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="vectors, up to 1,000,000")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--quick", action="store_true", help="see that everything runs")
    options = parser.parse_args()
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            drawn = np.random.default_rng(1).standard_normal((QUICK + 5, 384), dtype=np.float32)
            measure(Path(folder), [f"text {row}" for row in range(QUICK)], drawn[5:], drawn[:5])
        return
    queries = np.asarray(given.word_queries(options.queries, given.FRESH)[1])
    measure(given.DATA, given.wordnet()[0], given.million()[: options.size], queries)


def measure(folder: Path, texts: list[str], vectors: Matrix, queries: Matrix) -> None:
    """A line for each pair of parameters."""
    print(f"{len(vectors):,} vectors of {vectors.shape[1]} dimensions, {len(queries)} words and phrases; {machine()}")
    path = our_file(folder, texts, vectors)
    original = candidates.read_stored
    read: list[int] = []

    def counting(conn, collection, vector_ids, dimensions):
        read.append(len(vector_ids))
        return original(conn, collection, vector_ids, dimensions)

    candidates.read_stored = counting
    for k in (10, 100):
        for pool, errors in PARAMETERS:
            meaning.POOL, meaning.POOL_EACH, prospects.ERRORS = pool, pool // 20, errors
            answer = our_answer(path, k=k)
            answer(queries[0])
            read.clear()
            share, milliseconds = timed(answer, vectors, queries, k)
            every = len(queries)
            print(
                f"{k} matches, {max(pool, pool // 20 * k):,} candidates, {'all' if errors == ALL else errors}: recall "
                f"{share:.4f}; {sum(read) / every:.0f} vectors in {len(read) / every:.2f} statements, "
                f"{milliseconds:.1f} ms",
                flush=True,
            )


def timed(answer: Answer, vectors: Matrix, queries: Matrix, k: int) -> tuple[float, float]:
    """The recall, and the median milliseconds of an answer."""
    took: list[float] = []

    def clocked(query: Matrix) -> list[int]:
        began = time.perf_counter()
        found = answer(query)
        took.append(time.perf_counter() - began)
        return found

    return recall_of(clocked, vectors, queries, k), 1000 * float(np.median(took))


if __name__ == "__main__":
    main()
