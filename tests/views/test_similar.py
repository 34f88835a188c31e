"""Searching a table: queries of every kind, every key, errors, and what is shown of the rows."""

import asyncio
import base64
import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from urllib.parse import urlencode

import pytest
from clients import get, get_json, post_form, post_json
from datasette import hookimpl
from fake_models import ByteCounts, Failing, Held, NeedsKey, QuerySide, SlowLoading, WordLengths, word_lengths
from markupsafe import Markup
from searched import Numbers, embed_within

from datasette_embeddings import compat
from datasette_embeddings.engine.collections import create_collection, define
from datasette_embeddings.views.similar import vectors

ROOT, READER = {"id": "root"}, {"id": "reader"}
SIMILAR = "/data/notes/-/similar"


def script(path, sql):
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.executescript(sql)


def keys(data):
    """The keys of the matches; of one column, the value itself."""
    return [match["key"][0] if len(match["key"]) == 1 else tuple(match["key"]) for match in data["matches"]]


@pytest.fixture
def searchable(make_datasette, notes, embed):
    """A Datasette whose notes are embedded by their bodies."""
    embed(notes, "notes", "body")
    return make_datasette(notes, models=[WordLengths()])


async def test_a_text(searchable):
    """The rows come with their scores, nearest first."""
    data = await get_json(searchable, SIMILAR + ".json?q=Swifts+sleep+while+they+fly")
    assert (data["collection"], data["mode"], data["model"]) == ("notes", "meaning", "word-lengths")
    assert keys(data)[0] == 3
    assert data["matches"][0]["score"] == pytest.approx(1)
    assert data["matches"][0]["row"] == {"id": 3, "title": "Birds", "body": "Swifts sleep while they fly"}
    assert [match["score"] for match in data["matches"]] == sorted((m["score"] for m in data["matches"]), reverse=True)


async def test_a_row(searchable):
    """The rows like a row, itself left out."""
    data = await get_json(searchable, SIMILAR + ".json?row=3")
    assert sorted(keys(data)) == [1, 2]


async def test_a_vector(searchable):
    """A vector is posted."""
    vector = word_lengths("Oil the chain when it squeaks")
    response = await post_json(searchable, SIMILAR + ".json", {"vector": vector, "size": 1})
    assert keys(response.json()) == [2]
    assert response.json()["matches"][0]["score"] == pytest.approx(1)


async def test_an_image(make_datasette, notes, embed):
    """An image is posted in base64, and the page can be asked by the same form that the browser fills in."""
    script(notes, "create table pictures (id integer primary key, picture blob)")
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.executemany("insert into pictures values (?, ?)", [(1, b"\x00" * 9), (2, b"\xff" * 9)])
    embed(notes, "pictures", "picture", model=ByteCounts())
    datasette = make_datasette(notes, models=[ByteCounts()])
    image = base64.b64encode(b"\xff\xfe\xfd").decode()
    path = "/data/pictures/-/similar"
    data = (await post_json(datasette, path + ".json", {"image": image})).json()
    assert keys(data) == [2, 1]
    assert data["matches"][0]["row"]["picture"] == {"$base64": True, "encoded": base64.b64encode(b"\xff" * 9).decode()}
    page = await post_form(datasette, path, {"image": image}, ROOT)
    assert page.status_code == 200
    assert page.text.index("/data/pictures/2") < page.text.index("/data/pictures/1")
    assert "data-embed-image" in page.text


async def test_a_text_goes_through_the_query_side(make_datasette, notes, embed):
    """What is searched for is embedded as a query, not as a document."""
    embed(notes, "notes", "body", model=QuerySide())
    data = await get_json(make_datasette(notes, models=[QuerySide()]), SIMILAR + ".json?q=Oil+the+chain")
    assert all(match["score"] < 0 for match in data["matches"])


async def test_a_query_is_embedded_once(make_datasette, notes, embed):
    """The page, its JSON and its CSV ask the model but once."""
    embed(notes, "notes", "body")
    datasette = make_datasette(notes, models=[model := WordLengths()])
    await get_json(datasette, SIMILAR + ".json?q=warm")
    model.calls.clear()
    for suffix in ("", ".json", ".csv"):
        assert (await get(datasette, f"{SIMILAR}{suffix}?q=bread")).status_code == 200
    assert model.contents == ["bread"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("_size=2", 2),
        ("_size=max", 3),
        ("_size=", 3),
        ("_min_score=0.999", 1),
        ("_min_score=2", 0),
        ("_collection=titles", 3),
        ("_collection=TITLES", 3),
    ],
)
async def test_how_many(make_datasette, notes, embed, arguments, expected):
    """`_size`, `_min_score` and `_collection` are ours."""
    embed(notes, "notes", "title", name="titles")
    embed(notes, "notes", "body")
    datasette = make_datasette(notes, models=[WordLengths()])
    data = await get_json(datasette, f"{SIMILAR}.json?q=Swifts+sleep+while+they+fly&{arguments}")
    assert len(data["matches"]) == expected
    assert data["collection"] == ("titles" if "collection" in arguments else "notes")


async def test_the_first_collection(make_datasette, notes, embed):
    """Where none is called as the table, the first is searched."""
    embed(notes, "notes", "title", name="titles")
    embed(notes, "notes", "body", name="bodies")
    datasette = make_datasette(notes, models=[WordLengths()])
    assert (await get_json(datasette, SIMILAR + ".json?row=1"))["collection"] == "titles"
    page = (await get(datasette, SIMILAR + "?row=1")).text
    assert 'name="_collection"' in page


ERRORS = [
    ("", 400, "what to search for"),
    ("?q=", 400, "empty"),
    ("?q=+", 400, "empty"),
    ("?q=x&row=1", 400, "both"),
    ("?q=x&_mode=nosuch", 400, "'nosuch'"),
    ("?q=x&_mode=words", 400, "full-text"),
    ("?row=1&_mode=both", 400, "'row'"),
    ("?q=x&_size=0", 400, "from 1 to"),
    ("?q=x&_size=-1", 400, "from 1 to"),
    ("?q=x&_size=1001", 400, "from 1 to"),
    ("?q=x&_size=1000000000", 400, "from 1 to"),
    ("?q=x&_size=x", 400, "'x'"),
    ("?q=x&_size=" + "9" * 5000, 400, "from 1 to"),
    ("?q=x&_min_score=x", 400, "'x'"),
    ("?q=x&_min_score=nan", 400, "'nan'"),
    ("?q=x&_collection=nosuch", 404, "'nosuch'"),
    ("?row=4", 404, "'4'"),
    ("?row=1,2", 400, "'1,2'"),
    ("?row=", 404, "no row"),
    ("?q=x&nosuch=1", 400, "'nosuch'"),
    ("?q=x&id__nosuch=1", 400, "'nosuch'"),
    ("?q=x&rowid=1", 400, "'rowid'"),
    ("?q=x&id__in=[", 400, "filter"),
    ("?q=x&_where=nosuch", 400, "nosuch"),
    ("?q=x&_where=id%3E:missing", 400, "filters"),
    ("?q=x&title__arraycontains=x", 400, "filters"),
    ("?q=x&_through={}", 400, "A filter cannot be read: it lacks 'table'"),
    ("?q=x&_mode=words&_min_score=0.5", 400, "'words' gives no scores"),
    ("?q=x&_col=nosuch", 400, "notes has no column 'nosuch' that _col could name"),
    ("?q=x&_nocol=id", 400, "notes has no column 'id' that _nocol could name"),
]


@pytest.mark.parametrize("suffix", ["", ".json", ".csv"])
@pytest.mark.parametrize(("arguments", "status", "word"), ERRORS, ids=[error[0][:30] for error in ERRORS])
async def test_errors(searchable, arguments, status, word, suffix):
    """A sentence that names what is wrong, and its status; the page keeps its form."""
    response = await get(searchable, SIMILAR + suffix + arguments)
    if (arguments, suffix) == ("", ""):
        assert response.status_code == 200
        return
    assert response.status_code == status
    if suffix == ".csv":
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
    if suffix == ".json":
        assert response.json()["ok"] is False
        assert word in response.json()["error"]
    else:
        assert word in response.text.replace("&#39;", "'")


async def test_before_anything_is_embedded(make_datasette, notes, embed):
    """A collection whose job has not begun finds nothing, and the page says why."""
    embed(notes, "notes", "body", run=False)
    datasette = make_datasette(notes, models=[WordLengths()])
    assert (await get_json(datasette, SIMILAR + ".json?q=x"))["matches"] == []
    page = (await get(datasette, SIMILAR + "?q=x")).text
    assert 'No row is embedded yet: <a class="embed-inline" href="/data/-/embed/notes">' in page


async def test_the_form_keeps_the_text(searchable):
    """What was typed is there after an error too, also where the search cannot be read."""
    for arguments in ("_size=0", "nosuch=1", "_mode=nosuch", "_min_score=x&row=1"):
        response = await get(searchable, f"{SIMILAR}?q=a+good+question&{arguments}")
        assert response.status_code == 400
        assert 'name="q" value="a good question"' in response.text


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        ("_col=body", ["id", "body"]),
        ("_col=body&_col=title&_col=id", ["id", "body", "title"]),
        ("_nocol=body", ["id", "title"]),
        ("_col=body&_col=title&_nocol=body", ["id", "title"]),
    ],
)
async def test_the_columns_that_are_shown(searchable, arguments, columns):
    """?_col= and ?_nocol= mean what they mean on the table page, and go along to whatever is searched for next."""
    table = await get_json(searchable, f"/data/notes.json?_shape=objects&{arguments}")
    data = await get_json(searchable, f"{SIMILAR}.json?q=x&{arguments}")
    assert list(data["matches"][0]["row"]) == columns == list(table["rows"][0])
    page = (await get(searchable, f"{SIMILAR}?q=x&{arguments}")).text
    assert re.findall(r'data-column="([^"]+)"', page) == columns
    assert f"&amp;{arguments.split('&')[0]}" in re.search(r'href="([^"]+)" aria-label="Similar rows to', page)[1]
    assert [f"<option>{name}</option>" in page for name in ("id", "title", "body")] == [True] * 3
    above = (await get(searchable, f"/data/notes?{arguments}")).text
    assert f'<input type="hidden" name="{arguments.split("=")[0]}"' in above


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "what to search for"),
        ({"q": "x", "vector": [1]}, "both"),
        ({"q": 1}, "'q'"),
        ({"q": "x" * 1_000_000}, "1,000,000 characters"),
        ({"row": 1}, "'row'"),
        ({"vector": "x"}, "array"),
        ({"vector": []}, "array"),
        ({"vector": [True]}, "array"),
        ({"vector": [1, 2]}, "dimensions"),
        ({"vector": [1e300] * 16}, "finite"),
        ({"image": "?"}, "base64"),
        ({"image": ""}, "empty"),
        ({"image": "AAAA"}, "binary"),
        ({"nosuch": 1}, "'nosuch'"),
        ({"q": "x", "size": True}, "size"),
        ({"q": "x", "size": 1.5}, "size"),
        ({"q": "x", "min_score": [1]}, "score"),
        ({"q": "x", "mode": ["words"]}, "mode"),
        ({"q": "x", "collection": 1}, "'collection'"),
        ([], "object"),
    ],
)
async def test_bodies_that_say_nothing(searchable, body, word):
    """What is posted is checked in the same way."""
    response = await post_json(searchable, SIMILAR + ".json", body)
    assert response.status_code == 400
    assert word in response.json()["error"]


async def test_a_body_is_filtered_by_the_address(searchable):
    """The filters stand in the address of what is posted, too."""
    response = await post_json(searchable, SIMILAR + ".json?id__gt=1", {"row": "2", "size": 5, "min_score": -1})
    assert keys(response.json()) == [3]


@pytest.mark.parametrize("path", ["/data/nosuch/-/similar.json?q=x", "/data/other/-/similar.json?q=x"])
async def test_tables_without_a_collection(make_datasette, notes, embed, path):
    """404, and a sentence."""
    script(notes, "create view other as select * from notes")
    embed(notes, "notes", "body")
    response = await get(make_datasette(notes, models=[WordLengths()]), path)
    assert response.status_code == 404
    assert response.json()["error"]


async def test_a_collection_of_another_table(make_datasette, notes, embed):
    """Its name is as unknown here as one that nobody has given."""
    script(notes, "create table other as select * from notes")
    embed(notes, "other", "body")
    embed(notes, "notes", "body")
    datasette = make_datasette(notes, models=[WordLengths()])
    data = await get_json(datasette, SIMILAR + ".json?q=x&_collection=other", status=404)
    assert data["error"] == "The table 'notes' has no collection 'other'"


async def test_a_model_that_is_gone(make_datasette, notes, embed):
    """By row a table can still be searched; by text a sentence says what is missing."""
    embed(notes, "notes", "body")
    datasette = make_datasette(notes, models=[ByteCounts()])
    assert len((await get_json(datasette, SIMILAR + ".json?row=1"))["matches"]) == 2
    assert "is not installed" in (await get_json(datasette, SIMILAR + ".json?q=x", status=400))["error"]
    assert 'name="q"' not in (await get(datasette, SIMILAR)).text


async def test_a_model_that_fails(make_datasette, notes, embed):
    """The model's error is the answer's, with its status."""
    embed(notes, "notes", "body", model=Failing())
    data = await get_json(make_datasette(notes, models=[Failing()]), SIMILAR + ".json?q=FAIL", status=502)
    assert "failing" in data["error"]


async def test_a_model_that_loads(make_datasette, notes, embed, monkeypatch):
    """Who comes too early is told so and not kept waiting; the load goes on."""
    monkeypatch.setattr(vectors, "LOAD_SECONDS", 0.05)
    loaded = SlowLoading()
    loaded.loaded.set()
    embed(notes, "notes", "body", model=loaded)
    datasette = make_datasette(notes, models=[model := SlowLoading()])
    for path in (SIMILAR, SIMILAR + ".json"):
        response = await get(datasette, path + "?q=x")
        assert response.status_code == 503
        assert "is loading: try again" in response.text
    assert len((await get_json(datasette, SIMILAR + ".json?row=1"))["matches"]) == 2
    model.loaded.set()
    monkeypatch.undo()
    assert len((await get_json(datasette, SIMILAR + ".json?q=x"))["matches"]) == 3
    assert model.loads == 1


async def test_a_slow_model_holds_up_nobody(make_datasette, notes, embed):
    """While a query is being embedded, the threads of the database are free."""
    embed(notes, "notes", "body", model=WordLengths("held"))
    held = Held()
    datasette = make_datasette(notes, models=[held], settings={"num_sql_threads": 1})
    asked = asyncio.ensure_future(get_json(datasette, SIMILAR + ".json?q=x"))
    await asyncio.to_thread(held.wait_for_call)
    assert (await get(datasette, "/data/notes/1")).status_code == 200
    held.open()
    assert len((await asked)["matches"]) == 3


@pytest.mark.parametrize(
    ("config", "actor", "status"),
    [
        ({}, None, 403),
        ({}, READER, 403),
        ({}, ROOT, 200),
        ({"permissions": {"embed-table": {"id": "reader"}}}, READER, 200),
        ({"plugins": {"datasette-embed": {"public_search": True}}}, None, 200),
    ],
)
async def test_who_may_spend(make_datasette, notes, embed, monkeypatch, config, actor, status):
    """A text costs where the model needs a key; rows and vectors are free."""
    monkeypatch.setenv("FAKE_MODELS_KEY", "right")
    embed(notes, "notes", "body", model=NeedsKey())
    datasette = make_datasette(notes, models=[NeedsKey()], config=config)
    response = await get(datasette, SIMILAR + ".json?q=x", actor)
    assert response.status_code == status
    assert response.json()["ok"] is (status == 200)
    assert len((await get_json(datasette, SIMILAR + ".json?row=1", actor))["matches"]) == 2
    free = await post_json(datasette, SIMILAR + ".json", {"vector": [1.0] * 16}, actor)
    assert len(free.json()["matches"]) == 3
    for path in (SIMILAR, "/data/notes"):
        assert ('name="q"' in (await get(datasette, path, actor)).text) is (status == 200)


KEYS = {
    "text": ("id text primary key, body text)", ["a/b", "c,d", "~e~", "é?&=%2C", "x.json", " "]),
    "real": ("id real primary key, body text)", [1.5, -2.25, 1e300]),
    "untyped": ("id primary key, body text)", ["1", "b"]),
    "big": ("id integer primary key, body text)", [2**62, -5, 0]),
    "score": ("score text primary key, body text)", ["a", "b"]),
    "none": ("body text)", None),
    "without rowid": ("id text primary key, body text) without rowid", ["a/b", "c"]),
}


@pytest.mark.parametrize("kind", KEYS)
async def test_keys(make_datasette, tmp_path, embed, kind):
    """A row of any key is found, linked as Datasette links it, and can be searched by."""
    columns, values = KEYS[kind]
    script(path := tmp_path / "data.db", f"create table notes ({columns}")
    with closing(sqlite3.connect(path)) as conn, conn:
        if values is None:
            conn.executemany("insert into notes values (?)", [("a b",), ("a bb",), ("aa b",)])
        else:
            conn.executemany("insert into notes values (?, ?)", [(v, "a " + "b" * n) for n, v in enumerate(values, 1)])
    embed(path, "notes", "body")
    datasette = make_datasette(path, models=[WordLengths()])
    await check_every_row(datasette, len(values or [1, 2, 3]))


async def check_every_row(datasette, count):
    """The links of the page lead to the rows, and those to similar rows find all the others."""
    page = (await get(datasette, SIMILAR + "?q=a+b")).text
    links = re.findall(r'href="(/data/notes/[^"/]+)"', page)
    similar = [url.replace("&amp;", "&") for url in re.findall(r'href="(/data/notes/-/similar\?row=[^"]+)"', page)]
    assert len(links) == len(similar) == count
    for row, url in zip(links, similar, strict=True):
        assert (await get(datasette, row)).status_code == 200
        data = await get_json(datasette, url.replace("/similar?", "/similar.json?"))
        assert len(data["matches"]) == count - 1
        assert f'href="{row}"' in (await get(datasette, url)).text


async def test_compound_keys(make_datasette, tmp_path, embed):
    """The parts of a key are separated by commas, and those inside them are not mistaken for one."""
    script(path := tmp_path / "data.db", "create table notes (a text, b integer, body text, primary key (b, a))")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.executemany("insert into notes values (?, ?, ?)", [("x,y", 1, "a b"), ("x", 1, "a bb"), ("/", 2, "a bbb")])
    embed(path, "notes", "body")
    datasette = make_datasette(path, models=[WordLengths()])
    data = await get_json(datasette, SIMILAR + ".json?row=1,x~2Cy")
    assert keys(data) == [(1, "x"), (2, "/")]
    await check_every_row(datasette, 3)
    assert (await get(datasette, SIMILAR + ".json?row=1")).status_code == 400


async def test_odd_names(make_datasette, tmp_path, embed):
    """Names of tables and columns may be anything."""
    columns = ['we "quote" it', "semi;colon", "it's", "brackets[]", "a b", "select", "row", "q", "_hidden", "a__b", "%"]
    table = "odd/ta.ble 'n' \"so on\""
    quoted = ['"' + name.replace('"', '""') + '"' for name in (*columns, table)]
    script(
        path := tmp_path / "data.db",
        f"create table {quoted[-1]} (id integer primary key, {' integer, '.join(quoted[:-1])} integer);"
        f"insert into {quoted[-1]} values (1, {', '.join(str(n) for n in range(len(columns)))});"
        f"insert into {quoted[-1]} values (2, {', '.join(str(n * 100) for n in range(len(columns)))});",
    )
    embed(path, table, *columns)
    datasette = make_datasette(path, models=[WordLengths()])
    url = datasette.urls.table("data", table) + "/-/similar"
    for number, column in enumerate(columns):
        if "]" in column and not compat.has_slots():  # 0.65's own filters cannot name it
            continue
        query = urlencode({f"{column}__exact": number})
        data = await get_json(datasette, f"{url}.json?q=x&{query}")
        assert sorted(keys(data)) == ([1, 2] if number == 0 else [1]), column
        page = await get(datasette, f"{url}?q=x&{query}")
        assert page.status_code == 200
        assert (await get(datasette, f"{url}.csv?q=x&{query}")).status_code == 200


async def test_an_immutable_database(make_datasette, notes, embed):
    """What was embedded before can be searched in a file that nothing can be written into."""
    embed(notes, "notes", "body")
    datasette = make_datasette(immutables=[str(notes)], models=[WordLengths()])
    for suffix in ("", ".json", ".csv"):
        for query in ("q=bread", "row=1"):
            assert (await get(datasette, f"{SIMILAR}{suffix}?{query}")).status_code == 200


async def test_a_database_in_memory(make_datasette):
    """A named database in memory is searched as a file is, and shown by the query page too."""
    datasette = make_datasette(models=[Numbers()])
    name = "searched_in_memory"  # no other test's: all of this process would see the same one
    database = datasette.add_memory_database(name)

    def fill(conn):
        with conn:
            conn.execute("create table notes (id integer primary key, body text)")
            conn.execute("insert into notes values (1, '[1, 0]'), (2, '[0, 1]')")
            create_collection(conn, define(conn, "notes", ["body"], None, Numbers()))
            embed_within(conn)

    await database.execute_write_fn(fill)
    assert keys(await get_json(datasette, f"/{name}/notes/-/similar.json?q=[0,1]")) == [2, 1]
    page = await get(datasette, f"/{name}/notes/-/similar?row=1&id__gt=0")
    assert (page.status_code, "View and edit SQL" in page.text) == (200, True)


class Shouting:
    """Another plugin, which renders the cells of one column."""

    __name__ = "Shouting"

    @hookimpl
    def render_cell(self, value, column, table, database):
        if (database, table, column) == ("data", "notes", "title"):
            return Markup("<b>{}!</b>").format(value.upper())


LIBRARY = """
create table kinds (id integer primary key, name text);
create table secrets (id integer primary key, name text);
insert into kinds values (1, 'Food & drink'), (2, 'Machines');
insert into secrets values (7, 'Hidden label');
create table notes (
    id integer primary key, title text, body text, cover blob, site text,
    kind integer references kinds(id), secret integer references secrets(id));
insert into notes values (1, 'Bread', 'Mix flour', x'00ff', 'https://bread.example/', 1, 7);
insert into notes values (2, 'Bicycles', 'Oil the chain', null, null, 2, null);
"""


@pytest.fixture
def library(make_datasette, tmp_path, embed):
    """Notes with foreign keys, of which one leads to a table that nobody may see, and a plugin that renders cells."""
    script(path := tmp_path / "data.db", LIBRARY)
    embed(path, "notes", "body")
    config = {"databases": {"data": {"tables": {"secrets": {"allow": False}}}}}
    return make_datasette(path, models=[WordLengths()], plugins=[Shouting()], config=config)


async def test_the_page_renders_rows_as_datasette_does(library):
    """Labels of foreign keys, links, binary, and what other plugins make of a cell."""
    page = (await get(library, SIMILAR + "?q=Mix+flour")).text
    assert '<a href="/data/kinds/1">Food &amp; drink</a>&nbsp;<em>1</em>' in page
    assert "<b>BREAD!</b>" in page
    assert "/data/notes/1.blob?_blob_column=cover" in page
    assert '<a href="https://bread.example/">' in page
    assert 'href="/data/notes/1"' in page


async def test_labels_of_tables_that_one_may_not_see(library):
    """A foreign key does not give away a row of a hidden table."""
    for path in (SIMILAR + "?q=x", SIMILAR + ".json?q=x&_labels=on", SIMILAR + ".csv?q=x&_labels=on"):
        assert "Hidden label" not in (await get(library, path)).text


async def test_a_foreign_key_that_names_no_column(make_datasette, tmp_path, embed):
    """`references kinds` alone is no reason to fail, as 0.65's own page does."""
    script(path := tmp_path / "data.db", "create table kinds (id integer primary key, name text)")
    script(path, "create table notes (id integer primary key, body text, kind integer references kinds)")
    script(path, "insert into kinds values (1, 'Food'); insert into notes values (1, 'Mix flour', 1)")
    embed(path, "notes", "body")
    datasette = make_datasette(path, models=[WordLengths()])
    assert (await get(datasette, SIMILAR + "?q=x")).status_code == 200
    assert (await get(datasette, SIMILAR + ".csv?q=x&_labels=on")).status_code == 200


async def test_labels_in_json(library):
    """`_labels=on` gives the labels, as on Datasette's table."""
    for arguments, kind in (("", 1), ("&_labels=on", {"value": 1, "label": "Food & drink"})):
        data = await get_json(library, SIMILAR + ".json?q=Mix+flour&_size=1" + arguments)
        assert data["matches"][0]["row"]["kind"] == kind


async def test_csv(library):
    """A line for each match, best first, with the address of binary, and labels where they are asked for."""
    response = await get(library, SIMILAR + ".csv?q=Mix+flour&_labels=on")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    best, second = csv.DictReader(io.StringIO(response.text))
    assert list(best)[:3] == ["score", "id", "title"]
    assert (best["title"], best["kind"], best["kind_label"]) == ("Bread", "1", "Food & drink")
    assert best["cover"].endswith("/data/notes/1.blob?_blob_column=cover")
    assert float(best["score"]) > float(second["score"])
    download = await get(library, SIMILAR + ".csv?q=Mix+flour&_dl=1")
    assert download.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="notes-similar.csv"' in download.headers["content-disposition"]
    assert "kind_label" not in download.text


async def test_csv_of_a_table_with_a_score(make_datasette, tmp_path, embed):
    """The table's own column keeps its name."""
    script(path := tmp_path / "data.db", "create table notes (id integer primary key, score text, body text);")
    script(path, "insert into notes values (1, 'mine', 'a b')")
    embed(path, "notes", "body")
    datasette = make_datasette(path, models=[WordLengths()])
    (row,) = csv.DictReader(io.StringIO((await get(datasette, SIMILAR + ".csv?q=a+b")).text))
    assert (row["score"], float(row["_score"])) == ("mine", pytest.approx(1))


async def test_cors(make_datasette, notes, embed):
    """JSON and CSV go elsewhere where Datasette's own do."""
    embed(notes, "notes", "body")
    datasette = make_datasette(notes, models=[WordLengths()], cors=True)
    for suffix in (".json", ".csv"):
        response = await get(datasette, f"{SIMILAR}{suffix}?row=1")
        assert response.headers["access-control-allow-origin"] == "*"


async def test_a_row_that_has_no_vector(make_datasette, notes, embed):
    """A sentence says that the row is not embedded, or changed since."""
    embed(notes, "notes", "body")
    script(notes, "insert into notes values (4, 'New', 'New'); update notes set body = 'other' where id = 1")
    datasette = make_datasette(notes, models=[WordLengths()])
    assert "has no vector" in (await get_json(datasette, SIMILAR + ".json?row=4", status=404))["error"]
    assert "changed since" in (await get_json(datasette, SIMILAR + ".json?row=1", status=404))["error"]


async def test_json_is_plain(searchable):
    """Everything that is answered is JSON by the letter."""
    text = (await get(searchable, SIMILAR + ".json?q=bread")).text
    assert json.loads(text, parse_constant=lambda constant: pytest.fail(constant))["ok"]
