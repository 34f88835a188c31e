"""The state of a collection in memory: a change renews its block, and no other."""

import json
from contextlib import closing

import numpy as np
import pytest
from embedded import embed, write
from searched import PLENTY, Numbers, counted, notes

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.search import views
from datasette_embeddings.engine.transactions import transaction

ROWS = 4 * 1024
QUERY = np.array([1.0, 0.0])


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Four blocks of vectors that turn away from east."""
    return notes(tmp_path_factory.mktemp("views") / "data.db", {n: [ROWS - n, n] for n in range(1, ROWS + 1)})


@pytest.fixture(params=["exact", "codes"])
def path(request, large, tmp_path, monkeypatch):
    """A copy of the file, for either kind of index."""
    if request.param == "codes":
        monkeypatch.setattr(views, "EXACT_UP_TO", 0)
    copy = tmp_path / "data.db"
    copy.write_bytes(large.read_bytes())
    return copy


def seen(path, view=None):
    """The view of the file as it is, made anew or from an older one."""
    with closing(connect(path)) as conn:
        collection = get_collection(conn, "notes")
        if view is None:
            return views.load(conn, collection.codes, collection.token, PLENTY)
        return views.renew(view, conn, collection.codes, collection.token, PLENTY)


def change(path, *statements):
    for statement in statements:
        write(path, statement)
    embed(path, "notes", ["body"], Numbers())


def test_one_row_renews_one_block(path, monkeypatch):
    """A changed row costs the reading of its own block, and leaves the older view as it was."""
    view = seen(path)
    before = view.index.nearest(QUERY, 3).ids.tolist()
    change(path, "update notes set body = '[1, 0]' where id = 3000")
    read = counted(monkeypatch, views, "read_vectors" if view.is_exact else "read_blocks")
    after = seen(path, view)
    blocks = [arguments[2] for arguments in read]
    assert blocks == ([2] if view.is_exact else [[2]])
    assert after.index.nearest(QUERY, 3).ids.tolist() == seen(path).index.nearest(QUERY, 3).ids.tolist()
    assert (len(after.index), view.index.nearest(QUERY, 3).ids.tolist()) == (ROWS, before)


def test_renewed_is_loaded(path):
    """Whatever changed, a renewed view is the one that a fresh load gives."""
    view = seen(path)
    for statements in (
        ["delete from notes where id between 1000 and 1100"],
        ["insert into notes select id + 9000, body from notes where id < 900"],
        ["delete from notes where id > 1000", "update notes set body = '[0, 0]' where id = 5"],
        [f"insert into notes select id + 20000, '{json.dumps([3, 4])}' from notes where id < 3"],
        ["delete from notes"],
        ["insert into notes values (1, '[1, 0]')"],
    ):
        change(path, *statements)
        view, fresh = seen(path, view), seen(path)
        assert (view.token, view.tokens, len(view.index)) == (fresh.token, fresh.tokens, len(fresh.index))
        assert view.index.nearest(QUERY, 100).ids.tolist() == fresh.index.nearest(QUERY, 100).ids.tolist()


def test_a_new_centre_loads_anew(path, monkeypatch):
    """Codes made around another centre share nothing with the old ones."""
    monkeypatch.setattr(views, "EXACT_UP_TO", 0)
    view = seen(path)
    with closing(connect(path)) as conn, transaction(conn):
        conn.execute("update _embed_collections set centre = ?, token = 5", (np.zeros(2, "<f4").tobytes(),))
    loads = counted(monkeypatch, views, "load")
    assert (seen(path, view).index.centre.tolist(), len(loads)) == ([0, 0], 1)


def test_from_exact_to_codes_and_back(large, tmp_path, monkeypatch):
    """A collection that outgrows the exact index goes over to codes, and back when it has shrunk."""
    monkeypatch.setattr(views, "MEASURED", 64)
    monkeypatch.setattr(views, "EXACT_UP_TO", 5 * 1024)  # ids from 1 to 4,096 are in five blocks
    path = tmp_path / "data.db"
    path.write_bytes(large.read_bytes())
    kinds = []
    view = seen(path)
    for statement in (
        "insert into notes select id + 9000, body from notes where id < 2000",
        "delete from notes where id < 2000",
    ):
        kinds.append(view.is_exact)
        change(path, statement)
        view = seen(path, view)
    assert [*kinds, view.is_exact] == [True, False, True]
