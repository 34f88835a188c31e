"""One transaction around a block, whoever opened one before."""

import sqlite3
from contextlib import closing

import pytest
from embedded import make_file, read

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.transactions import is_passing, transaction


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", "create table t (x)")


@pytest.fixture(params=["", None, "IMMEDIATE"], ids=["deferred", "autocommit", "immediate"])
def conn(path, request):
    """A connection of each isolation level: Datasette's two lines have different ones."""
    with closing(connect(path)) as conn:
        conn.isolation_level = request.param
        yield conn


def insert(conn, value):
    conn.execute("insert into t values (?)", (value,))


def insert_and_fail(conn, *values):
    """Each value in a transaction within the one before, and an error at the end of the outermost."""
    with transaction(conn):
        for value in values:
            with transaction(conn):
                insert(conn, value)
        raise ZeroDivisionError


def test_all_of_it_is_written(conn, path):
    """At the end of the block others see it."""
    with transaction(conn):
        insert(conn, 1)
        assert read(path, "select x from t") == []
    assert read(path, "select x from t") == [(1,)]


def test_or_none_of_it(conn, path):
    """An error in the block undoes it, and leaves no transaction open."""
    with pytest.raises(ZeroDivisionError):
        insert_and_fail(conn, 1)
    assert (read(path, "select x from t"), conn.in_transaction) == ([], False)


def test_inside_anothers_transaction(conn, path):
    """The caller's transaction decides, and an inner error undoes the inner part alone."""
    conn.execute("begin")
    insert(conn, 1)
    with pytest.raises(ZeroDivisionError):
        insert_and_fail(conn, 2, 3)
    with transaction(conn):
        insert(conn, 4)
    assert read(path, "select x from t") == []
    conn.commit() if conn.isolation_level is not None else conn.execute("commit")
    assert read(path, "select x from t") == [(1,), (4,)]


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("database table is locked: t"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (sqlite3.OperationalError("disk I/O error"), True),
        (sqlite3.OperationalError("no such table: t"), False),
        (sqlite3.DatabaseError("database disk image is malformed"), False),
        (OSError("database is locked"), False),
    ],
)
def test_what_may_pass(error, passing):
    """A lock and a full disk pass; a table that is gone does not come back."""
    assert is_passing(error) is passing
