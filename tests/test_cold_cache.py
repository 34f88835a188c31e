"""The first search after a start, in a collection of 300,000 rows, under Datasette's own limit of one second."""

from contextlib import closing

import numpy as np
import pytest
from datasette.database import QueryInterrupted
from embedded import create, make_file, write
from searched import Numbers, found

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.code_table import rebuild
from datasette_embeddings.engine.collections import get_collection, new_token
from datasette_embeddings.engine.contents import content_hash

ROWS, DIMENSIONS = 300_000, 128


def vectors():
    """One row of numbers for each id from 1 on, the same at every call."""
    return np.random.default_rng(1).standard_normal((ROWS, DIMENSIONS), np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file as a job would have left it, written without one."""
    path = make_file(tmp_path_factory.mktemp("large") / "data.db", "create table notes (id integer primary key, body)")
    create(path, "notes", ["body"], Numbers())
    with closing(connect(path)) as conn, conn:
        conn.execute("pragma synchronous = off")
        conn.executemany("insert into notes values (?, ?)", ((n, f"note {n}") for n in range(1, ROWS + 1)))
        conn.executemany(
            "insert into _embed_vectors_notes (id, chunk, chunk_start, chunk_end, content_hash, vector)"
            " values (?, 0, 0, 9, ?, ?)",
            ((n, content_hash(f"note {n}"), vector.tobytes()) for n, vector in enumerate(vectors(), 1)),
        )
        conn.execute("update _embed_collections set dimensions = ?, token = ?", (DIMENSIONS, token := new_token()))
        rebuild(conn, get_collection(conn, "notes").codes, token)
    return path


async def test_the_first_search(make_datasette, path):
    """A search that finds nothing loaded is answered in time, and so is the one after a change."""
    datasette, wanted = make_datasette(path, models=[Numbers()]), vectors()[77_776].tobytes()
    assert (await found(datasette, "embed_search('notes', :v)", v=wanted))[0] == 77_777
    write(path, "update notes set body = 'changed' where id = 77777")
    matches = await found(datasette, "embed_search('notes', :v)", v=wanted)
    assert len(matches) == 10
    assert 77_777 not in matches
    among = "(select json_group_array(id) from notes where id % 100 = 7)"
    assert {match % 100 for match in await found(datasette, f"embed_similar('notes', 7, 20, {among})")} == {7}


async def test_every_row_in_order_takes_too_long(make_datasette, path):
    """Who asks for all of them is told that it took too long, and the server goes on."""
    datasette = make_datasette(path, models=[Numbers()])
    with pytest.raises(QueryInterrupted):
        await found(datasette, "embed_similar('notes', 1, 1000000000)")
    assert len(await found(datasette, "embed_similar('notes', 1, 5)")) == 5
