"""Long texts on the pages: how they are to be cut, what the preview says of it, and what a collection's page tells."""

import asyncio

import pytest
from chunked import ShortSighted, numbered_words
from clients import get, get_json, post_form, post_json
from embedded import embed, make_file, wait_until, write
from fake_models import ByteCounts, WordLengths

ROOT = {"id": "root"}
FORM, JSON = "/data/notes/-/embed", "/data/notes/-/embed.json"
PAGE = "/data/-/embed/notes"
AUTOMATIC = {"unit": "tokens", "size": None, "overlap": None}


@pytest.fixture
def path(tmp_path):
    """A short note and a long one."""
    return make_file(
        tmp_path / "data.db",
        "create table notes (id integer primary key, title text, body text)",
        notes=[(1, "Short", "a few words"), (2, "Long", numbered_words(40))],
    )


@pytest.fixture
def datasette(make_datasette, path):
    return make_datasette(path, models=[ShortSighted(), WordLengths()])


async def chunking(datasette, body, status=201):
    """What the collection got that this body asks for."""
    response = await post_json(datasette, JSON, {"columns": ["body"], "model": "short-sighted", **body}, ROOT)
    data = response.json()
    assert response.status_code == status, data
    return data["collection"]["chunking"] if data["ok"] else data["error"]


async def test_a_wish_in_json(datasette):
    """Nothing said is the default; false and null are none; an object is what it says."""
    assert await chunking(datasette, {}) == AUTOMATIC
    assert await chunking(datasette, {"chunking": False}) is None
    wish = {"size": 60, "unit": "characters", "overlap": 5}
    assert await chunking(datasette, {"chunking": wish}) == wish
    assert await chunking(datasette, {"chunking": None}, 200) is None


async def test_the_same_definition_again(datasette):
    """JSON that says nothing of chunking finds the collection, whichever chunking that has."""
    wish = {"size": 60, "unit": "characters", "overlap": 5}
    assert await chunking(datasette, {"chunking": wish}) == wish
    assert await chunking(datasette, {}, 200) == wish
    assert await chunking(datasette, {"collection": "notes"}, 200) == wish
    error = await chunking(datasette, {"chunking": False, "collection": "notes"}, 409)
    assert "exists with another definition" in error


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ("yes", "The chunking is an object with size, unit and overlap, or false"),
        ({"size": 5}, "The size of chunks is a whole number from 16"),
        ({"size": 1000}, "The model short-sighted reads 16 tokens: chunks of 1,000 are too large"),
        ({"size": 100, "unit": "pages"}, "The unit of chunks is tokens or characters"),
    ],
)
async def test_a_wish_that_makes_no_sense(datasette, wish, error):
    """400 with a sentence, and nothing is made."""
    assert error in await chunking(datasette, {"chunking": wish}, 400)
    assert (await get_json(datasette, "/-/embed.json", ROOT))["collections"] == []


async def test_a_template_that_cannot_be_cut(datasette):
    """Who asks for chunks all the same is told why not; who does not gets none."""
    body = {"columns": [], "template": "{{ title }} {{ body }}"}
    assert "A template without {{ chunk }} cannot be cut" in await chunking(
        datasette, {**body, "chunking": {"size": 16}}, 400
    )
    assert await chunking(datasette, body) is None


async def test_a_wish_by_the_form(datasette):
    """The fields say what JSON would."""
    fields = {"columns": "body", "template": "", "model": "short-sighted", "collection": ""}
    cut = {"chunking": "size", "chunk_size": "60", "chunk_unit": "characters", "chunk_overlap": ""}
    assert (await post_form(datasette, FORM, {**fields, **cut}, ROOT)).status_code == 303
    assert (await get_json(datasette, PAGE + ".json"))["collection"]["chunking"] == {
        "size": 60,
        "unit": "characters",
        "overlap": None,
    }
    wrong = await post_form(datasette, FORM, {**fields, **cut, "chunk_size": "many"}, ROOT)
    assert wrong.status_code == 400
    assert "The size of chunks is a whole number from 16 to 10,000,000, not" in wrong.text
    assert 'name="chunk_size" value="many"' in wrong.text


async def test_the_form_at_first(datasette):
    """What is longer than the model reads is cut."""
    page = (await get(datasette, FORM, ROOT)).text
    assert 'name="chunking" value="auto" checked' in page
    assert "<summary>Long texts</summary>" in page


async def test_the_preview(datasette):
    """How many rows will be cut into how many chunks; nothing where none is."""
    data = (await get_json(datasette, f"{JSON}?columns=body&model=short-sighted", ROOT))["preview"]
    assert (data["warning"], data["cut"]) == (None, None)
    assert data["chunks"] == {
        "checked": 2,
        "rows": 1,
        "chunks": 3,
        "text": "1 row with long texts will be cut into 3 chunks",
    }
    page = (await get(datasette, f"{FORM}?columns=body&model=short-sighted", ROOT)).text
    assert data["first"] == "a few words"
    assert "1 row with long texts will be cut into 3 chunks" in page
    for arguments in ("columns=title&model=short-sighted", "columns=body&model=lengths"):
        data = (await get_json(datasette, f"{JSON}?{arguments}", ROOT))["preview"]
        assert not (data["chunks"] and data["chunks"]["text"])


async def test_the_preview_of_a_template_that_cannot_be_cut(datasette):
    """The warning says what to put in the template."""
    arguments = "template={{ title }} {{ body }}&model=short-sighted".replace(" ", "+")
    warning = (await get_json(datasette, f"{JSON}?{arguments}", ROOT))["preview"]["warning"]
    assert "1 of the first 2 contents is longer than the 16 tokens" in warning
    assert "put {{ chunk }} in the template" in warning


async def test_a_model_that_is_not_loaded(make_datasette, path):
    """A preview loads no model to know how much it reads."""

    class Late(ShortSighted):
        max_tokens = None

        def load(self):
            raise AssertionError("The preview loaded the model")

    data = await get_json(make_datasette(path, models=[Late()]), f"{JSON}?columns=body", ROOT)
    assert data["preview"]["chunks"] is None


async def test_a_collection_from_before(datasette, path):
    """Its page says that longer texts are cut off, and leads to where that is changed."""
    embed(path, "notes", ["body"], ShortSighted())
    assert "cut where they are longer than the model reads" in (await get(datasette, PAGE, ROOT)).text
    write(path, "update _embed_collections set chunking = null")
    page = (await get(datasette, PAGE, ROOT)).text
    assert "not cut, so the model reads their first 16 tokens only" in page
    assert f'href="{PAGE}/change"' in page
    assert 'name="chunking" value="none" checked' in (await get(datasette, PAGE + "/change", ROOT)).text


async def test_binary_is_not_cut(make_datasette, path):
    """No wish, and nothing said of long texts."""
    write(path, "alter table notes add column picture blob")
    write(path, "update notes set picture = x'0102'")
    embed(path, "notes", ["picture"], ByteCounts())
    datasette = make_datasette(path, models=[ByteCounts()])
    assert (await get_json(datasette, PAGE + ".json"))["collection"]["chunking"] is None
    assert "Long texts" not in (await get(datasette, PAGE, ROOT)).text
    body = {"columns": ["picture"], "collection": "other", "chunking": {"size": 100}}
    response = await post_json(datasette, JSON, body, ROOT)
    assert (response.status_code, response.json()["error"]) == (
        400,
        "The column 'picture' holds binary, which is not cut into chunks",
    )


async def test_changing_the_chunking(datasette, path, working):
    """What is not said stays as it is, and another chunking is a change like any other."""
    embed(path, "notes", ["body"], ShortSighted())
    working(datasette)
    change = PAGE + "/change.json"
    wish = {"size": 60, "unit": "characters", "overlap": 0}
    response = await post_json(datasette, change, {"chunking": wish}, ROOT)
    assert (response.status_code, response.json()["change"]["chunking"]) == (201, wish)
    made = "select chunking like '%60%' and replaces is null from _embed_collections"
    await asyncio.to_thread(wait_until, path, made, "the change")
    assert (await get_json(datasette, PAGE + ".json"))["collection"]["chunking"] == wish
    response = await post_json(datasette, change, {"columns": ["title", "body"]}, ROOT)
    assert response.json()["change"]["chunking"] == wish


async def test_the_first_content_of_a_long_text(make_datasette, tmp_path):
    """What the preview shows is what the model gets first: a chunk."""
    path = make_file(
        tmp_path / "data.db", "create table notes (id integer primary key, body text)", notes=[(1, numbered_words(40))]
    )
    data = (await get_json(make_datasette(path, models=[ShortSighted()]), f"{JSON}?columns=body", ROOT))["preview"]
    assert data["first"] == numbered_words(14)
