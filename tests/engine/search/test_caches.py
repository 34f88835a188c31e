"""What searches share: loaded once, never from what is not committed, kept to a budget, never in a writer's way."""

import json
import sqlite3
import threading
from contextlib import closing

import pytest
from embedded import embed, make_file, write
from searched import PLENTY, Numbers, counted, embed_within, keys, notes, searcher, searching
from servers import PATIENCE

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import delete_collection, get_collection
from datasette_embeddings.engine.search import Caches, caches, one_state, views
from datasette_embeddings.engine.vectors import encode

EAST = encode([1, 0])


@pytest.fixture
def path(tmp_path):
    """Three notes that turn away from east."""
    return notes(tmp_path / "data.db", {1: [1, 0], 2: [1, 1], 3: [0, 1]})


def change(path, key, vector):
    """One row is written and embedded anew."""
    write(path, "insert or replace into notes values (?, ?)", key, json.dumps(vector))
    embed(path, "notes", ["body"], Numbers())


def found(conn, shared):
    return [match.key[0] for match in searcher(conn, caches=shared).nearest(EAST)]


def test_loaded_once_for_all_threads(path, monkeypatch):
    """Eight threads that come at once wait for one load, and get one answer."""
    loads, shared, answers = counted(monkeypatch, caches, "load"), Caches(PLENTY), []
    together = threading.Barrier(8)

    def search():
        with searching(path, caches=shared) as search:
            together.wait(PATIENCE)
            answers.append([match.key[0] for match in search.nearest(EAST)])

    threads = [threading.Thread(target=search) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (len(loads), answers) == (1, [[1, 2, 3]] * 8)


def test_loaded_once_for_all_connections(path, monkeypatch):
    """A second connection finds what the first one loaded, and a change renews it."""
    loads, renewals = counted(monkeypatch, caches, "load"), counted(monkeypatch, caches, "renew")
    shared = Caches(PLENTY)
    assert keys(path, [1, 0], caches=shared) == keys(path, [1, 0], caches=shared) == [1, 2, 3]
    assert (len(loads), len(renewals)) == (1, 0)
    change(path, 4, [2, 1])
    assert keys(path, [1, 0], caches=shared) == keys(path, [1, 0], caches=shared) == [1, 4, 2, 3]
    assert len(renewals) == 1


def test_not_loaded_on_the_asking_connection(path):
    """The shared view is read on a connection of its own, which no time limit of a query stops."""
    with closing(connect(path)) as conn:
        statements = []
        conn.set_trace_callback(statements.append)
        found(conn, Caches(PLENTY))
    assert not [sql for sql in statements if "_embed_codes_" in sql]


def test_uncommitted_rows_are_seen_by_who_wrote_them_alone(path):
    """What is not committed is found by its own connection, and enters nothing that is shared."""
    shared = Caches(PLENTY)
    with closing(connect(path)) as conn, closing(connect(path)) as other:
        conn.execute("begin immediate")
        conn.execute("insert into notes values (4, '[3, 1]')")
        embed_within(conn)
        assert (found(conn, shared), found(other, shared)) == ([1, 4, 2, 3], [1, 2, 3])
        conn.rollback()
        assert (found(conn, shared), found(other, shared)) == ([1, 2, 3], [1, 2, 3])


def test_a_collection_that_is_not_committed(tmp_path):
    """A connection may search what it has only just made, and nobody else sees it."""
    path, shared = make_file(tmp_path / "data.db", "create table t (id integer primary key)"), Caches(PLENTY)
    notes(tmp_path / "other.db", {1: [1, 0]})
    with closing(connect(path)) as conn:
        conn.execute("attach ? as other", (str(tmp_path / "other.db"),))
        sql = conn.execute("select name, sql from other.sqlite_master where type = 'table'").fetchall()
        conn.execute("begin")
        for name, statement in sql:
            conn.execute(statement)
            conn.execute(f'insert into main."{name}" select * from other."{name}"')
        assert found(conn, shared) == [1]
        conn.rollback()
    assert all(entry.view is None for entry in shared._entries.values())


def test_a_collection_that_took_the_id_of_another(path):
    """A new collection may get the id of one that was deleted, with vectors of another length."""
    shared = Caches(PLENTY)
    assert keys(path, [1, 0], caches=shared) == [1, 2, 3]
    with closing(connect(path)) as conn:
        delete_collection(conn, "notes")
    write(path, "update notes set body = '[0, 0, ' || id || ']'")
    embed(path, "notes", ["body"], Numbers())
    assert keys(path, [0, 0, 1], caches=shared) == [1, 2, 3]


def test_an_older_state_that_is_still_being_read(path):
    """Who began to read before a change finds what was there then, and leaves the newer view to the others."""
    shared = Caches(PLENTY)
    write(path, "pragma journal_mode = wal")
    with closing(connect(path)) as conn, one_state(conn):
        assert found(conn, shared) == [1, 2, 3]
        change(path, 1, [-1, 0])
        assert keys(path, [1, 0], caches=shared) == [2, 3, 1]
        assert found(conn, shared) == [1, 2, 3]
    assert keys(path, [1, 0], caches=shared) == [2, 3, 1]


def test_a_restored_backup(path, tmp_path):
    """A backup copied over the open file brings back what was true then."""
    shared = Caches(PLENTY)
    with closing(connect(path)) as conn, closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
        assert found(conn, shared) == [1, 2, 3]
        conn.backup(backup)
        change(path, 1, [-1, 0])
        assert found(conn, shared) == [2, 3, 1]
        backup.backup(conn)
        assert found(conn, shared) == [1, 2, 3]


def test_a_file_that_was_replaced(path, tmp_path):
    """A file moved over the open one is read by new connections; the old ones still answer for the old file."""
    shared, other = Caches(PLENTY), notes(tmp_path / "other.db", {7: [1, 0], 8: [0, 1]})
    with closing(connect(path)) as conn:
        assert found(conn, shared) == [1, 2, 3]
        other.replace(path)
        assert found(conn, shared) == [1, 2, 3]
        assert keys(path, [1, 0], caches=shared) == [7, 8]
        assert found(conn, shared) == [1, 2, 3]


def test_a_writer_that_waits_for_the_reader(path):
    """A commit that waits for a search to end does not make the search wait for it."""
    with closing(connect(path)) as conn, closing(connect(path)) as writer:
        writer.execute("pragma busy_timeout = 0")
        with one_state(conn):
            search = searcher(conn, caches=Caches(PLENTY))
            writer.execute("update notes set body = '[1, 1]' where id = 3")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                writer.commit()  # it now holds the lock that lets no new reader in
            assert [match.key[0] for match in search.nearest(EAST)] == [1, 2, 3]
        writer.rollback()


@pytest.mark.parametrize(("budget", "kept"), [(PLENTY, [1, 1, 1]), (400, [0, 1, 1]), (200, [0, 0, 1]), (0, [0, 0, 0])])
def test_the_least_recently_used_goes_first(tmp_path, monkeypatch, budget, kept):
    """Where the budget is exceeded, what was searched least lately is let go, and loaded again when it is asked for."""
    monkeypatch.setattr(views, "_is_small", lambda *_: True)
    paths = [notes(tmp_path / f"{name}.db", {n: [1, n] for n in range(10)}) for name in "abc"]
    shared = Caches(budget)  # a view takes 10 ids of 8 bytes and 20 numbers of 4: 160 bytes
    for number, path in enumerate(paths):
        _search(path, str(number), shared)
    views_kept = [shared._entries[str(number), 1].view for number in range(3)]
    assert [int(view is not None) for view in views_kept] == kept
    assert all(_search(path, str(number), shared) for number, path in enumerate(paths))


def _search(path, database, shared):
    with closing(connect(path)) as conn:
        return shared.view(conn, get_collection(conn, "notes"), database, lambda: connect(path)).index.nearest(
            [1.0, 0.0], 3
        ).ids.tolist() == [1, 2, 3]


def test_vectors_beyond_half_the_budget_are_searched_by_codes(path):
    """What would fill the memory exactly is kept as codes."""
    for budget, exact in ((2 * 1024 * 2 * 4, True), (2 * 1024 * 2 * 4 - 2, False)):
        with searching(path, caches=Caches(budget)) as search:
            assert (search.view.is_exact, [m.key[0] for m in search.nearest(EAST)]) == (exact, [1, 2, 3])
