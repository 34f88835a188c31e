"""embed_search(), embed_similar() and embed_hybrid() in plain SQL, through a real Datasette."""

import base64
import json
import sqlite3

import pytest
from embedded import embed, make_file, write
from fake_models import Turned, WordLengths
from searched import Numbers, found, notes

# Datasette asks sqlite3 to report what a function of ours raised, besides the query's own error.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

TURNING = {1: [1, 0], 2: [1, 1], 3: [0, 1], 4: [-1, 1], 5: [-1, 0]}


@pytest.fixture
def path(tmp_path):
    """Five notes whose vectors turn away from east."""
    return notes(tmp_path / "data.db", TURNING)


@pytest.fixture
def make(make_datasette, path):
    def make(*paths, models=None, **options):
        return make_datasette(path, *paths, models=[Numbers()] if models is None else models, **options)

    return make


async def refused(datasette, caplog, call, **parameters):
    """The sentence that the log gets, where the query fails as any query with an error does."""
    caplog.clear()
    with pytest.raises(sqlite3.OperationalError, match="user-defined function raised exception"):
        await datasette.get_database("data").execute(f"select {call}", parameters)
    return caplog.messages[-1]


async def test_by_text_by_vector_and_by_row(make):
    """A query is a text, a vector or a row; k is ten where it is left out."""
    datasette = make()
    assert await found(datasette, "embed_search('notes', '[1, 0]')") == [1, 2, 3, 4, 5]
    assert await found(datasette, "embed_search('NOTES', embed_encode('[0, 2]'), 1)") == [3]
    assert await found(datasette, "embed_similar('notes', 5, 2)") == [4, 3]
    assert await found(datasette, "embed_similar('notes', :id, 1)", id="5") == [4]
    assert await found(datasette, "embed_search('notes', null)") == []


async def test_a_match(make):
    """A match has the key's columns by name, the key, and its score."""
    rows = (await make().get_database("data").execute("select embed_search('notes', '[0, 1]', 1)")).rows
    assert json.loads(rows[0][0]) == [{"id": 3, "key": [3], "score": 1.0}]


async def test_joined_and_restricted(make):
    """A join reads the rows, and `among` says which are ranked."""
    sql = """select notes.id, json_extract(m.value, '$.score') as score
        from json_each(embed_search('notes', :q, 10, (select json_group_array(id) from notes where id > 2))) m
        join notes on notes.id = json_extract(m.value, '$.id')"""
    rows = (await make().get_database("data").execute(sql, {"q": "[1, 0]"})).rows
    assert [tuple(row) for row in rows] == [(3, 0.0), (4, pytest.approx(-(0.5**0.5))), (5, -1.0)]


async def test_a_compound_binary_key(make_datasette, tmp_path):
    """A key of several columns is a JSON array, binary in Datasette's own form."""
    vectors = {(b"\xff", 1): [1, 0], (b"\xff", 2): [1, 1], (b"", 1): [0, 1]}
    path = notes(tmp_path / "data.db", vectors, "a blob, b integer, body text, primary key (a, b)")
    datasette = make_datasette(path, models=[Numbers()])
    key = json.dumps([{"$base64": True, "encoded": base64.b64encode(b"\xff").decode()}, 1])
    assert [key[1] for key in await found(datasette, "embed_similar('notes', :key)", key=key)] == [2, 1]
    assert len(await found(datasette, "embed_search('notes', '[1, 0]', 9, :among)", among=f"[{key}]")) == 1


BAD = [
    ("embed_search('nosuch', 'x')", "There is no collection 'nosuch' in this database"),
    ("embed_search(null, 'x')", "There is no collection"),
    ("embed_search('notes', '[1, 0, 0]')", "The query has 3 dimensions; the vectors of 'notes' have 2"),
    ("embed_search('notes', x'00')", "1 bytes are none"),
    ("embed_search('notes', 5)", "A query is a text or a vector, not 5"),
    ("embed_search('notes', '')", "The query is empty"),
    ("embed_search('notes', ' \n')", "The query is empty"),
    ("embed_search('notes', printf('%.*c', 1000000, 'x'))", "The query has 1,000,000 characters; at most 100,000"),
    ("embed_search('notes', '[1, 0]', 0)", "a whole number from 1 on, not 0"),
    ("embed_search('notes', '[1, 0]', -5)", "a whole number from 1 on, not -5"),
    ("embed_search('notes', '[1, 0]', 1.5)", "a whole number from 1 on, not 1.5"),
    ("embed_search('notes', '[1, 0]', 'ten')", "a whole number from 1 on, not 'ten'"),
    ("embed_search('notes', '[1, 0]', 1, 'nonsense')", "`among` is a JSON array of row keys"),
    ("embed_search('notes', '[1, 0]', 1, '[[1]]')", "Each row key in `among` is a value of id, not [1]"),
    ("embed_similar('notes', 77)", "The row \"77\" of notes has no vector in 'notes'"),
    ("embed_hybrid('notes', '[1, 0]')", "notes has no full-text index"),
    ("embed_hybrid('notes', embed_encode('[1, 0]'))", "embed_hybrid() takes a text"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
async def test_bad_input(make, caplog, call, sentence):
    """Wrong input is an error, and the log gets a sentence that says what is wrong."""
    assert sentence in await refused(make(), caplog, call)


@pytest.mark.parametrize("k", ["1000000000", "9223372036854775807", "1e18", "5.0"])
async def test_a_k_beyond_the_table(make, k):
    """Who asks for more than there is gets all of it."""
    assert len(await found(make(), f"embed_search('notes', '[1, 0]', {k})")) == 5


async def test_a_collection_in_another_database(make, tmp_path, caplog):
    """A collection is searched in its own database only."""
    other = make_file(tmp_path / "other.db", "create table t (x)")
    datasette = make(other)
    with pytest.raises(sqlite3.OperationalError):
        await datasette.get_database("other").execute("select embed_search('notes', 'x')")
    assert "There is no collection 'notes' in this database" in caplog.messages[-1]


async def test_a_model_that_is_not_installed(make, path, caplog):
    """Without its model a collection is searched by row and by vector; by text a sentence names the plugin."""
    write(path, "update _embed_collections set plugin = 'datasette-embed-numbers'")
    datasette = make(models=[])
    assert await found(datasette, "embed_similar('notes', 1, 1)") == [2]
    assert await found(datasette, "embed_search('notes', :q, 1)", q=b"\0\0\x80?\0\0\0\0") == [1]
    for function in ("embed_search", "embed_hybrid"):
        sentence = await refused(datasette, caplog, f"{function}('notes', 'x')")
        assert "The model numbers of the collection 'notes' is not installed" in sentence
        assert "It came with the plugin datasette-embed-numbers" in sentence


async def test_hybrid(make_datasette, tmp_path):
    """Each match says which ranking found it; asked again on the same connection it says the same."""
    for fts in ("fts5", "fts4"):
        script = (
            "create table notes (id integer primary key, body text);"
            f"create virtual table w using {fts}(body, content='notes')"
        )
        path = make_file(tmp_path / f"{fts}.db", script, notes=[(1, "a bb"), (2, "swift birds"), (3, "a bb")])
        write(path, "insert into w(w) values ('rebuild')")
        embed(path, "notes", ["body"], WordLengths())
        database = make_datasette(path, models=[WordLengths()]).get_database(fts)
        for query in ("swift", 'swift"', "birds AND swift("):
            rows = (await database.execute("select embed_hybrid('notes', :q, 1.0)", {"q": query})).rows
            (match,) = json.loads(rows[0][0])
            assert (match["id"], match["ranks"]["words"], set(match["ranks"])) == (2, 1, {"words", "meaning"})


async def test_hybrid_by_a_configured_index(make_datasette, tmp_path):
    """embed_hybrid() goes by the full-text table, and the column, that are configured."""
    script = (
        "create table notes (id text primary key, number integer, body text); create virtual table w using fts5(body);"
        "insert into w (rowid, body) values (7, 'swift birds')"
    )
    path = make_file(tmp_path / "data.db", script, notes=[("a", 6, "a bb"), ("b", 7, "a bb")])
    embed(path, "notes", ["body"], WordLengths())
    config = {"databases": {"data": {"tables": {"notes": {"fts_table": "w", "fts_pk": "number"}}}}}
    database = make_datasette(path, models=[WordLengths()], config=config).get_database("data")
    rows = (await database.execute("select embed_hybrid('notes', 'swift', 1)")).rows
    assert [(match["id"], match["ranks"]["words"]) for match in json.loads(rows[0][0])] == [("b", 1)]


async def test_a_model_that_got_other_weights(make_datasette, tmp_path, caplog):
    """Its query vectors cannot be compared with what is stored: a sentence instead of matches that mean nothing."""
    path = make_file(tmp_path / "other.db", "create table notes (id integer primary key, body)", notes=[(1, "a bc")])
    embed(path, "notes", ["body"], WordLengths())
    datasette = make_datasette(path, models=[Turned(0.9)])
    with pytest.raises(sqlite3.OperationalError, match="user-defined function raised exception"):
        await datasette.get_database("other").execute("select embed_search('notes', 'abc d')")
    assert "word-lengths now makes other vectors than those in 'notes'" in caplog.messages[-1]
    response = await datasette.client.get("/other/notes/-/similar.json?q=abc+d")
    assert response.status_code == 503
    assert "now makes other vectors" in response.json()["error"]
    assert (await datasette.client.get("/other/notes/-/similar.json?row=1")).status_code == 200
