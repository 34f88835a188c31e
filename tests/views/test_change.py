"""Changing a collection on its pages: the form, the JSON, and what becomes of it."""

import pytest
from clients import get, get_json, post_form, post_json
from embedded import read, write
from fake_models import ByteCounts, Failing, Held, WordLengths

ROOT, READER = {"id": "root"}, {"id": "reader"}
PAGE, JSON = "/data/-/embed/notes/change", "/data/-/embed/notes/change.json"
COLLECTION = "/data/-/embed/notes.json"


@pytest.fixture
def make(make_datasette, notes, embed):
    def make(*models, **options):
        embed(notes, "notes", "title")
        return make_datasette(notes, models=[WordLengths(), *models], **options)

    return make


async def test_by_json(make, working, wait_for_status):
    """While the model works the collection is as it was and says what is coming; then it is what was asked for."""
    model = Held()
    datasette = make(model)
    working(datasette)
    response = await post_json(datasette, JSON, {"model": "held", "columns": ["body"]}, ROOT)
    assert (response.status_code, response.json()["change"]["model"]) == (201, "held")
    data = await wait_for_status(datasette, COLLECTION, "running", actor=ROOT)
    assert (data["collection"]["model"], data["change"]["columns"]) == ("word-lengths", ["body"])
    assert data["actions"] == ["pause", "cancel", "follow", "delete"]
    assert data["rows"]["embedded"] == 3
    model.open()
    data = await wait_for_status(datasette, COLLECTION, "finished", actor=ROOT)
    assert (data["collection"]["model"], data["collection"]["columns"], data["change"]) == ("held", ["body"], None)
    assert [found["name"] for found in (await get_json(datasette, "/-/embed.json", ROOT))["collections"]] == ["notes"]


async def test_by_the_form(make, working, wait_for_status):
    """The form has what the collection has; what is sent begins the change and leads to the collection's page."""
    datasette = make(ByteCounts())
    page = await get(datasette, PAGE, ROOT)
    assert "Change the collection notes" in page.text
    assert '<option value="word-lengths" selected>' in page.text
    assert "Name of the collection" not in page.text
    fields = {"columns": "title", "template": "", "model": "byte-counts"}
    response = await post_form(datasette, PAGE, fields, ROOT)
    assert (response.status_code, response.headers["location"]) == (303, "/data/-/embed/notes")
    assert "Being changed: embedded anew by byte-counts" in (await get(datasette, "/data/-/embed/notes", ROOT)).text
    working(datasette)
    data = await wait_for_status(datasette, COLLECTION, "finished", actor=ROOT)
    assert data["collection"]["model"] == "byte-counts"


async def test_an_empty_template_takes_it_away(make):
    """In the form it stands there to be emptied; in JSON null or nothing leaves it as it is."""
    datasette = make()
    await post_form(datasette, PAGE, {"columns": "title", "template": "about {{ title }}"}, ROOT)
    change = (await get_json(datasette, COLLECTION, ROOT))["change"]
    assert change["template"] == "about {{ title }}"


async def test_cancelled(make, notes):
    """Nothing is left of it."""
    datasette = make(ByteCounts())
    before = read(notes, "select name from sqlite_master")
    await post_json(datasette, JSON, {"model": "bytes"}, ROOT)
    response = await post_json(datasette, COLLECTION, {"action": "cancel"}, ROOT)
    assert response.json()["job"]["status"] == "finished"
    assert read(notes, "select name from sqlite_master") == before
    assert (await get_json(datasette, COLLECTION, ROOT))["change"] is None


async def test_rows_that_fail(make, notes, working, wait_for_status):
    """They keep the change waiting: it can be tried again, given up, or taken without them."""
    write(notes, "update notes set title = 'FAIL' where id = 2")
    datasette = make(Failing())
    working(datasette)
    await post_json(datasette, JSON, {"model": "failing"}, ROOT)
    data = await wait_for_status(datasette, COLLECTION, "finished", actor=ROOT)
    assert data["actions"] == ["accept", "update", "retry", "follow", "delete", "cancel"]
    assert data["errors"]["total"] == 1
    page = (await get(datasette, "/data/-/embed/notes", ROOT)).text
    assert "Change without the rows that failed" in page
    await post_json(datasette, COLLECTION, {"action": "update"}, ROOT)
    data = await wait_for_status(datasette, COLLECTION, "finished", actor=ROOT)
    assert (data["job"]["failed"], data["job"]["postponed"]) == (1, 0)
    assert (await post_json(datasette, COLLECTION, {"action": "accept"}, ROOT)).status_code == 200
    data = await get_json(datasette, COLLECTION, ROOT)
    assert (data["collection"]["model"], data["rows"]["failed"]) == ("failing", 1)


async def test_anew(make, working, wait_for_status):
    """The same definition, embedded again."""
    datasette = make()
    assert (await post_json(datasette, JSON, {}, ROOT)).status_code == 409
    working(datasette)
    assert (await post_json(datasette, JSON, {"anew": True}, ROOT)).status_code == 201
    data = await wait_for_status(datasette, COLLECTION, "finished", actor=ROOT)
    assert data["job"]["embedded"] == 3


async def test_refusals(make):
    """Nobody but who may embed; wrong values by name; a second change at a time."""
    datasette = make(ByteCounts())
    assert (await get(datasette, PAGE, READER)).status_code == 403
    assert (await post_json(datasette, JSON, {"model": "bytes"}, READER)).status_code == 403
    assert (await post_json(datasette, JSON, {"anew": 1}, ROOT)).status_code == 400
    assert "'nosuch'" in (await post_json(datasette, JSON, {"columns": ["nosuch"]}, ROOT)).json()["error"]
    await post_json(datasette, JSON, {"model": "bytes"}, ROOT)
    response = await post_form(datasette, PAGE, {"columns": "body", "template": "", "model": "bytes"}, ROOT)
    assert response.status_code == 409
    assert "is being changed already" in response.text
