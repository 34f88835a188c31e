"""Search by words: which index is found, what a query means, and that none of them is an error."""

import sqlite3
from contextlib import closing

import pytest
from embedded import make_file, write
from hypothesis import given, settings
from hypothesis import strategies as st

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.errors import EmbedError
from datasette_embeddings.engine.search import Among
from datasette_embeddings.engine.search.words import FullText, find_index, ranked, required_index
from datasette_embeddings.engine.tables import source_table

ROWS = [
    (1, "Bread", "Mix flour and water, wait, bake bread"),
    (2, "Bicycles", "Oil the chain when it squeaks"),
    (3, "Birds", "Swifts sleep while they fly over the Café"),
    (4, "Baking", "Bread needs time: mixing, waiting"),
]
INDEXES = {
    "fts5": "create virtual table w using fts5(title, body, content='notes', content_rowid='id')",
    "fts5 brackets": "create virtual table w using FTS5 (title, body, content=[notes])",
    "fts5 porter": "create virtual table w using fts5(title, body, tokenize='porter', content=\"notes\")",
    "fts5 bare": "create virtual table w using fts5(title, body, content=notes, tokenize='trigram')",
    "fts4": 'create virtual table w using fts4(title, body, content="notes")',
    "fts4 porter": "create virtual table w using fts4(title, body, tokenize=porter, content='notes')",
}


@pytest.fixture(params=INDEXES)
def conn(request, tmp_path):
    """Four notes and an index of their words."""
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, title, body)", notes=ROWS)
    write(path, INDEXES[request.param])
    write(path, "insert into w(w) values ('rebuild')")
    with closing(connect(path)) as conn:
        yield conn


def words(conn, text, limit=10, index=None, column=None, table="notes", among=None):
    source = source_table(conn, table)
    return [key[0] for key in ranked(conn, source, required_index(conn, source, index, column), text, limit, among)]


def test_any_of_the_words(conn):
    """A row that holds more of the words, and rarer ones, comes first; a row that holds none is not found."""
    assert words(conn, "bread") in ([1, 4], [4, 1])
    assert words(conn, "flour, bread?")[0] == 1
    assert set(words(conn, "swifts or bicycles")) >= {2, 3}
    assert words(conn, "BREAD", 1) == words(conn, "bread", 1)
    assert words(conn, "nothing") == []


def test_among_restricts_the_words(conn):
    """Only the rows that may be ranked are, and the limit counts these."""
    only = Among("select id from notes where id <> :best", {"best": words(conn, "bread", 1)[0]})
    assert words(conn, "bread", 1, among=only) == words(conn, "bread")[1:]


def test_full_text_syntax_is_understood(conn):
    """A query in the index's own language means what it means there."""
    assert words(conn, '"oil the chain"') == [2]
    assert words(conn, "bicyc* OR swif*") in ([2, 3], [3, 2])


NO_SYNTAX = ('"', "bread AND", "bread (", "NEAR(", "title:", "nosuch:bread", "-", "*", "^", '"bread', "{a b", "\0", "+")
NO_WORDS = (
    "'",
    ";",
    "bread NOT",
    "bread\0flour",
    "OR OR OR",
    "…",
    "🍞",
    "_",
    "w",
    "rank",
    "\u0301",
    "(" * 5000,
)


def test_what_is_no_syntax_is_escaped(conn):
    """A query that is no full-text syntax is searched word by word, never an error."""
    for text in (*NO_SYNTAX, *NO_WORDS):
        assert set(words(conn, text)) >= ({1, 4} if "bread" in text else set())


def test_a_page_of_words(conn):
    """A query of any length is answered, by its first words."""
    assert words(conn, " ".join(f"word{n}" for n in range(30_000))) == []
    assert set(words(conn, "bread " + " ".join(f"word{n}" for n in range(30_000)))) == {1, 4}
    assert words(conn, "a" * 100_000) == []


ODD = st.sampled_from("abz \"'*+-^:(){}.,;\0\\~&|!<>=#éβ語\u0301🍞_1")


@settings(max_examples=300)
@given(st.text(ODD | st.characters(codec="utf-8"), max_size=30))
def test_no_text_is_an_error(text):
    """Whatever is typed, words are searched for and rows or none come back."""
    for index in ("five", "four", "three"):
        assert set(words(FUZZED, text, index=index)) <= {1, 2, 3, 4}


FUZZED = sqlite3.connect(":memory:", check_same_thread=False)
FUZZED.executescript(
    "create table notes (id integer primary key, body);"
    "create virtual table five using fts5(body, content=notes);"
    "create virtual table four using fts4(body, content=notes);"
    "create virtual table three using fts3(body);"
)
FUZZED.executemany("insert into notes values (?, ?)", [(row[0], row[2]) for row in ROWS])
FUZZED.execute("insert into three (docid, body) select id, body from notes")
FUZZED.executescript("insert into five(five) values ('rebuild'); insert into four(four) values ('rebuild')")


@pytest.fixture
def make(tmp_path):
    """make(script): a connection to a file that the script made."""
    opened = []

    def make(script):
        opened.append(connect(make_file(tmp_path / f"{len(opened)}.db", script)))
        return opened[-1]

    yield make
    for conn in opened:
        conn.close()


def test_no_index(make):
    """A table without an index is an error that says how to make one."""
    conn = make("create table notes (id integer primary key); create virtual table x using fts5(a, content='other')")
    with pytest.raises(EmbedError, match="notes has no full-text index, so it cannot be searched by words"):
        required_index(conn, source_table(conn, "notes"))


def test_the_index_of_a_table_of_like_name(make):
    """`_` in a table's name is no wildcard: the index of a-b is not that of a_b."""
    conn = make('create table a_b (x); create table "a-b" (x); create virtual table w using fts5(x, content="a-b")')
    assert find_index(conn, source_table(conn, "a_b")) is None
    assert find_index(conn, source_table(conn, "A-B")) == FullText("w")


def test_an_index_by_another_column(make):
    """Where an index goes by a column that is not the rowid, so do we."""
    conn = make(
        "create table notes (id text primary key, number integer unique, body);"
        "insert into notes values ('x', 2, 'one'), ('y', 1, 'two');"
        "create virtual table w using fts5(body, content='notes', content_rowid='number');"
        "insert into w(w) values ('rebuild')"
    )
    assert words(conn, "one") == ["x"]


def test_an_index_that_is_named(make):
    """An index that does not say whose it is can be named: contentless, or with texts of its own."""
    conn = make(
        "create table notes (body); insert into notes values ('one'), ('two');"
        "create virtual table own using fts5(body); insert into own (rowid, body) values (2, 'swift');"
        "create virtual table none using fts5(body, content=''); insert into none (rowid, body) values (1, 'swift')"
    )
    assert (words(conn, "swift", index="own"), words(conn, "swift", index="none")) == ([2], [1])
    with pytest.raises(EmbedError, match="notes is no full-text table"):
        words(conn, "swift", index="notes")


def test_an_index_by_a_column_that_is_named(make):
    """The column goes before what the index says of itself; without a rowid there is no other way to join it."""
    for without in ("", "without rowid"):
        conn = make(
            "create table notes (id text primary key, number integer unique, body)" + without + ";"
            "insert into notes values ('x', 2, 'one'), ('y', 1, 'two');"
            "create virtual table w using fts5(body, content='notes', content_rowid='nosuch');"
            "insert into w (rowid, body) values (2, 'one'), (1, 'two')"
        )
        assert (words(conn, "one", column="NUMBER"), words(conn, "two", index="w", column="number")) == (["x"], ["y"])
        with pytest.raises(EmbedError, match="notes has no column 'other' by which its full-text table w could be"):
            words(conn, "one", column="other")


def test_an_index_by_a_rowid_that_is_not_there(make):
    """A table without rowids is not joined by one."""
    conn = make("create table notes (id text primary key) without rowid; create virtual table w using fts5(body)")
    with pytest.raises(EmbedError, match="notes has no column 'rowid'"):
        words(conn, "one", index="w")


def test_a_full_text_table_itself(make):
    """A table that is itself a full-text table is its own index."""
    conn = make("create virtual table notes using fts5(body); insert into notes values ('one'), ('two')")
    assert words(conn, "two") == [2]


def test_a_table_without_rowid(make):
    """Where rows have no rowid no index can be joined."""
    conn = make("create table notes (id text primary key, body) without rowid")
    assert find_index(conn, source_table(conn, "notes")) is None


def test_rows_that_the_index_still_holds(make):
    """A row that is gone is not found, though nobody told the index."""
    conn = make(
        "create table notes (body); insert into notes values ('one'), ('one');"
        "create virtual table w using fts5(body, content='notes'); insert into w(w) values ('rebuild');"
        "delete from notes where rowid = 1"
    )
    assert words(conn, "one") == [2]


@pytest.mark.parametrize("text", ["café", "cafe\u0301", "CAFE", "Café!"])
def test_accents(make, text):
    """An accent is found however it is written, also as a character of its own."""
    conn = make(
        "create table notes (body); insert into notes values ('Ein Café'), ('caf');"
        "create virtual table w using fts5(body, content='notes'); insert into w(w) values ('rebuild')"
    )
    assert words(conn, text) == [1]
