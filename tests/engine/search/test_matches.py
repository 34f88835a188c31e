"""Matches as JSON, and row keys of every type as people write them."""

import json
import sqlite3
from contextlib import closing

import pytest
from embedded import write
from hypothesis import given
from hypothesis import strategies as st
from searched import keys, nearest, notes, pairs, searching

from datasette_embeddings.engine.errors import EmbedError, NotFound
from datasette_embeddings.engine.search import listed, parse_key
from datasette_embeddings.engine.search.matches import sort_key
from datasette_embeddings.engine.vectors import encode

EAST, NORTH, WEST = [1, 0], [0, 1], [-1, 0]
KEYS = {
    "integer": ("id integer primary key, body text", [1, 2**62, -5]),
    "text": ("id text primary key, body text", ["a", "B", ""]),
    "nocase": ("id text collate nocase primary key, body text", ["a", "B", "Ä"]),
    "blob": ("id blob primary key, body text", [b"\x00\xff", b"b", b""]),
    "float": ("id real primary key, body text", [0.1, 2.0, float("inf")]),
    "untyped": ("id primary key, body text", [1, "1", b"1"]),
    "without rowid": ("id text primary key, body text) without rowid --", ["a", "B", "c"]),
    "compound": ("a integer, b text, body text, primary key (b, a)", [(1, "x"), (2, "x"), (1, "y")]),
    "compound blob": ("a blob, b real, body text, primary key (a, b)", [(b"\xff", 1.5), (b"\xff", 2.5), (b"", 1.5)]),
}


@pytest.fixture(params=KEYS)
def kind(request, tmp_path):
    """A file with three notes, east, north and west, and their keys in order of the key's columns."""
    columns, given_keys = KEYS[request.param]
    path = notes(tmp_path / "data.db", dict(zip(given_keys, (EAST, NORTH, WEST), strict=True)), columns)
    if request.param == "compound":
        given_keys = [(b, a) for a, b in given_keys]
    return path, given_keys


def test_keys_of_every_type(kind):
    """A match has its row's key, of the type that it has in the row."""
    path, given_keys = kind
    found = keys(path, EAST)
    assert found == given_keys
    assert [type(key) for key in found] == [type(key) for key in given_keys]


def test_similar_by_keys_of_every_type(kind):
    """The key of a match, as JSON gives it, finds its row again."""
    path, given_keys = kind
    with searching(path) as search:
        several = len(search.source.keys) > 1
        for match in search.nearest(encode(EAST)):
            asked = json.dumps(match.as_json(search.source)["key"]) if several else match.key[0]
            found = pairs(search.similar(parse_key(search.source, asked)))
            assert {key for key, _ in found} == set(given_keys) - {match.key if several else match.key[0]}


def test_among_keys_of_every_type(kind):
    """The keys of matches, as JSON gives them, restrict a search to these rows."""
    path, _ = kind
    with searching(path) as search:
        first, _, last = search.nearest(encode(EAST))
        given_keys = [match.as_json(search.source)["key"] for match in (last, first, last)]
        if len(search.source.keys) == 1:
            given_keys = [key for (key,) in given_keys]
        found = search.nearest(encode(EAST), among=listed(search.source, json.dumps(given_keys)))
        assert [match.key for match in found] == [first.key, last.key]


def test_a_table_without_a_key(tmp_path):
    """The rowid is the key where there is no other."""
    path = notes(tmp_path / "data.db", {"first": EAST, "second": NORTH}, "title text, body text")
    with searching(path) as search:
        assert search.nearest(encode(NORTH), 1)[0].as_json(search.source) == {"rowid": 2, "key": [2], "score": 1.0}


def test_key_columns_with_names_of_ours(tmp_path):
    """A key column named as a member of a match is returned as key_<name>."""
    columns = "key text, score integer, vector blob, chunk, body, primary key (key, score, vector, chunk)"
    path = notes(tmp_path / "data.db", {("k", 1, b"v", 2): EAST}, columns)
    with searching(path) as search:
        assert search.nearest(encode(EAST))[0].as_json(search.source) == {
            "key_key": "k",
            "key_score": 1,
            "key_vector": {"$base64": True, "encoded": "dg=="},
            "key_chunk": 2,
            "key": ["k", 1, {"$base64": True, "encoded": "dg=="}, 2],
            "score": 1.0,
        }


def test_a_key_in_another_case(tmp_path):
    """Where the key ignores case, a row is found by any spelling and answered by its own."""
    path = notes(tmp_path / "data.db", {"Ab": EAST, "c": NORTH}, "id text collate nocase primary key, body text")
    write(path, "update notes set id = 'AB' where id = 'ab'")
    assert nearest(path, EAST, 1) == [("AB", 1.0)]
    with searching(path) as search:
        assert pairs(search.similar(("aB",))) == [("c", 0.0)]
        assert pairs(search.nearest(encode(EAST), among=listed(search.source, '["aB"]'))) == [("AB", 1.0)]


def test_an_integer_key_given_as_text(tmp_path):
    """A key from a URL is text, and finds its row by the column's own rules."""
    path = notes(tmp_path / "data.db", {1: EAST, 2: NORTH})
    with searching(path) as search:
        assert pairs(search.similar(("1",))) == [(2, 0.0)]


NO_KEYS = ("", "1", '"ab"', '{"a": 1, "b": 2}', "[1]", "[1, 2, 3]", "[[1], 2]", "[NaN, 1]", "[" * 100_000, 5, None)
NO_PARTS = ('[{"x": 1}, 2]', '[{"encoded": 5}, 1]', '[{"encoded": "x"}, 1]', '["\\ud800", 1]', b"[1, 2]")


def test_compound_keys_that_are_none(tmp_path):
    """What is no JSON array of the key's columns is an error that names them."""
    path = notes(tmp_path / "data.db", {(1, "x"): EAST}, "a integer, b text, body text, primary key (a, b)")
    for key in (*NO_KEYS, *NO_PARTS):
        with (
            searching(path) as search,
            pytest.raises(EmbedError, match="The key of notes is a JSON array of a, b, not"),
        ):
            search.similar(parse_key(search.source, key))


def test_a_number_beyond_64_bits(tmp_path):
    """A number that SQLite keeps as a float is looked for as one, and not found."""
    path = notes(tmp_path / "data.db", {(1, "x"): EAST}, "a integer, b text, body text, primary key (a, b)")
    with searching(path) as search, pytest.raises(NotFound, match="has no vector"):
        search.similar(parse_key(search.source, f"[{10**30}, 1]"))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), TEXT, st.binary())))
def test_keys_are_ordered_as_sqlite_orders_them(values):
    """Numbers, then texts, then binary, each as `order by` has them."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("create table k (v, n)")
        conn.executemany("insert into k values (?, ?)", zip(values, range(len(values)), strict=True))
        expected = [row[0] for row in conn.execute("select n from k order by v, n")]
    assert sorted(range(len(values)), key=lambda n: (sort_key(0, (values[n],)), n)) == expected
