"""Following changes on the pages and in JSON: asked for, switched, and told."""

import asyncio

import pytest
from clients import get, get_json, post_form, post_json
from embedded import write
from fake_models import WordLengths
from followed import execute, triggers
from servers import PATIENCE

ROOT, READER = {"id": "root"}, {"id": "reader"}
FORM, PAGE, JSON = "/data/notes/-/embed", "/data/-/embed/notes", "/data/-/embed/notes.json"


@pytest.fixture
def datasette(make_datasette, notes):
    return make_datasette(notes, models=[WordLengths()])


async def wait_until(datasette, is_so):
    """The JSON of the collection, once that is so."""

    async def look():
        while not is_so(data := await get_json(datasette, JSON, ROOT)):
            await asyncio.sleep(0.02)
        return data

    return await asyncio.wait_for(look(), PATIENCE)


def is_compared(data):
    return data["job"]["cause"] and data["job"]["status"] == "finished"


@pytest.fixture
def followed(datasette, notes, working, wait_for_status):
    """await followed(): the collection `notes` over the title, embedded and followed by a worker."""

    async def make():
        working(datasette)
        await post_json(datasette, f"{FORM}.json", {"columns": ["title"]}, ROOT)
        return await wait_for_status(datasette, JSON, "finished")

    return make


@pytest.mark.parametrize(("body", "on"), [({}, True), ({"follow": True}, True), ({"follow": False}, False)])
async def test_following_by_json(datasette, notes, body, on):
    """A new collection is followed unless somebody says otherwise, and its JSON says whether it is."""
    response = await post_json(datasette, f"{FORM}.json", {"columns": ["title"], **body}, ROOT)
    assert (response.status_code, response.json()["collection"]["follow"]) == (201, on)
    assert bool(triggers(notes)) is on


async def test_the_same_definition_again(datasette):
    """Who says nothing changes nothing; who says it switches an existing collection."""
    said = [{"follow": False}, {}, {"follow": True}, {}, {"follow": False}]
    shown = []
    for body in said:
        response = await post_json(datasette, f"{FORM}.json", {"columns": ["title"], **body}, ROOT)
        shown.append(response.json()["collection"]["follow"])
    assert shown == [False, False, True, True, False]


async def test_what_is_no_answer(datasette, notes):
    """`follow` is true, false or left out."""
    response = await post_json(datasette, f"{FORM}.json", {"columns": ["title"], "follow": "yes"}, ROOT)
    assert (response.status_code, response.json()["error"]) == (400, "'follow' must be true or false")


@pytest.mark.parametrize(("ticked", "on"), [(["", "1"], True), ([""], False)])
async def test_following_by_the_form(datasette, notes, ticked, on):
    """The box is ticked at first, and taking the tick away counts."""
    assert (
        'name="follow" value="1" aria-describedby="embed-follow-hint" checked'
        in (await get(datasette, FORM, ROOT)).text
    )
    response = await post_form(datasette, FORM, {"columns": ["title"], "follow": ticked}, ROOT)
    assert response.status_code == 303
    assert bool(triggers(notes)) is on


async def test_a_virtual_table(datasette, notes):
    """It is embedded without being followed, and says why it cannot be when somebody asks."""
    write(notes, "create virtual table pages using fts5 (title)")
    write(notes, "insert into pages values ('one')")
    assert "disabled" in (await get(datasette, "/data/pages/-/embed", ROOT)).text
    made = await post_json(datasette, "/data/pages/-/embed.json", {"columns": ["title"]}, ROOT)
    assert made.json()["collection"]["follow"] is False
    refused = await post_json(datasette, "/data/-/embed/pages.json", {"action": "follow"}, ROOT)
    assert refused.status_code == 400
    assert "SQLite allows no triggers" in refused.json()["error"]


async def test_what_waits(followed, datasette, notes):
    """The page and its JSON say how many rows wait and since when; a worker deals with them in a moment."""
    data = await followed()
    assert (data["waiting"], data["following"]) == ({"rows": 0, "since": None}, "Kept up to date: no change waits")
    write(notes, "update _embed_jobs set status = 'paused'")  # so that the worker leaves it alone
    execute(notes, "update notes set title = 'x' where id < 3; update notes set title = 'y' where id = 1")
    write(notes, "update _embed_notes_notes set at = julianday('2026-11-22 10:00:00')")
    data = await get_json(datasette, JSON, READER)
    assert data["waiting"] == {"rows": 2, "since": "2026-11-22T10:00:00Z"}
    assert "2 changed rows wait since 2026-11-22 10:00:00 UTC." in (await get(datasette, PAGE, READER)).text


async def test_the_last_full_pass_is_shown(followed, datasette, notes):
    """Changes that were dealt with do not hide the pass over every row, and the page says when the last was."""
    await followed()
    write(notes, "update notes set title = 'changed' where id = 1")
    data = await wait_until(datasette, lambda data: data["caught_up"] and data["job"]["status"] == "finished")
    assert (data["job"]["kind"], data["job"]["rows_total"]) == ("rows", 3)
    assert data["following"] == f"Kept up to date: no change waits; the last was dealt with at {moment(data)}"


def moment(data):
    return data["caught_up"].replace("T", " ").replace("Z", " UTC")


async def test_switched_off_and_on(followed, datasette, notes):
    """`unfollow` takes the triggers away, `follow` makes them again and has every row compared."""
    await followed()
    off = await post_json(datasette, JSON, {"action": "unfollow"}, ROOT)
    assert (off.json()["collection"]["follow"], triggers(notes)) == (False, {})
    data = await get_json(datasette, JSON, ROOT)
    assert (data["waiting"], data["following"], "follow" in data["actions"]) == (None, None, True)
    assert "Changes of the table are not followed" in (await get(datasette, PAGE, ROOT)).text
    write(notes, "update notes set title = 'unnoted' where id = 1")
    on = await post_json(datasette, JSON, {"action": "follow"}, ROOT)
    assert on.json()["collection"]["follow"] is True
    data = await wait_until(datasette, is_compared)
    assert data["job"]["cause"] == "The changes of notes were not noted before: this pass compares every row"
    assert data["rows"]["embedded"] == 3


async def test_lost_triggers_are_told(followed, datasette, notes):
    """Whoever looks has lost triggers made again, and is told; the pass that compares every row says why it began."""
    await followed()
    write(notes, "drop trigger _embed_insert_notes")
    write(notes, "insert into notes values (9, 'unnoted', '')")
    page = await get(datasette, PAGE, READER)
    assert "were gone and were made again" in page.text
    assert len(triggers(notes)) == 4
    data = await wait_until(datasette, is_compared)
    assert data["rows"]["embedded"] == 4
    assert data["job"]["cause"] == "The triggers on notes were gone and were made again: this pass compares every row"


async def test_a_table_that_is_renamed_out_of_sight(make_datasette, notes):
    """A collection follows its table to its new name, and is not shown to who may not see that."""
    config = {"databases": {"data": {"tables": {"secrets": {"allow": {"id": "root"}}}}}}
    datasette = make_datasette(notes, models=[WordLengths()], config=config)
    await post_json(datasette, f"{FORM}.json", {"columns": ["title"]}, ROOT)
    write(notes, "alter table notes rename to secrets")
    assert (await get(datasette, PAGE, READER)).status_code == 404
    assert (await get_json(datasette, JSON, ROOT))["collection"]["table"] == "secrets"


async def test_only_who_may_embed_switches(datasette, notes):
    """To follow a table is to write into its file, and takes the permission embed-table."""
    await post_json(datasette, f"{FORM}.json", {"columns": ["title"]}, ROOT)
    response = await post_json(datasette, JSON, {"action": "unfollow"}, READER)
    assert response.status_code == 403
    assert len(triggers(notes)) == 4
