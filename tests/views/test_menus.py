"""The entries of Datasette's menus: who gets them, and where."""

import sqlite3
from contextlib import closing

import pytest
from clients import get
from fake_models import WordLengths

ROOT, WRITER = {"id": "root"}, {"id": "writer"}
CONFIG = {"databases": {"data": {"tables": {"notes": {"permissions": {"embed-table": {"id": "writer"}}}}}}}


@pytest.fixture
def datasette(make_datasette, notes):
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("create table other (id integer primary key, t text)")
        conn.execute("create view titles as select title from notes")
        conn.execute("create virtual table words using fts5(t)")
    return make_datasette(notes, config=CONFIG, models=[WordLengths()], root=False)


@pytest.mark.parametrize(
    ("path", "href"),
    [("/", "/-/embed"), ("/data", "/data/-/embed"), ("/data/notes", "/data/notes/-/embed")],
)
async def test_who_may_embed_gets_an_entry(datasette, path, href):
    """The top menu, a database's and a table's lead to our pages, for who may embed there."""
    assert f'href="{href}"' in (await get(datasette, path, WRITER)).text
    assert f'href="{href}"' not in (await get(datasette, path)).text


@pytest.mark.parametrize("table", ["other", "titles", "words_content"])
async def test_tables_without_an_entry(datasette, table):
    """Not what the actor may not embed, nor views, nor hidden tables."""
    page = await get(datasette, f"/data/{table}", WRITER)
    assert page.status_code == 200
    assert f"/data/{table}/-/embed" not in page.text


@pytest.mark.parametrize("table", ["titles", "words_content", "_embed_collections", "_embed_vectors_notes"])
async def test_not_even_root(make_datasette, notes, embed, table):
    """Views, hidden tables and our own cannot be embedded by anybody."""
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("create view titles as select title from notes")
        conn.execute("create virtual table words using fts5(t)")
    embed(notes, "notes", "title")
    page = await get(make_datasette(notes, models=[WordLengths()]), f"/data/{table}", ROOT)
    assert page.status_code == 200
    assert f"/data/{table}/-/embed" not in page.text


async def test_an_immutable_database(make_datasette, notes, embed):
    """Its tables cannot be embedded; its collections can be seen."""
    embed(notes, "notes", "title")
    datasette = make_datasette(immutables=[str(notes)], models=[WordLengths()])
    assert "/data/notes/-/embed" not in (await get(datasette, "/data/notes", ROOT)).text
    assert 'href="/data/-/embed"' in (await get(datasette, "/data", ROOT)).text
