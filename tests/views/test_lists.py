"""The lists of collections: what they show to whom, the models, and the way to a form."""

import re
import sqlite3
from contextlib import closing

import pytest
from clients import get, get_json
from fake_models import ByteCounts, NeedsKey, WordLengths

from datasette_embeddings import ModelError
from datasette_embeddings.registry import NO_MODELS

ROOT, READER = {"id": "root"}, {"id": "reader"}


@pytest.fixture
def library(notes, embed):
    """A database of two tables, each with a collection."""
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.execute("create table diary as select * from notes")
    embed(notes, "notes", "title")
    embed(notes, "diary", "title")
    return notes


@pytest.mark.parametrize("path", ["/-/embed", "/data/-/embed"])
async def test_the_collections(make_datasette, library, path):
    """Every collection, with its address and the state of its job."""
    datasette = make_datasette(library, models=[WordLengths()])
    found = (await get_json(datasette, path + ".json"))["collections"]
    assert [(entry["name"], entry["url"]) for entry in found] == [
        ("diary", "/data/-/embed/diary"),
        ("notes", "/data/-/embed/notes"),
    ]
    assert found[0]["job"]["progress"] == "3 of 3 rows"
    assert "/data/-/embed/diary" in (await get(datasette, path)).text


@pytest.mark.parametrize("path", ["/-/embed", "/data/-/embed"])
async def test_invisible_tables_do_not_show(make_datasette, library, path):
    """Neither the table nor its collection is named to those who may not see it."""
    config = {"databases": {"data": {"tables": {"diary": {"allow": False}}}}}
    datasette = make_datasette(library, config=config, models=[WordLengths()])
    for suffix in ("", ".json"):
        assert "diary" not in (await get(datasette, path + suffix, READER)).text


async def test_only_what_may_be_embedded_is_offered(make_datasette, library):
    """Who may embed one table chooses among one; a reader gets no form; our own tables are never offered."""
    permissions = {"permissions": {"embed-table": {"id": "writer"}}}
    config = {"databases": {"data": {"tables": {"diary": permissions}}}}
    datasette = make_datasette(library, config=config, models=[WordLengths()])
    page = (await get(datasette, "/-/embed", {"id": "writer"})).text
    assert '<option value="data/diary">' in page
    assert '<option value="data/notes">' not in page
    assert "<option" not in (await get(datasette, "/-/embed", READER)).text
    assert "_embed_" not in (await get(datasette, "/-/embed", ROOT)).text


async def test_a_choice_leads_to_the_form(make_datasette, library):
    """What was chosen without JavaScript is sent on; it never leads elsewhere."""
    datasette = make_datasette(library)
    response = await get(datasette, "/-/embed?table=data/a~2Fb", ROOT)
    assert (response.status_code, response.headers["location"]) == (302, "/data/a~2Fb/-/embed")
    assert (await get(datasette, "/-/embed?table=//example.com/x", ROOT)).status_code == 404


async def test_the_models(make_datasette, notes):
    """Each with its names, its plugin and what it takes."""
    datasette = make_datasette(notes, models=[WordLengths(), ByteCounts(), NeedsKey()])
    models = (await get_json(datasette, "/-/embed.json"))["models"]
    assert [(m["id"], m["aliases"], m["text"], m["binary"], m["remote"]) for m in models] == [
        ("word-lengths", ["lengths"], True, False, False),
        ("byte-counts", ["bytes"], True, True, False),
        ("needs-key", [], True, False, True),
    ]


def cells(page):
    """The list of models: for each its cells, by their headings."""
    table = page[page.index("<h2>Models</h2>") :]
    rows = re.findall(r"<tr>\s*<td.*?</tr>", table, re.DOTALL)
    return [dict(re.findall(r'<td data-label="(.+?)">(.*?)</td>', row)) for row in rows]


async def test_all_of_a_model_on_the_page(make_datasette, notes, monkeypatch):
    """Its names, plugin, kinds, dimensions, longest text, where it runs, and whether it is ready or what is missing."""

    class Far(NeedsKey):
        model_id, dimensions, max_tokens, supports_binary = "far", None, 8192, True

    class Near(WordLengths):
        model_id, aliases = "near", ()

    monkeypatch.setenv("FAKE_MODELS_KEY", "any")
    datasette = make_datasette(notes, models=[Far(), near := Near()])
    near.embed("a")
    far, near = cells((await get(datasette, "/-/embed")).text)
    assert far.pop("From").startswith("models_of_this_test")
    assert far == {
        "Model": "far",
        "Also called": "\N{EN DASH}",
        "Takes": "text and binary",
        "Dimensions": "known once used",
        "Longest text": "8,192 tokens",
        "Runs": "on another server",
        "State": "ready",
    }
    shown = [near[heading] for heading in ("Dimensions", "Longest text", "Runs", "State")]
    assert shown == ["16", "not known", "here", "ready"]
    monkeypatch.delenv("FAKE_MODELS_KEY")
    far, _ = cells((await get(datasette, "/-/embed")).text)
    assert far["Runs"] == "on another server"
    assert "set the environment variable FAKE_MODELS_KEY" in far["State"]


async def test_a_model_that_could_not_be_loaded(make_datasette, notes):
    """The list says what went wrong the last time, until it goes well, and without the folders of this machine."""

    class Unweighed(WordLengths):
        weights = None

        def load(self):
            if not self.weights:
                raise OSError("'/home/somebody/weights' is not there")

    datasette = make_datasette(notes, models=[model := Unweighed()])
    assert cells((await get(datasette, "/-/embed")).text)[0]["State"] == "loaded when first used"
    with pytest.raises(ModelError):
        model.embed("a")
    (shown,) = (await get_json(datasette, "/-/embed.json"))["models"]
    assert shown["missing"] == "The model word-lengths could not be loaded: '…/weights' is not there"
    model.weights = True
    model.embed("a")
    assert cells((await get(datasette, "/-/embed")).text)[0]["State"] == "ready"


async def test_no_model(make_datasette, notes):
    """The list says which command installs one."""
    datasette = make_datasette(notes)
    assert (await get_json(datasette, "/-/embed.json"))["install"] == NO_MODELS
    assert NO_MODELS in (await get(datasette, "/-/embed", ROOT)).text


async def test_a_file_of_a_newer_version(make_datasette, library, tmp_path, embed):
    """Its sentence is shown, and the collections of the other files too."""
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as conn, conn:
        conn.execute("create table _embed_schema (version integer)")
        conn.execute("insert into _embed_schema values (999)")
    datasette = make_datasette(newer, library, models=[WordLengths()])
    data = await get_json(datasette, "/-/embed.json", ROOT)
    assert len(data["collections"]) == 2
    assert data["problems"][0]["database"] == "newer"
    assert "newer datasette-embed" in data["problems"][0]["error"]
    assert "newer datasette-embed" in (await get(datasette, "/-/embed", ROOT)).text
