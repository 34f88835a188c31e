"""Where people are: the search box above a table's rows, similar rows on a row's page, and the jump menu."""

import sqlite3
from contextlib import closing
from urllib.parse import quote

import pytest
from clients import get
from fake_models import ByteCounts, WordLengths

from datasette_embeddings import compat
from datasette_embeddings.views import places

SIMILAR = "/data/notes/-/similar"
BOX = f'<form class="core" action="{SIMILAR}" method="get" role="search">'
ROW = f'href="{SIMILAR}?row='


@pytest.fixture
def datasette(make_datasette, notes, embed):
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("create table other as select * from notes")
        conn.execute("create view titles as select title from notes")
    embed(notes, "notes", "body")
    return make_datasette(notes, models=[WordLengths()])


async def test_the_box(datasette):
    """The table's page has it once, above the rows, and no script is needed for it."""
    page = (await get(datasette, "/data/notes")).text
    assert page.count(BOX) == 1
    assert page.index(BOX) < page.index('class="rows-and-columns"')
    assert page.count('class="rows-and-columns"') == 1
    assert "Bread" in page


async def test_a_row(datasette):
    """A row's page leads to the rows like it."""
    page = (await get(datasette, "/data/notes/2")).text
    assert page.count(f'{ROW}2"') == 1
    assert "Bicycles" in page


@pytest.mark.parametrize("path", ["/", "/data", "/data/other", "/data/other/1", "/data/titles", "/data/notes.json"])
async def test_elsewhere(datasette, path):
    """Nothing shows where there is nothing to search."""
    page = await get(datasette, path)
    assert page.status_code == 200
    assert "/-/similar" not in page.text


async def test_a_query_page(datasette):
    """The page of a query, which 0.65 takes for a table's at times, is left alone."""
    page = await datasette.client.get("/data?sql=select+*+from+notes", follow_redirects=True)
    assert page.status_code == 200
    assert "/-/similar" not in page.text


async def test_the_filters_go_along(datasette):
    """What the table is filtered by the search is filtered by, and it shows the same columns; order and facets stay."""
    arguments = "title__contains=B&_where=id%3E0&q=x&_sort=title&_facet=title&_size=5&_col=title"
    response = await get(datasette, "/data/notes?" + arguments.replace("q=x&", ""))
    box = response.text[response.text.index(BOX) :]
    box = box[: box.index("</form>")]
    assert '<input type="hidden" name="title__contains" value="B">' in box
    assert '<input type="hidden" name="_where" value="id&gt;0">' in box
    assert '<input type="hidden" name="_col" value="title">' in box
    assert box.count("hidden") == 3


async def test_a_column_called_q(make_datasette, tmp_path, embed):
    """The table page's ?q= is a filter, which a search has as ?q__exact=."""
    with closing(sqlite3.connect(path := tmp_path / "data.db")) as conn, conn:
        conn.execute("create table notes (id integer primary key, q text)")
        conn.execute("insert into notes values (1, 'x')")
    embed(path, "notes", "q")
    page = (await get(make_datasette(path, models=[WordLengths()]), "/data/notes?q=x")).text
    assert '<input type="hidden" name="q__exact" value="x">' in page


async def test_the_menu_of_a_table(datasette):
    """It has an entry too."""
    page = (await get(datasette, "/data/notes")).text
    assert f'<a href="{SIMILAR}"' in page
    assert "Search by meaning" in page


async def test_an_odd_row(make_datasette, tmp_path, embed):
    """The link names the row as its own address does."""
    with closing(sqlite3.connect(path := tmp_path / "data.db")) as conn, conn:
        conn.execute("create table notes (a text, b text, body text, primary key (a, b))")
        conn.executemany("insert into notes values (?, ?, 'x y')", [("a/b", "c,d"), ("~", "é &")])
    embed(path, "notes", "body")
    datasette = make_datasette(path, models=[WordLengths()])
    page = (await get(datasette, "/data/notes/a~2Fb,c~2Cd")).text
    assert f'{ROW}{quote("a~2Fb,c~2Cd", safe="")}"'.replace("%7E", "~") in page
    assert (await get(datasette, f"{SIMILAR}?row=a~2Fb%2Cc~2Cd")).status_code == 200


async def test_a_model_that_takes_no_text(make_datasette, notes, embed):
    """There is no box for what nobody can type; rows are compared all the same."""

    class Images(ByteCounts):
        supports_text = False

    embed(notes, "notes", "body", model=ByteCounts())
    datasette = make_datasette(notes, models=[Images()])
    assert BOX not in (await get(datasette, "/data/notes")).text
    assert f'data-embed-similar="{SIMILAR}"' in (await get(datasette, "/data/notes")).text
    assert f'{ROW}1"' in (await get(datasette, "/data/notes/1")).text


async def test_an_immutable_database(make_datasette, notes, embed):
    """What was embedded before can be searched there too."""
    embed(notes, "notes", "body")
    datasette = make_datasette(immutables=[str(notes)], models=[WordLengths()])
    assert BOX in (await get(datasette, "/data/notes")).text
    assert f'{ROW}1"' in (await get(datasette, "/data/notes/1")).text


async def test_a_page_asks_once(datasette, monkeypatch):
    """However many hooks want to know, the collections are read once a page."""
    await get(datasette, "/data/notes")
    reads, original = [], places.list_collections

    def list_collections(conn):
        reads.append(conn)
        return original(conn)

    monkeypatch.setattr(places, "list_collections", list_collections)
    assert BOX in (await get(datasette, "/data/notes")).text
    assert len(reads) == 1


async def test_a_template_of_the_table_s_own(make_datasette, notes, embed, tmp_path):
    """A template that somebody wrote for the rows of this table is used as before."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "_table-data-notes.html").write_text("<p>My own rows</p>")
    embed(notes, "notes", "body")
    datasette = make_datasette(notes, models=[WordLengths()], template_dir=str(tmp_path / "templates"))
    for path in ("/data/notes", "/data/notes/1"):
        page = (await get(datasette, path)).text
        assert "<p>My own rows</p>" in page
        assert SIMILAR in page


@pytest.mark.skipif(not compat.has_slots(), reason="0.65 has no jump menu")
async def test_the_jump_menu(make_datasette, notes, embed):
    """Each embedded table that the actor may see is there to be searched."""
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("create table secret as select * from notes")
    embed(notes, "notes", "body")
    embed(notes, "notes", "title", name="titles")
    embed(notes, "secret", "body")
    config = {"databases": {"data": {"tables": {"secret": {"allow": False}}}}}
    datasette = make_datasette(notes, models=[WordLengths()], config=config)
    found = (await get(datasette, "/-/jump.json?q=meaning")).json()["matches"]
    assert [(item["name"], item["url"]) for item in found] == [("Search notes by meaning", SIMILAR)]
