"""Connections of our own to a file."""

import sqlite3
import threading
from contextlib import closing

import pytest
from embedded import make_file
from servers import PATIENCE

from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.errors import ReadOnlyDatabase
from datasette_embeddings.engine.schema import ensure_schema


@pytest.mark.parametrize("name", ["plain.db", "with space.db", "100%.db", "a?b#c.db", "é🦋.db", "it's.db"])
def test_any_file_name(tmp_path, name):
    """A path is a path, whatever it would mean in a URI."""
    path = make_file(tmp_path / name, "create table t (x)", t=[(1,)])
    with closing(connect(path)) as conn:
        assert conn.execute("select x from t").fetchall() == [(1,)]
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_that_is_not_there(tmp_path):
    """No file is created."""
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connect(tmp_path / "nosuch.db")
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_not_utf8(tmp_path):
    """Broken text is read as Datasette reads it."""
    path = make_file(tmp_path / "data.db", "create table t (x); insert into t values (cast(x'61ff' as text))")
    with closing(connect(path)) as conn:
        assert conn.execute("select x from t").fetchall() == [("a\ufffd",)]


def test_reading_goes_on_while_writing(tmp_path):
    """Two connections: a long write does not hold up the reader, and each is prepared."""
    prepared = []
    path = make_file(tmp_path / "data.db", "pragma journal_mode = wal; create table t (x)", t=[(1,)])
    writing, read = threading.Event(), threading.Event()

    def slow(conn):
        with conn:
            conn.execute("insert into t values (2)")
            writing.set()
            assert read.wait(PATIENCE)

    with FileAccess(path, prepared.append) as access:
        thread = threading.Thread(target=access.write, args=(slow,))
        thread.start()
        assert writing.wait(PATIENCE)
        assert access.read(lambda conn: conn.execute("select count(*) from t").fetchone()) == (1,)
        read.set()
        thread.join(PATIENCE)
        assert access.read(lambda conn: conn.execute("select count(*) from t").fetchone()) == (2,)
    assert len(set(map(id, prepared))) == 2


def test_a_file_that_may_not_be_written(tmp_path):
    """A connection to it reads, and a write is refused with a sentence."""
    path = make_file(tmp_path / "data.db", "create table t (x)")
    with FileAccess(path) as access:
        access.write(lambda conn: conn.execute("pragma query_only = on"))
        with pytest.raises(ReadOnlyDatabase, match="This database cannot be written"):
            access.write(ensure_schema)
