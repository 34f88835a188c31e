"""The SQL functions that search, while rows change, writes are taken back and the time runs out."""

import json
import sqlite3
from contextlib import closing

import pytest
from datasette.database import QueryInterrupted
from embedded import embed, make_file, write
from fake_models import SlowLoading, WordLengths
from searched import Numbers, counted, embed_within, found, notes

from datasette_embeddings.engine.collections import create_collection, define
from datasette_embeddings.engine.search import Searcher, caches, meaning

# Datasette asks sqlite3 to report what a function of ours raised, besides the query's own error.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def path(tmp_path):
    """Five notes whose vectors turn away from east."""
    return notes(tmp_path / "data.db", {1: [1, 0], 2: [1, 1], 3: [0, 1], 4: [-1, 1], 5: [-1, 0]})


@pytest.fixture
def make(make_datasette, path):
    def make(**options):
        return make_datasette(path, models=[Numbers()], **options)

    return make


async def test_a_join_searches_once(make, monkeypatch):
    """A join that calls the function for every row searches once."""
    searches = counted(monkeypatch, Searcher, "nearest")
    sql = "select count(*) from notes a, notes b, json_each(embed_search('notes', '[1, 0]', 1 + (b.id & 0))) m"
    assert (await make().get_database("data").execute(sql)).rows[0][0] == 25
    assert len(searches) == 1


CHANGES = (
    "update notes set body = 'x' where id = 1",
    "delete from notes where id = 1",
    "update notes set id = 100 where id = 1",
    "insert or replace into notes values (1, 'x')",
)


@pytest.mark.parametrize("change", CHANGES)
async def test_an_answer_is_forgotten_when_a_row_changes(make, path, change):
    """Another process writes between two searches, and the second one knows."""
    datasette = make()
    assert await found(datasette, "embed_search('notes', '[1, 0]', 2)") == [1, 2]
    write(path, change)
    assert await found(datasette, "embed_search('notes', '[1, 0]', 2)") == [2, 3]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_write_that_is_rolled_back(make, change):
    """The connection that writes sees its own change, and after a rollback what was there before."""

    def search(conn):
        answer = conn.execute("select embed_search('notes', '[1, 0]', 2)").fetchone()[0]
        return [match["id"] for match in json.loads(answer)]

    def write_and_think_better_of_it(conn):
        seen = [search(conn)]
        conn.execute("savepoint change")
        conn.execute(change)
        seen.append(search(conn))
        conn.execute("rollback to change")
        seen.append(search(conn))
        conn.execute("release change")
        return [*seen, search(conn)]

    seen = await make().get_database("data").execute_write_fn(write_and_think_better_of_it)
    assert seen == [[1, 2], [2, 3], [1, 2], [1, 2]]


async def test_uncommitted_vectors(make):
    """Vectors that are not committed are found by their own connection alone, and by none after a rollback."""
    datasette, sql = make(), "select embed_search('notes', '[1, 0.5]', 1)"

    def embed_and_think_better_of_it(conn):
        conn.execute("savepoint change")
        conn.execute("insert into notes values (6, '[2, 1]')")
        embed_within(conn)
        seen = conn.execute(sql).fetchone()[0]
        view = next(iter(datasette._embed_caches._entries.values())).view
        conn.execute("rollback to change")
        conn.execute("release change")
        return json.loads(seen)[0]["id"], len(view.index), json.loads(conn.execute(sql).fetchone()[0])[0]["id"]

    assert await datasette.get_database("data").execute_write_fn(embed_and_think_better_of_it) == (6, 5, 2)


async def test_vacuum_of_a_table_without_a_key(make_datasette, tmp_path):
    """VACUUM renumbers the rows of a table without a key: no match names another row than it means."""
    rows = [("[1, 0]",), ("[1, 1]",), ("[0, 1]",)]
    path = make_file(tmp_path / "data.db", "create table notes (body text)", notes=rows)
    embed(path, "notes", ["body"], Numbers())
    datasette, call = make_datasette(path, models=[Numbers()]), "embed_search('notes', '[1, 1]')"
    write(path, "delete from notes where rowid = 1")
    assert await found(datasette, call) == [2, 3]
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("vacuum")
    # 2 is now what 3 was, and 1 what 2 was: nothing stored is true of its row any more
    assert await found(datasette, call) == []
    embed(path, "notes", ["body"], Numbers())
    assert await found(datasette, call) == [1, 2]


async def test_a_restored_backup(make, path, tmp_path):
    """A backup written over the open database brings back what was true then."""
    datasette, call = make(), "embed_search('notes', '[1, 0]', 1)"
    with closing(sqlite3.connect(path)) as conn, closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
        conn.backup(backup)
        write(path, "insert or replace into notes values (1, '[-1, 1]'), (7, '[3, 0]')")
        embed(path, "notes", ["body"], Numbers())
        assert await found(datasette, call) == [7]
        backup.backup(conn)
    assert await found(datasette, call) == [1]


async def test_an_immutable_file(make_datasette, path):
    """A file that is served immutable is searched, and nothing is written."""
    before = path.read_bytes()
    datasette = make_datasette(models=[Numbers()], immutables=[str(path)])
    assert await found(datasette, "embed_search('notes', '[1, 0]', 2)") == [1, 2]
    assert await found(datasette, "embed_similar('notes', 1, 1)") == [2]
    assert (path.read_bytes(), sorted(entry.name for entry in path.parent.iterdir())) == (before, ["data.db"])


COUNT = "with recursive n(i) as (select 1 union all select i + 1 from n limit {}) select count(*) from n"


@pytest.mark.parametrize("sql", ["select {}", "select value from json_each({})", "select count(*) from json_each({})"])
async def test_a_read_that_meets_the_time_limit(make, monkeypatch, sql):
    """A read of ours that takes too long ends as any query that does, and never as one that found nothing."""
    datasette, original = make(settings={"sql_time_limit_ms": 50}), meaning.scored
    sql = sql.format("embed_search('notes', '[1, 0]')")

    def slow(conn, *arguments):
        conn.execute(COUNT.format(10**12)).fetchall()
        return original(conn, *arguments)

    monkeypatch.setattr(meaning, "scored", slow)
    with pytest.raises(QueryInterrupted):
        await datasette.get_database("data").execute(sql)
    monkeypatch.setattr(meaning, "scored", original)
    assert len((await datasette.get_database("data").execute(sql)).rows) > 0


async def test_a_model_that_is_not_ready_in_time(make_datasette, tmp_path):
    """A query that waits for its model longer than it may takes too long: it has not found nothing."""
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body)", notes=[(1, "a bb")])
    embed(path, "notes", ["body"], WordLengths("slow-loading"))
    model = SlowLoading()
    datasette = make_datasette(path, models=[model], settings={"sql_time_limit_ms": 50})
    try:
        with pytest.raises(QueryInterrupted):
            await found(datasette, "embed_search('notes', 'some words')")
    finally:
        model.loaded.set()


async def test_a_cold_cache_is_loaded_outside_the_time_limit(make, monkeypatch):
    """What is loaded for all is loaded whole, once, however short a query may take."""
    loads, original = [], caches.load

    def slow(conn, *arguments):
        loads.append(conn.execute(COUNT.format(3_000_000)).fetchone()[0])
        return original(conn, *arguments)

    monkeypatch.setattr(caches, "load", slow)
    datasette = make(settings={"sql_time_limit_ms": 50})
    for _ in range(2):
        assert len(await found(datasette, "embed_search('notes', '[1, 0]')")) == 5
    assert loads == [3_000_000]


async def test_a_named_database_in_memory(make_datasette):
    """A database in memory is searched as a file is, and its changes are seen."""
    datasette = make_datasette(models=[Numbers()])
    database = datasette.add_memory_database("data")
    call = "embed_search('notes', '[1, 0]')"

    def edit(*statements):
        def run(conn):
            with conn:
                for statement in statements:
                    conn.execute(statement)
                embed_within(conn)

        return database.execute_write_fn(run)

    def begin(conn):
        conn.execute("create table notes (id integer primary key, body text)")
        create_collection(conn, define(conn, "notes", ["body"], None, Numbers()))

    await database.execute_write_fn(begin)
    await edit("insert into notes values (1, '[1, 0]'), (2, '[0, 1]')")
    assert await found(datasette, call) == [1, 2]
    await edit("update notes set body = '[-1, 0]' where id = 1")
    assert await found(datasette, call) == [2, 1]
