"""Collections: what makes one, what it is called, and how nothing of it is left."""

import sqlite3
from contextlib import closing

import pytest
from embedded import create, embed, make_file, read, vectors
from fake_models import ByteCounts, Failing, WordLengths

from datasette_embeddings.engine import collections
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import (
    create_collection,
    define,
    delete_collection,
    get_collection,
    list_collections,
    new_token,
    remove_everything,
)
from datasette_embeddings.engine.errors import CannotEmbed, Conflict, EmbedError, NotFound, UnknownColumn

SCRIPT = """create table notes (id integer primary key, title, body);
    create table notes_key (id integer primary key, body); create table notes_hash (id integer primary key, body);
    create table pictures (id integer primary key, name text, data blob)"""


class BinaryOnly(ByteCounts):
    """Takes no text."""

    supports_text = False


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", SCRIPT, notes=[(1, "a", "b")], pictures=[(1, "x", b"\0")])


@pytest.fixture
def conn(path):
    with closing(connect(path)) as conn:
        yield conn


def made(conn, table="notes", columns=("body",), template=None, model=None, **options):
    definition = define(conn, table, columns, template, model or WordLengths())
    return create_collection(conn, definition, **options)


def test_the_same_definition_is_the_same_collection(conn):
    """Asked for again, the collection that is there is given."""
    first, is_new = made(conn)
    assert is_new
    assert made(conn, columns=["BODY"]) == (first, False)
    assert made(conn, name="NOTES") == (first, False)


def test_default_names(conn):
    """The table's name; the second is <table>-<alias>; then they are numbered."""
    chosen = (["body"], ["title"], ["title", "body"], ["id"])
    names = [made(conn, columns=columns, alias="wl")[0].name for columns in chosen]
    assert names == ["notes", "notes-wl", "notes-wl-2", "notes-wl-3"]
    assert [collection.name for collection in list_collections(conn)] == sorted(names)


def test_a_name_that_is_taken(conn):
    """Another definition under a name that is taken, in any case, is refused."""
    made(conn)
    with pytest.raises(Conflict, match="A collection named 'notes' exists with another definition"):
        made(conn, columns=["title"], name="Notes")


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0b"])
def test_names_that_are_none(conn, name):
    """Blank, endless and NUL names are refused."""
    with pytest.raises(EmbedError, match="A collection's name has 1 to 200 characters"):
        made(conn, name=name)


@pytest.mark.parametrize("name", ["a b", 'x"y', "it's", "a.b", "🦋", "%", "x" * 200, "select", "a/b", "~2F"])
def test_names_that_are_odd(path, name):
    """Any other name will do."""
    assert embed(path, "notes", ["body"], WordLengths(), name=name).status == "finished"
    assert len(vectors(path, name)) == 1


@pytest.mark.parametrize("order", [("notes", "notes_key", "notes_hash"), ("notes_key", "notes_hash", "notes")])
def test_names_like_those_of_our_indexes(conn, order):
    """Tables whose names end as an index's might are no trouble."""
    assert [made(conn, table)[0].name for table in order] == list(order)


def test_a_table_in_the_way(conn):
    """A table of somebody else that has the name of our vectors table is not touched."""
    conn.execute("create table _EMBED_vectors_notes (x)")
    with pytest.raises(Conflict, match="A table '_embed_vectors_notes' is in the way"):
        made(conn)
    assert list_collections(conn) == []


@pytest.mark.parametrize(
    ("table", "columns", "template", "model", "error", "message"),
    [
        ("nosuch", ["body"], None, WordLengths(), NotFound, "There is no table 'nosuch'"),
        ("notes", ["nosuch"], None, WordLengths(), UnknownColumn, "notes has no column 'nosuch'"),
        ("notes", None, None, WordLengths(), UnknownColumn, "Choose at least one column"),
        ("notes", None, " ", WordLengths(), UnknownColumn, "Choose at least one column"),
        ("pictures", ["data"], None, WordLengths(), CannotEmbed, "holds binary, and the model word-lengths"),
        ("pictures", ["name", "data"], None, ByteCounts(), CannotEmbed, "holds binary: embed it alone"),
        ("pictures", None, "{{ data }}", ByteCounts(), CannotEmbed, "holds binary: embed it alone"),
        ("notes", ["body"], None, BinaryOnly(), CannotEmbed, "takes only binary"),
    ],
)  # fmt: skip
def test_what_cannot_be_defined(conn, table, columns, template, model, error, message):
    """Everything is checked before anything is written."""
    with pytest.raises(error, match=message):
        define(conn, table, columns, template, model)
    assert list_collections(conn) == []


def test_a_collection_is_found_ignoring_case(conn):
    """As SQLite's own names; one that is not there is named."""
    made(conn)
    assert get_collection(conn, "NOTES").name == "notes"
    with pytest.raises(NotFound, match="There is no collection 'nosuch' in this database"):
        get_collection(conn, "nosuch")


def test_the_dimensions_are_those_of_the_first_vector(path, conn):
    """Unknown until there is one."""
    create(path, "notes", ["body"], WordLengths())
    assert get_collection(conn, "notes").dimensions is None
    embed(path, "notes", ["body"], WordLengths())
    assert get_collection(conn, "notes").dimensions == 16


def test_every_change_gives_a_new_token(path, conn):
    """The token changes with the vectors, and only then."""
    embed(path, "notes", ["body"], WordLengths())
    token = get_collection(conn, "notes").token
    embed(path, "notes", ["body"], WordLengths())
    assert get_collection(conn, "notes").token == token
    with conn:
        conn.execute("delete from notes")
    embed(path, "notes", ["body"], WordLengths())
    assert get_collection(conn, "notes").token != token


def test_tokens_fit_sqlite():
    """A token is a signed integer of 64 bits."""
    assert all(-(2**63) <= new_token() < 2**63 for _ in range(1000))


def test_delete_leaves_nothing_of_it(path, conn):
    """Its vectors, jobs and errors go with it, and those of another collection stay."""
    with conn:
        conn.execute("insert into notes values (2, 'x', 'FAIL')")
    embed(path, "notes", ["body"], Failing())
    embed(path, "notes", ["body"], Failing(), name="other")
    before = dict(read(path, "select name, sql from sqlite_master"))
    with conn:
        delete_collection(conn, "NOTES")
    assert [name for name in before if name not in dict(read(path, "select name, sql from sqlite_master"))]
    assert [collection.name for collection in list_collections(conn)] == ["other"]
    assert read(path, "select count(*), count(distinct collection_id) from _embed_errors") == [(1, 1)]
    assert read(path, "select count(*) from _embed_jobs") == [(1,)]


def test_remove_everything_leaves_no_trace(path, conn):
    """The schema is what it was before the first collection."""
    before = read(path, "select name, sql from sqlite_master")
    embed(path, "notes", ["body"], WordLengths())
    embed(path, "pictures", ["name"], WordLengths(), name="other")
    with conn:
        assert len(remove_everything(conn)) == 2
    assert read(path, "select name, sql from sqlite_master") == before


def test_a_failure_writes_nothing(conn, monkeypatch):
    """Where a table of it cannot be made there is no collection."""

    def full(conn, name):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(collections, "create_code_table", full)
    with pytest.raises(sqlite3.OperationalError):
        made(conn)
    assert list_collections(conn) == []
