"""How good the matches are: nDCG@10 by meaning, by words and by both, on a collection with judgements.

    python bench/quality.py FOLDER [--chunked]

FOLDER holds corpus.jsonl.gz ({"_id", "title", "text"} a line), queries.jsonl.gz ({"_id", "text"}) and qrels.tsv
(query, text, how relevant; a header first), as BEIR has them; Cranfield has 1,400 texts and 225 queries. Everything
goes through our own engine: a table with an FTS5 index (porter), embedded by a job, searched as the pages search it.
With --chunked what is longer than the model reads is cut into chunks, and not cut off.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import sqlite3
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from datasette.app import Datasette

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.collections import create_collection, define, get_collection
from datasette_embeddings.engine.models import EmbeddingModel, embed_contents, load
from datasette_embeddings.engine.running import run_job
from datasette_embeddings.engine.search import Caches, Match, Searcher, one_state, search_both, search_words
from datasette_embeddings.engine.vectors import encode
from datasette_embeddings.registry import registry_for

K = 10
TEMPLATE = "{{ title }} {{ text }}"  # which cannot be cut
CHUNKED = "{{ title }} {{ chunk }}"
BUDGET = 512_000_000  # bytes


def main() -> None:
    """Embed the texts, search every query three ways, print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--chunked", action="store_true")
    options = parser.parse_args()
    queries = {line["_id"]: line["text"] for line in lines(options.folder / "queries.jsonl.gz")}
    judgements = read_judgements(options.folder / "qrels.tsv")
    model = registry_for(Datasette([])).model(options.model)
    load(model)
    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder) / "bench.db", lines(options.folder / "corpus.jsonl.gz"))
        embed(path, model, chunked=options.chunked)
        report(path, model, queries, judgements)


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a compressed file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """By query, how relevant which text is."""
    judged: defaultdict[str, dict[str, int]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for query, text, relevance in list(csv.reader(file, delimiter="\t"))[1:]:
            judged[query][text] = int(relevance)
    return dict(judged)


def build(path: Path, texts: list[dict[str, Any]]) -> Path:
    """A table of the texts with its full-text index."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table texts (id text primary key, title text, text text)")
        conn.executemany("insert into texts values (:_id, :title, :text)", texts)
        conn.execute("create virtual table texts_fts using fts5(title, text, content='texts', tokenize='porter')")
        conn.execute("insert into texts_fts (texts_fts) values ('rebuild')")
    return path


def embed(path: Path, model: EmbeddingModel, *, chunked: bool) -> None:
    """One pass over the table, as the worker and the command line make it."""
    columns, template = (["text"], CHUNKED) if chunked else (None, TEMPLATE)
    with FileAccess(path) as access:
        definition = access.read(lambda conn: define(conn, "texts", columns, template, model))
        collection, _ = access.write(lambda conn: create_collection(conn, definition))
        job = access.write(lambda conn: jobs.create_job(conn, collection.id))
        assert access.write(lambda conn: jobs.claim(conn, job.id, "bench"))
        done = run_job(access, job, "bench", lambda name: model)
        assert (done.status, done.rows_done) == (jobs.FINISHED, done.rows_total), done


def report(
    path: Path, model: EmbeddingModel, queries: Mapping[str, str], judgements: Mapping[str, Mapping[str, int]]
) -> None:
    """The mean over all queries that have judgements, for each mode."""
    asked = {name: text for name, text in queries.items() if judgements.get(name)}
    vectors = [encode(vector) for vector in embed_contents(model, list(asked.values()), query=True)]
    with closing(connect(path)) as conn, one_state(conn):
        searcher = Searcher(conn, get_collection(conn, "texts"), Caches(BUDGET), "bench", lambda: connect(path))
        modes: dict[str, Callable[[str, bytes], list[Match]]] = {
            "meaning": lambda text, vector: searcher.nearest(vector, K),
            "words": lambda text, vector: search_words(searcher, text, K),
            "both": lambda text, vector: search_both(searcher, text, vector, K),
        }
        rows = conn.execute("select count(*) from texts").fetchone()[0]
        vectors_made = conn.execute("select count(*) from _embed_vectors_texts").fetchone()[0]
        template = searcher.collection.definition.template
        print(f"{rows:,} texts, {vectors_made:,} vectors, {len(asked)} queries, {model.model_id} over {template!r}")
        print(f"\n{'':8} nDCG@{K}")
        for mode, search in modes.items():
            scores = [
                ndcg([str(match.key[0]) for match in search(text, vector)], judgements[name])
                for (name, text), vector in zip(asked.items(), vectors, strict=True)
            ]
            print(f"{mode:8} {statistics.mean(scores):.4f}", flush=True)


def ndcg(found: list[str], relevance: Mapping[str, int]) -> float:
    """The discounted gain of the texts found, as a share of what the best order of all would have."""
    ideal = gain(sorted(relevance.values(), reverse=True)[:K])
    return gain([relevance.get(key, 0) for key in found]) / ideal if ideal else 0.0


def gain(relevances: list[int]) -> float:
    """Each relevance divided by the logarithm of its place."""
    return sum(value / math.log2(place + 1) for place, value in enumerate(relevances, 1))


if __name__ == "__main__":
    main()
