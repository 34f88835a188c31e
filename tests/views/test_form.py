"""The form of a table: what it suggests and shows, what it makes, and what it says of bad input."""

import sqlite3
from contextlib import closing

import pytest
from clients import cookies, get, get_json, post_form, post_json
from fake_models import ByteCounts, QuerySide, WordLengths

from datasette_embeddings.engine.errors import ModelUnavailable
from datasette_embeddings.registry import NO_MODELS

ROOT = {"id": "root"}
FORM, JSON = "/data/notes/-/embed", "/data/notes/-/embed.json"


class ThreeTokens(WordLengths):
    """Reads three words, and says how many a text has."""

    max_tokens = 3

    def count_tokens(self, content):
        return len(content.split())


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as conn, conn:
        for statement in statements:
            conn.execute(statement)


@pytest.fixture
def datasette(make_datasette, notes):
    return make_datasette(notes, models=[WordLengths()])


async def test_a_collection_is_made(datasette):
    """The JSON of design.md makes a collection, named after the table, and a job that waits."""
    body = {"columns": ["title", "body"], "template": None, "model": "lengths", "collection": None}
    response = await post_json(datasette, JSON, body, ROOT)
    assert response.status_code == 201
    data = response.json()
    assert data["ok"] is True
    assert data["collection"]["name"] == "notes"
    assert data["collection"]["model"] == "word-lengths"
    assert data["collection"]["dimensions"] is None
    assert (data["job"]["id"], data["job"]["status"]) == (1, "pending")


async def test_the_same_definition_again(datasette):
    """200, the collection that is there, and a new job."""
    first = await post_json(datasette, JSON, {"columns": ["title"]}, ROOT)
    second = await post_json(datasette, JSON, {"columns": ["TITLE"], "model": "word-lengths"}, ROOT)
    assert [first.status_code, second.status_code] == [201, 200]
    assert second.json()["collection"] == first.json()["collection"]
    assert second.json()["job"]["id"] == 2


async def test_a_second_collection_is_named_after_the_model_too(datasette):
    """The default name of the second is <table>-<alias>."""
    await post_json(datasette, JSON, {"columns": ["title"]}, ROOT)
    response = await post_json(datasette, JSON, {"columns": ["body"]}, ROOT)
    assert response.json()["collection"]["name"] == "notes-lengths"


async def test_a_taken_name(datasette):
    """409 and a sentence, ignoring case."""
    await post_json(datasette, JSON, {"columns": ["title"]}, ROOT)
    response = await post_json(datasette, JSON, {"columns": ["body"], "collection": "NOTES"}, ROOT)
    assert response.status_code == 409
    assert response.json() == {
        "ok": False,
        "error": "A collection named 'notes' exists with another definition; choose another name or delete it",
    }


async def test_a_template_alone(datasette):
    """The columns may be left out where a template names some."""
    response = await post_json(datasette, JSON, {"template": "{{ title }}!"}, ROOT)
    assert response.status_code == 201
    assert response.json()["collection"]["template"] == "{{ title }}!"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"columns": ["nosuch"]}, "nosuch"),
        ({"columns": ["title"], "model": "nosuch"}, "nosuch"),
        ({"columns": []}, "at least one column"),
        ({}, "at least one column"),
        ({"columns": "title"}, "'columns'"),
        ({"columns": [1]}, "'columns'"),
        ({"columns": {"title": True}}, "'columns'"),
        ({"columns": ["title"], "template": 1}, "'template'"),
        ({"columns": ["title"], "model": ["lengths"]}, "'model'"),
        ({"columns": ["title"], "collection": False}, "'collection'"),
        ({"columns": ["title"], "collection": "  "}, "1 to 200 characters"),
        ({"columns": ["title"], "collection": "x" * 201}, "1 to 200 characters"),
        ({"columns": ["title"], "template": "no column"}, "names no column"),
        ({"columns": ["title"], "template": "{{ nosuch }}"}, "nosuch"),
        ({"template": "{{ chunk }}"}, "chunk"),
        ({"columns": ["title"], "column": "x"}, "'column'"),
        (["title"], "must be a JSON object"),
        ("title", "must be a JSON object"),
    ],
)
async def test_bad_json(datasette, body, named):
    """400 and a sentence that names what is wrong, and nothing is written."""
    response = await post_json(datasette, JSON, body, ROOT)
    assert response.status_code == 400
    assert response.json()["ok"] is False
    assert named in response.json()["error"]
    assert (await get_json(datasette, "/-/embed.json"))["collections"] == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{'columns': 1}", "not JSON"),
        (b"null", "must be a JSON object"),
        (rb'{"columns": ["\ud800"]}', "surrogate"),
    ],
)
async def test_malformed_json(datasette, body, named):
    """400, whatever the bytes."""
    headers = {"content-type": "application/json"}
    response = await datasette.client.post(JSON, content=body, headers=headers, cookies=cookies(datasette, ROOT))
    assert response.status_code == 400
    assert named in response.json()["error"]


async def test_an_unknown_table(datasette):
    """404 for those who may embed, and a sentence that names it."""
    response = await post_json(datasette, "/data/nosuch/-/embed.json", {"columns": ["title"]}, ROOT)
    assert response.status_code == 404
    assert response.json()["error"] == "There is no table 'nosuch' in the database 'data'"


async def test_a_view(datasette, notes):
    """400 saying why, for the page and for what is posted."""
    execute(notes, "create view titles as select title from notes")
    page = await get(datasette, "/data/titles/-/embed", ROOT)
    response = await post_json(datasette, "/data/titles/-/embed.json", {"columns": ["title"]}, ROOT)
    assert page.status_code == response.status_code == 400
    assert "titles is a view" in page.text
    assert "titles is a view" in response.json()["error"]


async def test_a_table_of_our_own(datasette):
    """The tables of datasette-embed cannot be embedded."""
    await post_json(datasette, JSON, {"columns": ["title"]}, ROOT)
    response = await post_json(datasette, "/data/_embed_jobs/-/embed.json", {"columns": ["status"]}, ROOT)
    assert response.status_code == 400
    assert "belongs to datasette-embed itself" in response.json()["error"]


async def test_binary_with_a_model_of_text(datasette, notes):
    """A BLOB column is refused before there is a job."""
    execute(notes, "alter table notes add column cover blob", "update notes set cover = x'0102'")
    response = await post_json(datasette, JSON, {"columns": ["cover"]}, ROOT)
    assert response.status_code == 400
    assert "holds binary, and the model word-lengths takes only text" in response.json()["error"]
    assert (await get_json(datasette, "/-/embed.json"))["collections"] == []


async def test_binary_with_a_model_of_binary(make_datasette, notes):
    """Its bytes are counted, and nothing of them is shown."""
    execute(notes, "alter table notes add column cover blob", "update notes set cover = x'0102'")
    datasette = make_datasette(notes, models=[ByteCounts()])
    shown = (await get_json(datasette, f"{JSON}?columns=cover", ROOT))["preview"]
    assert (shown["bytes"], shown["first"]) == (6, None)
    assert shown["amount"] == "3 rows with 6 bytes will be embedded"


async def test_no_model_is_named(make_datasette, notes):
    """With several models and no default, one must be named."""
    datasette = make_datasette(notes, models=[WordLengths(), QuerySide()])
    response = await post_json(datasette, JSON, {"columns": ["title"]}, ROOT)
    assert response.status_code == 400
    assert "Name a model" in response.json()["error"]
    assert (await get(datasette, FORM, ROOT)).status_code == 200


async def test_no_model_is_installed(make_datasette, notes):
    """Page and JSON say which command installs one."""
    datasette = make_datasette(notes)
    assert NO_MODELS in (await get(datasette, FORM, ROOT)).text
    response = await post_json(datasette, JSON, {"columns": ["title"]}, ROOT)
    assert (response.status_code, response.json()["error"]) == (400, NO_MODELS)


async def test_what_the_form_suggests(make_datasette, notes):
    """Columns of text are chosen; keys, numbers and binary are not."""
    execute(notes, "alter table notes add column year integer", "alter table notes add column cover blob")
    data = await get_json(make_datasette(notes, models=[WordLengths()]), JSON, ROOT)
    assert [column["name"] for column in data["columns"] if column["chosen"]] == ["title", "body"]
    assert data["preview"]["amount"] == "3 rows with 108 characters will be embedded"
    assert data["preview"]["first"] == "Bread\nMix flour and water, wait, bake"


async def test_the_preview_follows_the_address(datasette):
    """What is asked for in the address is counted, and shown as the model will see it."""
    data = await get_json(datasette, f"{JSON}?columns=title&template=A+{{{{+title+}}}}&model=lengths", ROOT)
    assert data["preview"]["first"] == "A Bread"
    assert data["preview"]["characters"] == 24
    assert data["preview"]["warning"] is None


async def test_contents_that_a_model_cuts_off(make_datasette, notes):
    """Where texts are not cut, the form warns of contents that are longer than the model reads."""
    datasette = make_datasette(notes, models=[ThreeTokens()])
    warning = (
        "3 of the first 3 contents are longer than the 3 tokens this model reads; the rest of each is not embedded"
    )
    arguments = "?columns=title&columns=body&chunking=none"
    assert (await get_json(datasette, JSON + arguments, ROOT))["preview"]["warning"].startswith(warning)
    assert warning in (await get(datasette, FORM + arguments, ROOT)).text


async def test_a_model_that_cannot_count(make_datasette, notes, monkeypatch):
    """A failure of count_tokens() costs no more than the warning, unless errors are to be raised."""

    class Broken(ThreeTokens):
        def count_tokens(self, content):
            raise ModelUnavailable("no tokenizer")

    datasette = make_datasette(notes, models=[Broken()])
    assert (await get_json(datasette, JSON, ROOT))["preview"]["warning"] is None
    monkeypatch.setenv("DATASETTE_EMBED_RAISE_ERRORS", "1")
    assert (await get(datasette, JSON, ROOT)).status_code == 500


@pytest.mark.parametrize("arguments", ["columns=nosuch", "template=x", "columns=title&model=nosuch"])
async def test_a_preview_of_nonsense(datasette, arguments):
    """400 with the sentence; the page keeps the form."""
    error = (await get_json(datasette, f"{JSON}?{arguments}", ROOT, 400))["error"]
    page = await get(datasette, f"{FORM}?{arguments}", ROOT)
    assert page.status_code == 400
    assert error.split("'")[0] in page.text
    assert "<form" in page.text


async def test_the_form_leads_to_the_collection(datasette):
    """A posted form makes the collection and goes on to its page, by GET."""
    data = {"columns": "title", "model": "word-lengths", "template": "", "collection": "my notes"}
    response = await post_form(datasette, FORM, data, ROOT)
    assert response.status_code == 303
    assert response.headers["location"] == "/data/-/embed/my+notes"
    assert (await get(datasette, response.headers["location"])).status_code == 200


async def test_several_columns_in_a_form(datasette):
    """A form that names columns several times means them all."""
    await post_form(datasette, FORM, {"columns": ["title", "body"]}, ROOT)
    found = (await get_json(datasette, "/-/embed.json"))["collections"]
    assert found[0]["columns"] == ["title", "body"]


async def test_a_form_with_an_error_keeps_what_was_typed(datasette):
    """The page comes back with the sentence and the person's values."""
    data = {"columns": "body", "template": 'A "{{ nosuch }}"', "collection": "my <notes>"}
    response = await post_form(datasette, FORM, data, ROOT)
    assert response.status_code == 400
    assert "The template names the column &#39;nosuch&#39;, which notes does not have" in response.text
    assert "A &#34;{{ nosuch }}&#34;</textarea>" in response.text
    assert 'value="my &lt;notes&gt;"' in response.text
    assert 'value="body" checked' in response.text


async def test_the_preview_button(datasette):
    """It writes nothing and shows what would be embedded."""
    response = await post_form(datasette, FORM, {"columns": "title", "preview": "1"}, ROOT)
    assert response.status_code == 200
    assert "3 rows with 18 characters will be embedded" in response.text
    assert (await get_json(datasette, "/-/embed.json"))["collections"] == []


async def test_an_immutable_database(make_datasette, notes):
    """It is refused in a sentence, before anything is written."""
    datasette = make_datasette(immutables=[str(notes)], models=[WordLengths()])
    for response in (
        await get(datasette, FORM, ROOT),
        await post_form(datasette, FORM, {"columns": "title"}, ROOT),
        await post_json(datasette, JSON, {"columns": ["title"]}, ROOT),
    ):
        assert response.status_code == 400
        assert "is open for reading only" in response.text


async def test_a_file_that_cannot_be_written(make_datasette, notes):
    """SQLite's refusal becomes a sentence without a path."""
    datasette = make_datasette(notes, models=[WordLengths()])
    await datasette.get_database("data").execute_write_fn(lambda conn: conn.execute("pragma query_only = 1"))
    response = await post_json(datasette, JSON, {"columns": ["title"]}, ROOT)
    assert response.status_code == 400
    assert "so nothing in it can be embedded" in response.json()["error"]
    assert str(notes.parent) not in response.text


async def test_a_locked_file(make_datasette, notes):
    """While another program writes, the form comes back with the sentence and what was typed."""
    datasette = make_datasette(notes, models=[WordLengths()])
    await datasette.get_database("data").execute_write_fn(lambda conn: conn.execute("pragma busy_timeout = 0"))
    with closing(sqlite3.connect(notes)) as conn:
        conn.execute("begin immediate")
        response = await post_form(datasette, FORM, {"columns": "body", "collection": "mine"}, ROOT)
        as_json = await post_json(datasette, JSON, {"columns": ["body"]}, ROOT)
    assert (response.status_code, as_json.status_code) == (503, 503)
    assert as_json.json()["error"] == "SQLite says: database is locked"
    assert "SQLite says: database is locked" in response.text
    assert 'value="mine"' in response.text
