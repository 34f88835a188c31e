"""Who may do what: every route and method, page and JSON, from the route table itself."""

import re
import sqlite3
from contextlib import closing

import pytest
from clients import cookies, get, get_json, post_form, post_json
from fake_models import WordLengths

from datasette_embeddings.views.routes import ROUTES, pattern, skip_csrf

NOBODY, READER, GRANTED, ROOT = None, {"id": "reader"}, {"id": "granted"}, {"id": "root"}

TABLES = ("notes", "other", "secret")
BODIES = {  # what to post to each route
    "/{database}/{table}/-/embed": {"columns": ["title"]},
    "/{database}/-/embed/{collection}": {"action": "update"},
    "/{database}/-/embed/{collection}/change": {"columns": ["body"]},
    "/{database}/{table}/-/similar": {"row": "1"},
}
ARGUMENTS = {("/{database}/{table}/-/similar", "GET"): "?row=1"}  # what to ask of each endpoint
ENDPOINTS = [
    (path, method, suffix)
    for path, endpoints in ROUTES.items()
    for method in endpoints
    for suffix in ("", ".json")
    if re.match(pattern(path), re.sub("{.*?}", "x", path) + suffix)  # a picture has no twin
]
SEEN = (200, 201, 303)


def config():
    """Whom this instance lets embed what."""
    may_embed = {"permissions": {"embed-table": {"id": ["granted", "root"]}}}  # such a block denies root too
    return {"databases": {"data": {"tables": {"notes": may_embed, "secret": {"allow": False, **may_embed}}}}}


def expected(path, permission, table, actor):
    """The statuses that the actor may get: what the permission says of this table."""
    if "{table}" not in path and "{collection}" not in path:
        return SEEN
    if table == "secret":
        return (404,) if "{collection}" in path else (403,)
    if path.endswith("/picture"):
        return (404,)  # a table of texts has none, which only those are told who may see it
    if permission != "view-table" and not (actor == ROOT or (actor == GRANTED and table == "notes")):
        return (403,)
    return (*SEEN, 409) if path.endswith("/change") else SEEN  # 409: somebody else began one before


@pytest.fixture
def library(notes, embed):
    """A database with three tables, each with a collection of its own name."""
    with closing(sqlite3.connect(notes)) as conn, conn:
        for table in TABLES[1:]:
            conn.execute(f"create table {table} as select * from notes")
    for table in TABLES:
        embed(notes, table, "title")
    return notes


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("path", "method", "suffix"), ENDPOINTS)
async def test_permissions(make_datasette, library, path, method, suffix, table):
    """Each route answers nobody, a reader, one who was granted one table, and root as its permission says."""
    datasette = make_datasette(library, config=config(), models=[WordLengths()])
    url = re.sub("{(table|collection)}", table, path.replace("{database}", "data")) + suffix
    url += ARGUMENTS.get((path, method), "")
    permission = ROUTES[path][method].permission
    for actor in (NOBODY, READER, GRANTED, ROOT):
        response = await ask(datasette, method, url, BODIES.get(path), actor)
        assert response.status_code in expected(path, permission, table, actor), (actor, response.text)
        if suffix:
            assert response.json()["ok"] is (response.status_code < 400)


async def ask(datasette, method, url, body, actor):
    if method == "GET":
        return await get(datasette, url, actor)
    return await (post_json if ".json" in url else post_form)(datasette, url, body, actor)


async def test_an_invisible_collection_is_as_one_that_is_not_there(make_datasette, library):
    """Word for word the same answer, whatever is asked, even of those who may embed."""
    datasette = make_datasette(library, config=config(), models=[WordLengths()])
    for actor in (NOBODY, GRANTED, ROOT):
        for ask_for in (get, lambda *a: post_json(a[0], a[1], {"action": "delete"}, a[2])):
            hidden = await ask_for(datasette, "/data/-/embed/secret.json", actor)
            missing = await ask_for(datasette, "/data/-/embed/nosuch.json", actor)
            assert hidden.status_code == missing.status_code == 404
            assert hidden.text.replace("secret", "nosuch") == missing.text


async def test_another_spelling_opens_no_other_door(make_datasette, library):
    """SQLite's names ignore case and Datasette's permissions do not: only the spelling that was checked is answered."""
    everywhere = {"permissions": {"embed-table": True}, **config()}
    datasette = make_datasette(library, config=everywhere, models=[WordLengths()])
    response = await get(datasette, "/data/SECRET/-/embed.json?columns=title", GRANTED)
    assert response.status_code in (403, 404)
    assert "Bread" not in response.text


@pytest.mark.parametrize("suffix", ["", ".json"])
@pytest.mark.parametrize("path", ["/nosuch/-/embed", "/nosuch/notes/-/embed", "/nosuch/-/embed/notes"])
async def test_an_unknown_database(make_datasette, notes, path, suffix):
    """404, with a sentence that names it."""
    response = await get(make_datasette(notes), path + suffix, ROOT)
    assert response.status_code == 404
    assert "There is no database" in response.text
    assert "nosuch" in response.text


@pytest.mark.parametrize("path", dict.fromkeys(path for path, _, suffix in ENDPOINTS if suffix))
async def test_other_methods(make_datasette, library, path):
    """A method that the route does not have is refused, in JSON too."""
    datasette = make_datasette(library)
    url = path.format(database="data", table="notes", collection="notes") + ".json"
    response = await datasette.client.request("DELETE", url, headers={"authorization": "Bearer x"})
    assert response.status_code == 405
    assert response.json() == {"ok": False, "error": f"DELETE is not answered here; {' and '.join(ROUTES[path])} are"}


async def test_head_is_get(make_datasette, library):
    """HEAD is answered as GET is."""
    response = await make_datasette(library).client.head("/data/-/embed/notes")
    assert response.status_code == 200


async def test_a_base_url_is_respected(make_datasette, library):
    """Every address on a page begins with the base_url."""
    datasette = make_datasette(library, models=[WordLengths()], settings={"base_url": "/at/"})
    pages = ("/-/embed", "/data/-/embed", "/data/notes/-/embed", "/data/-/embed/notes", "/data/notes/-/similar?row=1")
    for path in pages:
        html = (await get(datasette, path, ROOT)).text
        inside = html[html.index('<div class="embed">') : html.index("<footer")]
        assert [url for url in re.findall(r'(?:href|action|data-json)="([^"]*)"', inside) if url[:4] != "/at/"] == []
        assert 'href="/at/-/static-plugins/datasette_embed/embed.css"' in html


async def test_our_files_are_served(make_datasette, notes):
    """The style sheet and the script are where the pages look for them."""
    datasette = make_datasette(notes)
    for name in ("embed.css", "embed.js"):
        assert (await get(datasette, f"/-/static-plugins/datasette_embed/{name}")).status_code == 200


JSON = {b"content-type": b"application/json; charset=utf-8"}


@pytest.mark.parametrize(
    ("path", "headers", "verdict"),
    [
        ("/data/notes/-/embed.json", JSON, True),
        ("/at/data/-/embed/notes.json", JSON, True),
        ("/data/notes/-/similar.json", JSON, True),
        ("/data/notes/-/similar.csv", JSON, False),
        ("/data/notes/-/similar/picture.json", JSON, False),
        ("/data/notes/-/embed", JSON, False),
        ("/data/notes/-/embed.json", {b"content-type": b"text/plain"}, False),
        ("/data/notes/-/embed.json", {}, False),
        ("/data/notes.json", JSON, False),
    ],
)
def test_skip_csrf(path, headers, verdict):
    """Only a JSON body to a JSON route of ours needs no token."""
    assert skip_csrf({"path": path, "headers": list(headers.items())}) is verdict


def test_a_name_never_ends_in_json():
    """The dot of a collection called notes.json is encoded, so the twin is never mistaken for a name."""
    found = re.match(pattern("/{database}/-/embed/{collection}"), "/data/-/embed/notes~2Ejson.json")
    assert found.groupdict() == {"database": "data", "collection": "notes~2Ejson", "format": "json"}


async def test_a_form_without_its_token(make_datasette, library):
    """0.65 refuses a form that somebody signed in posts without the token; 1.0 goes by the browser's headers."""
    datasette = make_datasette(library, models=[WordLengths()])
    elsewhere = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    response = await datasette.client.post(
        "/data/-/embed/notes",
        data={"action": "delete", "confirm": "1"},
        cookies=cookies(datasette, ROOT),
        headers=elsewhere,
    )
    assert response.status_code == 403
    assert (await get_json(datasette, "/data/-/embed/notes.json"))["collection"]["name"] == "notes"
