"""Those who answer in bench/search.py: each is opened over one set of vectors and gives the ten nearest of a query."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_files import TABLE, Matrix, llm_file, vec0_file

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.search import Among, Caches, Searcher, one_state

K = 10
BUDGET = 512_000_000  # bytes; the default of search_memory_mb
SAMPLE = 20_000  # rows for those who take seconds on more; their time grows with the rows
OURS, EXACT = "ours", "numpy, exact, in memory"

Answer = Callable[[NDArray[np.float32]], list[int]]  # a query; the row ids found, best first


@dataclass(frozen=True)
class Contestant:
    """Who answers, how often it is asked in a round, and how many rows its time must be scaled to those of all."""

    name: str
    answer: Answer
    queries: int = 20
    scale: float = 1.0


def contestants(folder: Path, ours: Path, texts: list[str], vectors: Matrix, *, quick: bool) -> list[Contestant]:
    """All whose packages are installed; what is missing is said."""
    found = [Contestant(OURS, our_answer(ours)), Contestant(EXACT, exact_answer(np.array(vectors)))]
    makers = {
        ("apsw", "sqlite_vec"): lambda: Contestant("sqlite-vec, vec0", vec0_answer(folder, vectors), 5),
        ("llm",): lambda: sampled("llm similar", llm_answer, folder, texts, vectors, quick),
        ("llm", "datasette_llm_embed"): lambda: sampled(
            "datasette-llm-embed", llm_embed_answer, folder, texts, vectors, quick
        ),
    }
    for packages, make in makers.items():
        missing = [name for name in packages if importlib.util.find_spec(name) is None]
        if missing:
            print(f"Not measured, because it is not installed: {', '.join(missing)}")
        else:
            found.append(make())
    return found


def sampled(
    name: str, opened: Callable[[Path], Answer], folder: Path, texts: list[str], vectors: Matrix, quick: bool
) -> Contestant:
    """One that is asked over the first rows only."""
    rows = min(len(vectors), 500 if quick else SAMPLE, len(texts))
    scale = len(vectors) / rows
    label = f"{name} ({rows:,} rows, x {scale:g})" if scale > 1 else name
    return Contestant(label, opened(llm_file(folder, texts, vectors[:rows])), 1, scale)


def searcher_of(conn: sqlite3.Connection, path: Path, caches: Caches) -> Searcher:
    """A searcher as every page and SQL function makes one for each search."""
    return Searcher(conn, get_collection(conn, TABLE), caches, "bench", lambda: connect(path))


def our_answer(path: Path, caches: Caches | None = None, among: Among | None = None, k: int = K) -> Answer:
    """Ours, on a connection of its own: all that a search does, from the tokens to the check of the rows."""
    conn, caches = connect(path), caches or Caches(BUDGET)

    def answer(query: NDArray[np.float32]) -> list[int]:
        with one_state(conn):
            matches = searcher_of(conn, path, caches).nearest(query.tobytes(), k, among=among)
        return [int(str(match.key[0])) for match in matches]

    return answer


def exact_answer(matrix: Matrix) -> Answer:
    """The product with all vectors, which lie in memory, and its ten largest."""

    def answer(query: NDArray[np.float32]) -> list[int]:
        scores = matrix @ query
        best = np.argpartition(scores, len(scores) - K)[-K:]
        return [int(row) + 1 for row in best[np.argsort(-scores[best])]]

    return answer


def open_vec0(path: Path) -> Any:
    """An apsw connection with sqlite-vec loaded: Python's own sqlite3 often cannot load extensions."""
    import apsw
    import sqlite_vec

    conn = apsw.Connection(str(path))
    conn.enable_load_extension(True)
    conn.load_extension(sqlite_vec.loadable_path())
    return conn


def vec0_answer(folder: Path, vectors: Matrix) -> Answer:
    """vec0's own search, by L2: on vectors of length 1 the order of the cosine, and quicker than its cosine."""
    conn = open_vec0(vec0_file(folder, vectors, open_vec0))
    sql = "select rowid from v where embedding match ? and k = ? order by distance"
    return lambda query: [row[0] for row in conn.execute(sql, (query.tobytes(), K))]


def llm_answer(path: Path) -> Answer:
    """What `llm similar` calls, with a vector."""
    import llm
    import sqlite_utils

    collection = llm.Collection(TABLE, sqlite_utils.Database(path), model_id="bench")
    return lambda query: [int(entry.id) for entry in collection.similar_by_vector(query.tolist(), K)]


def llm_embed_answer(path: Path) -> Answer:
    """The query that datasette-llm-embed's README gives, with its function."""
    import datasette_llm_embed

    conn = sqlite3.connect(path)
    conn.create_function("llm_embed_cosine", 2, datasette_llm_embed.llm_embed_cosine)
    sql = f"select id from embeddings order by llm_embed_cosine(embedding, ?) desc limit {K}"
    return lambda query: [int(row[0]) for row in conn.execute(sql, (query.tobytes(),))]
