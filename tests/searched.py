"""Collections whose vectors a test writes down, and searching them with the engine alone."""

from __future__ import annotations

import json
import math
from contextlib import closing, contextmanager

from embedded import create, embed, make_file

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.chunking import Chunking
from datasette_embeddings.engine.code_table import rebuild
from datasette_embeddings.engine.collections import get_collection, new_token
from datasette_embeddings.engine.contents import content_hash
from datasette_embeddings.engine.models import EmbeddingModel
from datasette_embeddings.engine.running import run_job
from datasette_embeddings.engine.search import Caches, Searcher, one_state
from datasette_embeddings.engine.vectors import encode

PLENTY = 2**30  # bytes for a cache that nothing is to leave


class Numbers(EmbeddingModel):
    """A content is the JSON of its own vector; a word is its letters' places in the alphabet."""

    model_id = "numbers"

    def __init__(self):
        self.contents = []

    def embed_batch(self, contents):
        self.contents += contents
        return [json.loads(content) for content in contents]


PARAGRAPHS = Chunking("characters", 64, overlap=0)  # of texts that in_chunks() wrote, every line becomes a chunk


def in_chunks(*vectors):
    """A text for Numbers that PARAGRAPHS cuts into one chunk for each of these vectors."""
    return "\n\n".join(f"{json.dumps(vector)[:-1]:<61}]" for vector in vectors)


class OneConnection:
    """An engine's way to a file by one connection: what it writes stays in the transaction that is open on it."""

    def __init__(self, conn):
        self.conn = conn

    def read(self, fn):
        return fn(self.conn)

    write = read


def notes(path, vectors, columns="id integer primary key, body text"):
    """A file whose table `notes` holds these vectors, {key: [numbers]}, all of them embedded."""
    rows = [(*(key if isinstance(key, tuple) else (key,)), json.dumps(vector)) for key, vector in vectors.items()]
    make_file(path, f"create table notes ({columns})", **({"notes": rows} if rows else {}))
    embed(path, "notes", ["body"], Numbers())
    return path


def chunked_notes(path, rows):
    """A file whose table `notes` holds these lists of vectors, {key: [[numbers], ...]}, a chunk for each."""
    make_file(
        path,
        "create table notes (id integer primary key, body text)",
        notes=[(key, in_chunks(*vectors)) for key, vectors in rows.items()],
    )
    embed(path, "notes", ["body"], Numbers(), chunking=PARAGRAPHS)
    return path


def large_notes(path, vectors):
    """A file as a job would have left it, its table `notes` with a row for each of the (n, dimensions) vectors.

    It is written without a job, which would take minutes for some hundred thousand rows.
    """
    make_file(path, "create table notes (id integer primary key, body)")
    create(path, "notes", ["body"], Numbers())
    with closing(connect(path)) as conn, conn:
        conn.execute("pragma synchronous = off")
        conn.executemany("insert into notes values (?, ?)", ((n, f"note {n}") for n in range(1, len(vectors) + 1)))
        conn.executemany(
            "insert into _embed_vectors_notes (id, chunk, chunk_start, chunk_end, content_hash, vector)"
            " values (?, 0, 0, 9, ?, ?)",
            ((n, content_hash(f"note {n}"), vector.tobytes()) for n, vector in enumerate(vectors, 1)),
        )
        dimensions, token = vectors.shape[1], new_token()
        conn.execute("update _embed_collections set dimensions = ?, token = ?", (dimensions, token))
        rebuild(conn, get_collection(conn, "notes").codes, token)
    return path


def embed_within(conn, name="notes"):
    """One pass over the collection's table inside whatever transaction is open on the connection."""
    job = jobs.create_job(conn, get_collection(conn, name).id)
    assert jobs.claim(conn, job.id, "within")
    return run_job(OneConnection(conn), job, "within", lambda _: Numbers())


def searcher(conn, name="notes", caches=None):
    """A searcher of what this connection sees of its file."""
    path = conn.execute("pragma database_list").fetchone()[2]
    return Searcher(conn, get_collection(conn, name), caches or Caches(PLENTY), "data", lambda: connect(path))


@contextmanager
def searching(path, name="notes", caches=None):
    """A searcher on a connection of its own."""
    with closing(connect(path)) as conn, one_state(conn):
        yield searcher(conn, name, caches)


def nearest(path, vector, k=10, caches=None, **options):
    """[(key, score)], best first; a key of one column is the value itself."""
    with searching(path, caches=caches) as search:
        return pairs(search.nearest(encode(vector), k, **options))


def keys(path, vector, k=10, **options):
    """The keys alone."""
    return [key for key, _ in nearest(path, vector, k, **options)]


def pairs(matches):
    """Matches as (key, score)."""
    return [(match.key[0] if len(match.key) == 1 else match.key, match.score) for match in matches]


def reference(vectors, query):
    """Every key with its cosine in float64, best first, equal ones by key; zero vectors have none."""
    wanted = [float(number) for number in query]
    scored = []
    for key, vector in vectors.items():
        lengths = math.hypot(*vector) * math.hypot(*wanted)
        if lengths:
            scored.append((-math.fsum(a * b for a, b in zip(vector, wanted, strict=True)) / lengths, key))
    return [(key, -score) for score, key in sorted(scored)]


def counted(monkeypatch, module, name):
    """Every call of a module's function from now on: a list that grows by its arguments."""
    calls, original = [], getattr(module, name)

    def counting(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, counting)
    return calls


async def found(datasette, call, database="data", **parameters):
    """The keys that a call finds, best first."""
    sql = f"select json_extract(m.value, '$.key') as key from json_each({call}) as m"
    rows = (await datasette.get_database(database).execute(sql, parameters)).rows
    return [key[0] if len(key) == 1 else tuple(key) for key in (json.loads(row["key"]) for row in rows)]
