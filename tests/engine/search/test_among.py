"""`among`: which rows may be ranked, by a list or by a query."""

import json

import pytest
from embedded import write
from hypothesis import given, settings
from hypothesis import strategies as st
from searched import keys, notes, searching

from datasette_embeddings.engine.errors import EmbedError
from datasette_embeddings.engine.search import Among, listed, views
from datasette_embeddings.engine.search.matches import parse_json
from datasette_embeddings.engine.vectors import encode

TURNING = {number: [10 - number, number] for number in range(1, 10)}


@pytest.fixture(params=["exact", "codes"])
def path(request, tmp_path, monkeypatch):
    """Nine notes, each farther from east than the one before."""
    if request.param == "codes":
        monkeypatch.setattr(views, "EXACT_UP_TO", 0)
    return notes(tmp_path / "data.db", TURNING)


def among(path, text, k=10):
    with searching(path) as search:
        return [match.key[0] for match in search.nearest(encode([1, 0]), k, among=listed(search.source, text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[7, 3, 5]", [3, 5, 7]),
        ("[5, 5, 3, 5]", [3, 5]),
        ('["7", "3"]', [3, 7]),
        ("[3.0, 4.5]", [3]),
        ("[77, 3, null, -1, true]", [1, 3]),
        ("[]", []),
        ("[1000]", []),
        (f"[{10**400}, 2]", [2]),
    ],
)
def test_only_what_is_listed_is_ranked(path, text, expected):
    """Rows listed are ranked, each once; keys that no row has are passed over."""
    assert among(path, text) == expected


def test_k_are_given_of_those_listed(path):
    """The filter comes before the ranking: k asked are k given."""
    assert among(path, "[9, 8, 7, 6]", 3) == [6, 7, 8]


def test_a_listed_row_that_changed_makes_room(path):
    """Of those listed too, what changed is left out and the next takes its place."""
    write(path, "update notes set body = '' where id in (6, 7)")
    assert among(path, "[9, 8, 7, 6]", 2) == [8, 9]


def test_everything_listed(path):
    """A list of all rows restricts nothing, however long it is."""
    assert among(path, json.dumps([*range(100_000)]), 20) == list(TURNING)


NO_LIST = ("", "notes", "5", '"5"', "{}", '{"id": 5}', "null", "[1", "[NaN]", "[Infinity]", "[" * 100_000, b"[1]", 5)


def test_what_is_no_list(path):
    """What is no JSON array is an error that says what it should be."""
    for text in NO_LIST:
        with pytest.raises(EmbedError, match="`among` is a JSON array of row keys"):
            among(path, text)


def test_keys_of_another_shape(path):
    """An element that is no key is an error that shows it."""
    for key in ([1], {}, {"encoded": 1}, {"id": 5}, [[5]]):
        with pytest.raises(EmbedError, match="Each row key in `among` is a value of id, not"):
            among(path, json.dumps([3, key]))


def test_compound_keys_of_another_shape(tmp_path):
    """With several key columns an element is an array of them."""
    path = notes(tmp_path / "data.db", {(1, 2): [1, 0]}, "a, b, body text, primary key (a, b)")
    assert among(path, "[[1, 2], [2, 1]]") == [1]
    for key in ("5", "[1]", "[1, 2, 3]", "[1, [2]]", '[1, {"a": 1}]', '"ab"', "null"):
        with pytest.raises(EmbedError, match="Each row key in `among` is an array of a, b, not"):
            among(path, f"[[1, 2], {key}]")


def test_many_binary_keys(tmp_path):
    """Binary keys may be as many as others, beside what has no form in JSON either."""
    path = notes(tmp_path / "data.db", {b"ab": [1, 0], b"": [2, 1], "b": [3, 2]}, "id primary key, body text")
    keys = [{"$base64": True, "encoded": "YWI="}, {"$base64": True, "encoded": ""}, "\0", 5, None, "b"]
    assert among(path, json.dumps(keys * 7_000)) == [b"ab", b"", "b"]
    assert among(path, json.dumps(keys[:1])) == [b"ab"]


def test_a_key_with_a_nul(tmp_path):
    """A NUL inside a key is found too, which SQLite's JSON would cut."""
    path = notes(tmp_path / "data.db", {"a\0b": [1, 0], "a": [1, 0]}, "id text primary key, body text")
    assert among(path, json.dumps(["a\0b"])) == ["a\0b"]


def test_by_a_query(path):
    """A query selects the rows, with parameters of its own."""
    assert keys(path, [1, 0], 2, among=Among("select id from notes where id > :low", {"low": 6})) == [7, 8]
    assert keys(path, [1, 0], 2, among=Among("with x as (select 4) select * from x union all select 4")) == [4]


@pytest.mark.parametrize("table", ["f", "t", "j", "v", "_embed_among"])
def test_a_query_on_a_table_named_as_ours(path, table):
    """The query may read a table whose name we use as an alias."""
    write(path, f"create table {table} as select 3 as id")
    assert keys(path, [1, 0], among=Among(f"select id from main.{table}")) == [3]


@settings(max_examples=50)
@given(st.text())
def test_any_text_is_a_list_or_a_sentence(text):
    """No text makes the parser fail otherwise than by saying that it is no JSON."""
    parsed = parse_json(text)
    assert parsed is None or json.loads(text) == parsed
