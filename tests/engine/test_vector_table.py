"""The table of one collection's vectors: what its ids are, whoever has had a vector before."""

import sqlite3
from contextlib import closing

import pytest

from datasette_embeddings.engine.tables import source_table
from datasette_embeddings.engine.vector_table import StoredVector, create_vector_table, save_vectors


@pytest.fixture
def conn():
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("create table readings (at real primary key, note text)")
        yield conn


@pytest.mark.parametrize("again", [(), (2.5,), (1.0, 2.5)])
def test_a_row_keeps_its_vector_id(conn, again):
    """A new row gets the next id, a row that had a vector keeps its own, and both are told with their vectors."""
    source = source_table(conn, "readings")
    create_vector_table(conn, "vectors", source)
    before = save_vectors(conn, "vectors", source, [StoredVector((key,), 1, b"old", b"old") for key in (1.0, 2.5)])
    kept = {key: vector_id for vector_id, key in conn.execute("select vector_id, at from vectors")}
    new = [StoredVector((key,), 9, b"new", str(key).encode()) for key in (7.5, *again, 8.0)]
    written = save_vectors(conn, "vectors", source, new)
    assert set(before) == set(kept.values()) == {1, 2}
    assert written == dict(conn.execute("select vector_id, vector from vectors where content_hash = ?", (b"new",)))
    assert {kept[key] for key in again} == {1, 2} & set(written)
