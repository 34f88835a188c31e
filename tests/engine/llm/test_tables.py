"""LLM's tables: as LLM makes them, and told from others."""

import sqlite3
from contextlib import closing

import pytest

from datasette_embeddings.engine.errors import Conflict, NotFound
from datasette_embeddings.engine.llm.tables import begin_collection, ensure_tables, find_collection, has_tables

SHAPE = (
    'select t.name, c.name, c.type, c."notnull", c.pk from sqlite_master t, pragma_table_info(t.name) c'
    " where t.type = 'table' order by 1, c.cid",
    'select t.name, i.name, i."unique", i.origin, c.name from sqlite_master t, pragma_index_list(t.name) i,'
    " pragma_index_info(i.name) c where t.type = 'table' order by 1, 2, c.seqno",
    'select t.name, f."from", f."table", f."to" from sqlite_master t, pragma_foreign_key_list(t.name) f',
    "select migration_set, name from _sqlite_migrations order by id",
)


@pytest.fixture
def conn(tmp_path):
    with closing(sqlite3.connect(tmp_path / "ours.db")) as conn, conn:
        yield conn


def shape(conn):
    return [conn.execute(sql).fetchall() for sql in SHAPE]


def test_the_tables_are_those_that_llm_makes(conn, tmp_path):
    """Columns, indexes, foreign keys and the rows about migrations are the same as after LLM's own migrations."""
    llm = pytest.importorskip("llm")
    sqlite_utils = pytest.importorskip("sqlite_utils")
    theirs = sqlite_utils.Database(tmp_path / "theirs.db")
    llm.Collection("notes", theirs, model=type("Model", (), {"model_id": "m"}))
    ensure_tables(conn)
    assert shape(conn) == shape(theirs.conn)
    assert len(shape(conn)[3]) == 5
    theirs.close()


def test_they_are_made_once(conn):
    """A file that has them is left as it is."""
    ensure_tables(conn)
    begin_collection(conn, "notes", "m", replace=False)
    before = list(conn.iterdump())
    ensure_tables(conn)
    assert list(conn.iterdump()) == before


def test_a_table_of_migrations_that_is_there(conn):
    """Other migrations of the file stay noted, in whichever shape sqlite-utils or sqlite-migrate made that table."""
    conn.execute("create table _sqlite_migrations (migration_set text, name text, applied_at text)")
    conn.execute("insert into _sqlite_migrations values ('logs', 'm001', 'then')")
    ensure_tables(conn)
    sets = conn.execute("select migration_set, count(*) from _sqlite_migrations group by 1 order by 1").fetchall()
    assert sets == [("llm.embeddings", 5), ("logs", 1)]


def test_no_tables(conn):
    """A file without them has no collections."""
    assert not has_tables(conn)
    with pytest.raises(NotFound, match="LLM keeps no collections in this file"):
        find_collection(conn, "notes")


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        ("create table collections (id, title)", "collections has no model, name"),
        ("create table collections (id, name, model)", "embeddings has no collection_id, content, content_blob"),
        (
            "create table collections (id, name, model);"
            "create table embeddings (collection_id, id, embedding, content, content_hash, updated)",
            "embeddings has no content_blob",
        ),
    ],
)
def test_tables_of_somebody_else(conn, script, missing):
    """Tables of LLM's names that lack a column of LLM's are not written to, and the column is named."""
    conn.executescript(script)
    before = list(conn.iterdump())
    with pytest.raises(Conflict, match=f"not LLM's, or an old LLM's: {missing}"):
        ensure_tables(conn)
    assert list(conn.iterdump()) == before


def test_a_collection_is_found_by_its_name(conn):
    """An unknown name is an error with the names there are."""
    ensure_tables(conn)
    with pytest.raises(NotFound, match="LLM has no collection 'notes' in this file; it has none"):
        find_collection(conn, "notes")
    for name in ("notes", "other"):
        begin_collection(conn, name, f"model-of-{name}", replace=False)
    assert find_collection(conn, "notes").model == "model-of-notes"
    with pytest.raises(NotFound, match="'nosuch' in this file; it has 'notes', 'other'"):
        find_collection(conn, "nosuch")


def test_a_name_that_is_taken(conn):
    """A collection is replaced only if that is wanted, and then with all its vectors; others keep theirs."""
    ensure_tables(conn)
    for name in ("notes", "other"):
        place = begin_collection(conn, name, "m", replace=False)
        conn.execute("insert into embeddings (collection_id, id) values (?, 'x')", (place,))
    with pytest.raises(Conflict, match="LLM has a collection 'notes' in this file already, by the model m"):
        begin_collection(conn, "notes", "n", replace=False)
    begin_collection(conn, "notes", "n", replace=True)
    assert find_collection(conn, "notes").model == "n"
    assert conn.execute("select name from embeddings join collections c on c.id = collection_id").fetchall() == [
        ("other",)
    ]
