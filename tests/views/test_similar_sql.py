"""The SQL that the page leads to gives the same rows in the same order."""

import base64
import html
import json
import re
import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from clients import get, get_json, post_form, post_json
from datasette import hookimpl
from datasette.filters import FilterArguments
from fake_models import ByteCounts, NeedsKey, WordLengths

from datasette_embeddings.views.similar import equivalent

SIMILAR = "/data/notes/-/similar"


@pytest.fixture
def path(tmp_path, embed):
    """Thirty notes of different kinds, a full-text index, and the same in a table of a compound key."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table notes (id integer primary key, kind text, year integer, any, body text)")
        rows = [
            (n, f"kind {n % 3}", 1900 + n, n, f"{'a' * (n % 7 + 1)} {'b' * (n % 5 + 1)} word") for n in range(1, 31)
        ]
        conn.executemany("insert into notes values (?, ?, ?, ?, ?)", rows)
        conn.execute('create virtual table notes_fts using fts5(body, content="notes", content_rowid="id")')
        conn.execute("insert into notes_fts(notes_fts) values ('rebuild')")
        conn.execute("create table pairs (kind text, id integer, score text, body text, primary key (kind, id))")
        conn.execute("insert into pairs select kind, id, 'mine', body from notes")
        conn.execute("create table plain as select kind, body from notes")
        conn.execute("""create table "it's" (":p0" text primary key, [a "b"] text, body text)""")
        conn.execute("""insert into "it's" select 'key''s ' || id, kind, body from notes""")
        for table in ("pairs", "plain", "it''s"):
            conn.execute(f"""create virtual table "{table} words" using fts5(body, content='{table}')""")
            conn.execute(f"""insert into "{table} words"("{table} words") values ('rebuild')""")
    for table in ("notes", "pairs", "plain", "it's"):
        embed(path, table, "body")
    return path


SEARCHES = [
    ("notes", {"q": "aaa bbb word"}),
    ("notes", {"q": "it's :q"}),
    ("notes", {"q": "aaa bbb", "kind": "kind 1"}),
    ("notes", {"q": "aaa bbb", "year__gt": "1910", "any__gte": "5", "id__in": "9,11,12,13,14"}),
    ("notes", {"q": "aaa bbb", "kind__contains": "1", "_size": "3"}),
    ("notes", {"q": "aaa bbb", "_where": "year > 1915"}),
    ("notes", {"q": "aaa bbb", "_min_score": "0.8", "_size": "max"}),
    ("notes", {"q": "aaa word", "_mode": "both", "year__lt": "1920"}),
    ("notes", {"q": "aaa word", "_mode": "both", "_min_score": "0.7"}),
    ("notes", {"row": "5"}),
    ("notes", {"row": "5", "kind__not": "kind 2", "_search": "word"}),
    ("pairs", {"row": "kind 1,4"}),
    ("pairs", {"q": "aaa bbb", "kind__startswith": "kind"}),
    ("plain", {"q": "aaa bbb", "rowid__gt": "7"}),
    ("plain", {"row": "7"}),
    ("it's", {"row": "key~27s~205", ":p0__not": "key's 6"}),
    ("it's", {"q": "aaa", 'a "b"__exact': "kind 1"}),
]
WORDS = [
    ("notes", {"q": "aaa bbb"}),
    ("notes", {"q": "it's (aaa"}),
    ("notes", {"q": '"aaa bbb word" OR body: aa*', "_size": "3"}),
    ("notes", {"q": "aaa", "kind": "kind 1", "year__gt": "1910", "_where": "any > 1 -- :q"}),
    ("pairs", {"q": "aaa bbb", "kind__startswith": "kind"}),
    ("plain", {"q": "aaa bbb", "rowid__gt": "7"}),
    ("it's", {"q": "aaa", ":p0__not": "key's 6"}),
]


def named(searches):
    """The searches as parameters of a test."""
    return pytest.mark.parametrize(
        ("table", "arguments"), searches, ids=[f"{table}-{urlencode(arguments)}" for table, arguments in searches]
    )


@named(SEARCHES)
async def test_the_same_rows(make_datasette, path, table, arguments):
    """Every kind of query, with filters of every kind."""
    datasette = make_datasette(path, models=[WordLengths()], settings={"sql_time_limit_ms": 20_000})
    url = datasette.urls.table("data", table) + "/-/similar"
    data = await get_json(datasette, f"{url}.json?{urlencode(arguments)}")
    assert data["matches"]
    query = sql_link((await get(datasette, f"{url}?{urlencode(arguments)}")).text)
    assert "embed_" in query["sql"]
    rows = await run(datasette, query)
    assert [list(row.values())[1:] for row in rows] == [list(match["row"].values()) for match in data["matches"]]
    assert [next(iter(row.values())) for row in rows] == [match["score"] for match in data["matches"]]


def sql_link(page):
    """The arguments of the link to the query page."""
    (url,) = re.findall(r'href="([^"]+)">View and edit SQL', page)
    return {name: values[0] for name, values in parse_qs(urlsplit(html.unescape(url)).query).items()}


async def run(datasette, query):
    response = await datasette.client.get("/data.json", params={**query, "_shape": "objects"}, follow_redirects=True)
    assert response.status_code == 200, response.text
    return response.json()["rows"]


@named(WORDS)
async def test_words_alone(make_datasette, path, table, arguments):
    """That is full-text search, which SQL has by itself: the same rows, restricted by the same filters."""
    datasette = make_datasette(path, models=[WordLengths()])
    url = datasette.urls.table("data", table) + "/-/similar"
    arguments = urlencode({**arguments, "_mode": "words"})
    data = await get_json(datasette, f"{url}.json?{arguments}")
    assert data["matches"]
    rows = await run(datasette, sql_link((await get(datasette, f"{url}?{arguments}")).text))
    assert [list(row.values()) for row in rows] == [list(match["row"].values()) for match in data["matches"]]


async def test_words_that_sql_cannot_rank(make_datasette, path):
    """FTS4 has no ranking in SQL, and where there is no word there is nothing to search for."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("drop table notes_fts")
        conn.execute('create virtual table notes_fts using fts4(body, content="notes")')
    datasette = make_datasette(path, models=[WordLengths()])
    for url in (f"{SIMILAR}?q=word&_mode=words", "/data/pairs/-/similar?q=%3F&_mode=words"):
        page = await get(datasette, url)
        assert page.status_code == 200
        assert "View and edit SQL" not in page.text


async def test_a_vector(make_datasette, path):
    """What was posted stands in the statement, whole."""
    datasette = make_datasette(path, models=[])
    vector = [0.1 * n for n in range(1, 17)]
    url = SIMILAR + "?kind=kind+1&_min_score=-0.5"
    data = (await post_json(datasette, url.replace("similar", "similar.json"), {"vector": vector})).json()
    page = (await post_form(datasette, url, {"vector": json.dumps(vector)})).text
    assert "like your vector" in page
    rows = await run(datasette, sql_link(page))
    assert [(row["score"], row["id"]) for row in rows] == [(m["score"], m["row"]["id"]) for m in data["matches"]]
    assert len(rows) == 10


@pytest.mark.parametrize("vector", ["", "x", "[", "[1, 2", "{}", '["1"]', "[NaN]"])
async def test_a_wrong_vector_of_a_form(make_datasette, path, vector):
    """It is an error, shown on the page."""
    page = await post_form(make_datasette(path, models=[]), SIMILAR, {"vector": vector})
    assert page.status_code == 400
    assert "vector" in page.text


async def test_an_image(make_datasette, notes, embed):
    """The statement has the vector that the model made of the image."""
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("create table images (id integer primary key, image blob)")
        conn.executemany("insert into images (image) values (?)", [(bytes([n] * 9 + [n + 1]),) for n in range(20)])
    embed(notes, "images", "image", model=ByteCounts())
    datasette = make_datasette(notes, models=[ByteCounts()])
    image = base64.b64encode(bytes([7] * 5 + [8])).decode()
    data = (await post_json(datasette, "/data/images/-/similar.json", {"image": image})).json()
    rows = await run(datasette, sql_link((await post_form(datasette, "/data/images/-/similar", {"image": image})).text))
    assert [(row["score"], row["id"]) for row in rows] == [(m["score"], m["row"]["id"]) for m in data["matches"]]
    assert len(rows) == 10


async def test_what_no_address_can_carry(make_datasette, path, monkeypatch):
    """Where the address would be too long for a server, a sentence says so."""
    datasette = make_datasette(path, models=[WordLengths()])
    for longest in (500, 5000):
        monkeypatch.setattr(equivalent, "LONGEST", longest)
        page = (await get(datasette, f"{SIMILAR}?q={'x+' * 250}")).text
        assert ("too long for an address" in page, "View and edit SQL" in page) == (longest == 500, longest == 5000)


def test_a_server_takes_the_longest(serve, path):
    """An address of the greatest length that we give is answered by a real server, whatever cookies come with it."""
    client = serve(path).client
    sql = f"select length(X'{'ab' * (equivalent.LONGEST // 2 - 50)}') as n"
    response = client.get(
        "/data.json", params={"sql": sql}, headers={"cookie": "a=" + "b" * 4000}, follow_redirects=True
    )
    assert response.status_code == 200
    assert str(equivalent.LONGEST // 2 - 50) in response.text


async def test_who_may_not_execute_sql(make_datasette, path):
    """There is no link to what one may not do."""
    datasette = make_datasette(path, models=[WordLengths()], config={"allow_sql": False})
    assert "View and edit SQL" not in (await get(datasette, SIMILAR + "?q=x")).text


async def test_a_model_that_sql_may_not_use(make_datasette, path, embed, monkeypatch):
    """A text stands there as the vector that the model made of it; by both there is no statement."""
    monkeypatch.setenv("FAKE_MODELS_KEY", "right")
    embed(path, "notes", "body", model=NeedsKey(), name="costly")
    config = {"plugins": {"datasette-embed": {"public_search": True}}}
    datasette = make_datasette(path, models=[NeedsKey()], config=config)
    url = f"{SIMILAR}?_collection=costly&"
    query = sql_link((await get(datasette, url + "q=aaa")).text)
    assert "embed_search('costly', X'" in query["sql"]
    data = await get_json(datasette, url.replace("?", ".json?") + "q=aaa")
    assert [row["id"] for row in await run(datasette, query)] == [match["row"]["id"] for match in data["matches"]]
    assert "embed_similar('costly', 1" in sql_link((await get(datasette, url + "row=1")).text)["sql"]
    assert "View and edit SQL" not in (await get(datasette, url + "q=aaa&_mode=both")).text


class Parameters:
    """A plugin whose parameters have names that are taken."""

    __name__ = "Parameters"

    @hookimpl
    def filters_from_request(self, request):
        if request.args.get("_names"):
            clause = "kind <> :q and body <> :sql and kind <> :_hidden and kind not in (:p0, :blob, :none)"
            params = {"q": "kind 2", "sql": "x", "_hidden": "y", "p0": 7, "blob": b"z", "none": "kind 0"}
            return FilterArguments([clause], params=params)


async def test_parameters_of_other_plugins(make_datasette, path):
    """Names that mean something else in the address of the query page are changed."""
    datasette = make_datasette(path, models=[WordLengths()], plugins=[Parameters()])
    data = await get_json(datasette, SIMILAR + ".json?q=aaa&_names=1")
    query = sql_link((await get(datasette, SIMILAR + "?q=aaa&_names=1")).text)
    rows = await run(datasette, query)
    assert [row["id"] for row in rows] == [match["row"]["id"] for match in data["matches"]]
    assert {row["kind"] for row in rows} == {"kind 1"}


@pytest.mark.parametrize("table", ["binary", "pragmas"])
async def test_what_the_query_page_would_refuse(make_datasette, path, embed, table):
    """Keys that JSON has no form for, and a word that Datasette lets nobody write: no link rather than a wrong one."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table binary (id blob primary key, body text)")
        conn.execute("create table pragmas (id integer primary key, body text)")
        conn.executemany("insert into binary values (?, 'aaa')", [(b"",), (b"",)])
        conn.execute("insert into pragmas values (1, 'aaa'), (2, 'aaa')")
    embed(path, table, "body")
    page = await get(make_datasette(path, models=[WordLengths()]), f"/data/{table}/-/similar?q=aaa")
    assert "2 rows" in page.text
    assert "View and edit SQL" not in page.text
    assert ("Similar rows" in page.text) == (table == "pragmas")  # Datasette has no path for a row of a binary key
