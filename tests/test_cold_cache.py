"""The first search after a start, in a collection of 300,000 rows, under Datasette's own limit of one second."""

import numpy as np
import pytest
from datasette.database import QueryInterrupted
from embedded import write
from searched import Numbers, found, large_notes

ROWS, DIMENSIONS = 300_000, 128


def vectors():
    """One row of numbers for each id from 1 on, the same at every call."""
    return np.random.default_rng(1).standard_normal((ROWS, DIMENSIONS), np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file as a job would have left it."""
    return large_notes(tmp_path_factory.mktemp("large") / "data.db", vectors())


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
