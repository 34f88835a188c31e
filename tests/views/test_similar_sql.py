"""The SQL that the page leads to gives the same rows in the same order."""

import html
import re
import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from clients import get, get_json
from fake_models import NeedsKey, WordLengths

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


@pytest.mark.parametrize(("table", "arguments"), SEARCHES, ids=[f"{t}-{urlencode(a)}" for t, a in SEARCHES])
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


async def test_who_may_not_execute_sql(make_datasette, path):
    """There is no link to what one may not do."""
    datasette = make_datasette(path, models=[WordLengths()], config={"allow_sql": False})
    assert "View and edit SQL" not in (await get(datasette, SIMILAR + "?q=x")).text


async def test_a_model_that_sql_may_not_use(make_datasette, notes, embed, monkeypatch):
    """A text has no statement there, a row has."""
    monkeypatch.setenv("FAKE_MODELS_KEY", "right")
    embed(notes, "notes", "body", model=NeedsKey())
    config = {"plugins": {"datasette-embed": {"public_search": True}}}
    datasette = make_datasette(notes, models=[NeedsKey()], config=config)
    assert "View and edit SQL" not in (await get(datasette, SIMILAR + "?q=x")).text
    assert "View and edit SQL" in (await get(datasette, SIMILAR + "?row=1")).text


async def test_words_alone(make_datasette, path):
    """SQL has no function for words alone: that is full-text search, which it has by itself."""
    datasette = make_datasette(path, models=[WordLengths()])
    assert "View and edit SQL" not in (await get(datasette, SIMILAR + "?q=word&_mode=words")).text
