"""The files that bench/search.py searches: ours as a job leaves it, and those of the others; made once, then kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.code_table import record
from datasette_embeddings.engine.collections import (
    collection_by_id,
    create_collection,
    define,
    get_collection,
    new_token,
)
from datasette_embeddings.engine.contents import content_hash
from datasette_embeddings.engine.models import EmbeddingModel
from datasette_embeddings.engine.schema import migrate
from datasette_embeddings.engine.tables import SourceTable, source_table
from datasette_embeddings.engine.vector_table import StoredVector, save_vectors

Matrix = NDArray[np.float32]

TABLE = "texts"
PARTS = 100  # `where part = 7` leaves 1 % of the rows
BATCH = 4_096  # vectors written in one transaction


class GivenVectors(EmbeddingModel):
    """The model of the collection: its vectors are there already, so it is never called."""

    model_id = "bench/given"

    def embed_batch(self, contents: list[str | bytes]) -> list[Any]:
        """Fail: a benchmark of the search must not embed."""
        raise NotImplementedError


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """The file, in the system's cache; made first where it is not there, under another name until it is whole."""
    if not path.exists():
        unfinished = path.with_suffix(".part")
        for suffix in ("", "-journal"):
            Path(f"{unfinished}{suffix}").unlink(missing_ok=True)
        make(unfinished)
        unfinished.rename(path)
    with path.open("rb", buffering=0) as file:  # others may have driven it out
        while file.read(2**24):
            pass
    return path


def our_file(folder: Path, texts: list[str], vectors: Matrix) -> Path:
    """A table of so many texts, and its collection, written in batches the way a job writes them."""
    path = made(folder / f"ours-{len(vectors)}.db", lambda path: _write_ours(path, texts, vectors))
    with closing(connect(path)) as conn:
        migrate(conn)  # it may have been made by an earlier version
    return path


def _write_ours(path: Path, texts: list[str], vectors: Matrix) -> None:
    path.touch()
    with closing(connect(path)) as conn:
        # a crash costs the file and nothing else, and it is made anew
        conn.execute("pragma journal_mode = off")
        conn.execute("pragma synchronous = off")
        with conn:
            conn.execute(f"create table {TABLE} (id integer primary key, body text, part integer)")
            rows = ((number + 1, text, number * 7919 % PARTS) for number, text in enumerate(texts_of(texts, vectors)))
            conn.executemany(f"insert into {TABLE} values (?, ?, ?)", rows)
            conn.execute(f"create index {TABLE}_part on {TABLE} (part)")
        collection, _ = create_collection(conn, define(conn, TABLE, ["body"], None, GivenVectors()))
        source = source_table(conn, TABLE)
        with conn:
            conn.execute("update _embed_collections set dimensions = ? where id = ?", (vectors.shape[1], collection.id))
        bodies = list(texts_of(texts, vectors))
        for start in range(0, len(vectors), BATCH):
            rows = range(start, min(start + BATCH, len(vectors)))
            stored = [
                StoredVector((row + 1,), len(bodies[row]), content_hash(bodies[row]), vectors[row].tobytes())
                for row in rows
            ]
            with conn:
                save(conn, source, collection.id, stored)


def texts_of(texts: list[str], vectors: Matrix) -> list[str]:
    """As many texts as there are vectors: copies say which they are, so that no two are the same."""
    return [
        texts[row % len(texts)] + (f" ({row // len(texts)})" if row >= len(texts) else "")
        for row in range(len(vectors))
    ]


def save(conn: sqlite3.Connection, source: SourceTable, collection_id: int, stored: list[StoredVector]) -> None:
    """Vectors, their codes and the collection's new token, as a job saves them; the caller commits."""
    collection = collection_by_id(conn, collection_id)
    token = new_token()
    record(conn, collection.codes, token, save_vectors(conn, collection.vector_table, source, stored), [])
    conn.execute("update _embed_collections set token = ? where id = ?", (token, collection.id))


def change_one(conn: sqlite3.Connection, vector: bytes) -> None:
    """One row gets another text and this vector, as after an edit and an update of the collection."""
    with conn:
        conn.execute(f"update {TABLE} set body = body || '.' where id = 17")
        body = conn.execute(f"select body from {TABLE} where id = 17").fetchone()[0]
        stored = [StoredVector((17,), len(body), content_hash(body), vector)]
        save(conn, source_table(conn, TABLE), get_collection(conn, TABLE).id, stored)


def vec0_file(folder: Path, vectors: Matrix, open_file: Callable[[Path], Any]) -> Path:
    """sqlite-vec's table of the same vectors; `open_file` gives an apsw connection that has the extension."""

    def make(path: Path) -> None:
        conn = open_file(path)
        conn.execute("pragma journal_mode = off")
        conn.execute(f"create virtual table v using vec0(embedding float[{vectors.shape[1]}])")
        with conn:
            rows = ((number + 1, vector.tobytes()) for number, vector in enumerate(vectors))
            conn.executemany("insert into v (rowid, embedding) values (?, ?)", rows)
        conn.close()

    return made(folder / f"vec0-{len(vectors)}.db", make)


def llm_file(folder: Path, texts: list[str], vectors: Matrix) -> Path:
    """LLM's own tables with the same vectors, which datasette-llm-embed reads too."""
    import llm
    import sqlite_utils
    from llm.embeddings_migrations import embeddings_migrations

    def make(path: Path) -> None:
        db = sqlite_utils.Database(path)
        embeddings_migrations.apply(db)
        number = db["collections"].insert({"name": TABLE, "model": "bench"}).last_pk
        rows = enumerate(texts[: len(vectors)], 1)
        db["embeddings"].insert_all(
            {"collection_id": number, "id": str(row), "embedding": llm.encode(vectors[row - 1]), "content": text}
            for row, text in rows
        )
        db.close()

    return made(folder / f"llm-{len(vectors)}.db", make)
