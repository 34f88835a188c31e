"""The page of one collection: what it says, and what its buttons and its JSON do."""

import sqlite3
from contextlib import closing

import pytest
from clients import get, get_json, post_form, post_json
from fake_models import Failing, Held, NeedsKey, WordLengths

from datasette_embeddings.engine.errors import ModelUnavailable
from datasette_embeddings.registry import INSTALL

ROOT, READER = {"id": "root"}, {"id": "reader"}
PAGE, JSON = "/data/-/embed/notes", "/data/-/embed/notes.json"


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as conn, conn:
        return [conn.execute(*statement).fetchall() for statement in statements]


@pytest.fixture
def datasette(make_datasette, notes, embed):
    embed(notes, "notes", "title")
    return make_datasette(notes, models=[WordLengths()])


async def test_the_json(datasette):
    """A reader is told of the rows as the table now is, and of the job."""
    data = await get_json(datasette, JSON, READER)
    assert data["ok"] is True
    assert data["rows"] == {"total": 3, "embedded": 3, "pending": 0, "failed": 0, "empty": 0}
    assert data["exact"] is True
    assert data["job"]["status"] == "finished"
    assert data["collection"]["dimensions"] == 16
    assert data["actions"] == []


async def test_rows_are_counted_as_the_table_now_is(datasette, notes):
    """What was written a moment ago is counted."""
    await get_json(datasette, JSON)
    execute(notes, ("update notes set title = 'Toast' where id = 1",), ("insert into notes values (4, ' ', '')",))
    data = await get_json(datasette, JSON)
    assert data["rows"] == {"total": 4, "embedded": 2, "pending": 1, "failed": 0, "empty": 1}


async def test_neither_host_nor_actor_is_told(datasette):
    """A job's owner names the machine, and who asked for it is nobody's business."""
    job = (await get_json(datasette, JSON, ROOT))["job"]
    assert {"owner", "actor", "lease_expires", "position"}.isdisjoint(job)


async def test_from_the_form_to_the_end(make_datasette, notes, working, wait_for_status):
    """What the JSON started, the worker finishes; pause, resume and cancel say the new status."""
    model = Held()
    datasette = make_datasette(notes, models=[model])
    working(datasette)
    await post_json(datasette, "/data/notes/-/embed.json", {"columns": ["title"]}, ROOT)
    await wait_for_status(datasette, JSON, "running")
    paused = await post_json(datasette, JSON, {"action": "pause"}, ROOT)
    assert paused.json()["job"]["status"] == "paused"
    assert (await get_json(datasette, JSON, ROOT))["actions"] == ["resume", "cancel", "unfollow", "delete"]
    model.open()
    resumed = await post_json(datasette, JSON, {"action": "resume"}, ROOT)
    assert resumed.json()["job"]["status"] == "pending"
    data = await wait_for_status(datasette, JSON, "finished", actor=ROOT)
    assert data["rows"]["embedded"] == 3
    assert data["actions"] == ["update", "unfollow", "delete"]


async def test_update(datasette):
    """An update is a new job."""
    response = await post_json(datasette, JSON, {"action": "update"}, ROOT)
    assert (response.status_code, response.json()["job"]["id"]) == (200, 2)
    assert (await get_json(datasette, JSON, ROOT))["actions"] == ["pause", "cancel", "follow", "delete"]


async def test_cancel(datasette):
    """A job that waits can be cancelled, and what was embedded stays."""
    await post_json(datasette, JSON, {"action": "update"}, ROOT)
    response = await post_json(datasette, JSON, {"action": "cancel"}, ROOT)
    assert response.json()["job"]["status"] == "cancelled"
    assert (await get_json(datasette, JSON))["rows"]["embedded"] == 3


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"action": "pause"}, 409, "There is nothing to pause: the last job is finished"),
        ({"action": "resume"}, 409, "There is nothing to resume"),
        ({"action": "explode"}, 400, "There is no action 'explode'"),
        ({"action": None}, 400, "There is no action None"),
        ({"action": ["pause"]}, 400, "There is no action ['pause']"),
        ({}, 400, "There is no action None"),
        ({"action": "pause", "now": True}, 400, "'now'"),
        ([], 400, "must be a JSON object with 'action'"),
    ],
)
async def test_actions_that_cannot_be_taken(datasette, body, status, named):
    """400 or 409 and a sentence."""
    response = await post_json(datasette, JSON, body, ROOT)
    assert response.status_code == status
    assert response.json()["ok"] is False
    assert named in response.json()["error"]


async def test_a_button_that_cannot_be_pressed_any_more(datasette):
    """The page comes back with the sentence."""
    response = await post_form(datasette, PAGE, {"action": "pause"}, ROOT)
    assert response.status_code == 409
    assert "There is nothing to pause: the last job is finished" in response.text
    assert "Collection notes" in response.text


async def test_a_button_leads_back_to_the_page(datasette):
    """After a button comes the collection's page, by GET."""
    response = await post_form(datasette, PAGE, {"action": "update"}, ROOT)
    assert (response.status_code, response.headers["location"]) == (303, PAGE)


async def test_delete_asks_first(datasette, notes):
    """The button leads to a question; its answer deletes, and leads to the list."""
    asked = await post_form(datasette, PAGE, {"action": "delete"}, ROOT)
    assert asked.status_code == 200
    assert "3 vectors of notes, made by word-lengths, will be deleted" in asked.text
    assert (await get(datasette, PAGE)).status_code == 200
    done = await post_form(datasette, PAGE, {"action": "delete", "confirm": "1"}, ROOT)
    assert (done.status_code, done.headers["location"]) == (303, "/data/-/embed")
    assert (await get(datasette, PAGE)).status_code == 404
    assert execute(notes, ("select name from sqlite_master where name like '%vectors%'",)) == [[]]


async def test_delete_by_json(datasette):
    """JSON does as it is told."""
    response = await post_json(datasette, JSON, {"action": "delete"}, ROOT)
    assert response.json() == {"ok": True, "deleted": "notes"}
    assert (await get(datasette, JSON)).status_code == 404


async def test_only_who_may_embed_gets_buttons(datasette):
    """A reader sees how it stands, and no form."""
    assert 'value="delete"' in (await get(datasette, PAGE, ROOT)).text
    page = (await get(datasette, PAGE, READER)).text
    assert 'value="delete"' not in page
    assert "3 of 3 rows" in page


async def test_a_page_that_reloads_itself(datasette):
    """Without JavaScript the page loads itself anew as long as there is something to see."""
    assert "http-equiv" not in (await get(datasette, PAGE)).text
    await post_json(datasette, JSON, {"action": "update"}, ROOT)
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in (await get(datasette, PAGE)).text


async def test_an_immutable_database(make_datasette, notes, embed):
    """What was embedded before is shown, and no action is taken."""
    embed(notes, "notes", "title")
    datasette = make_datasette(immutables=[str(notes)], models=[WordLengths()])
    data = await get_json(datasette, JSON, ROOT)
    assert (data["rows"]["embedded"], data["read_only"], data["actions"]) == (3, True, [])
    assert "open for reading only" in (await get(datasette, PAGE, ROOT)).text
    for action in ("update", "delete"):
        response = await post_json(datasette, JSON, {"action": action}, ROOT)
        assert response.status_code == 400
        assert "open for reading only" in response.json()["error"]
    assert (await post_form(datasette, PAGE, {"action": "delete"}, ROOT)).status_code == 400


async def test_a_model_that_is_gone(make_datasette, notes, embed):
    """The page is shown; an update is refused, naming the model."""
    embed(notes, "notes", "title")
    datasette = make_datasette(notes)
    assert (await get(datasette, PAGE, ROOT)).status_code == 200
    response = await post_json(datasette, JSON, {"action": "update"}, ROOT)
    assert response.status_code == 400
    assert "word-lengths" in response.json()["error"]
    assert INSTALL in response.json()["error"]


@pytest.mark.parametrize("change", ["drop table notes", "alter table notes drop column title"])
async def test_a_table_that_has_changed(datasette, notes, change):
    """The page says so, and the collection can still be deleted."""
    execute(notes, (change,))
    data = await get_json(datasette, JSON, ROOT)
    assert data["rows"] is None
    assert "notes" in data["problem"]
    assert data["problem"] in (await get(datasette, PAGE, ROOT)).text.replace("&#39;", "'")
    assert (await post_json(datasette, JSON, {"action": "delete"}, ROOT)).json()["ok"]


async def test_rows_that_failed(make_datasette, notes, embed):
    """Each is shown with its message, its time and the way to the row; the page shows a hundred and says how many."""
    rows = [(number, "FAIL") for number in range(100, 220)]
    with closing(sqlite3.connect(notes)) as conn, conn:
        conn.executemany("insert into notes (id, title) values (?, ?)", rows)
    embed(notes, "notes", "title", model=Failing())
    datasette = make_datasette(notes, models=[Failing()])
    errors = (await get_json(datasette, JSON))["errors"]
    assert (errors["total"], len(errors["rows"])) == (120, 100)
    first = errors["rows"][0]
    assert (first["key"], first["url"]) == ([100], "/data/notes/100")
    assert first["message"] == "The model failing failed: cannot embed 'FAIL'"
    page = (await get(datasette, PAGE)).text
    assert "The first 100 of 120" in page
    assert 'href="/data/notes/100"' in page


@pytest.mark.parametrize(
    ("schema", "values", "path"),
    [
        ("id text primary key", ("a/b, c.d",), "a~2Fb~2C+c~2Ed"),
        ("a integer, b text, primary key (b, a)", (1, "x%"), "x~25,1"),
        ("a text, b integer, primary key (a, b)", ("é🙂", 2), "~C3~A9~F0~9F~99~82,2"),
        ("id integer primary key", (7,), "7"),
        ("other text", ("x",), "1"),
        ("id blob primary key", (b"\x01",), None),
        ("rowid text", ("x",), None),
        ("id text primary key", (None,), None),
    ],
)
async def test_the_way_to_a_row(make_datasette, tmp_path, embed, schema, values, path):
    """It leads to Datasette's own page of the row, for every kind of key that has one."""
    path_of_file = tmp_path / "data.db"
    columns, _, constraint = schema.partition(", primary key")
    named = f"{columns}, title text" + (f", primary key{constraint}" if constraint else "")
    places = ", ".join("?" * len(values))
    execute(path_of_file, (f"create table t ({named})",), (f"insert into t values ({places}, 'FAIL')", values))
    embed(path_of_file, "t", "title", model=Failing())
    datasette = make_datasette(path_of_file, models=[Failing()])
    (row,) = (await get_json(datasette, "/data/-/embed/t.json"))["errors"]["rows"]
    assert row["url"] == (f"/data/t/{path}" if path else None)
    if path:
        assert (await get(datasette, row["url"])).status_code == 200
    assert (await get(datasette, "/data/-/embed/t")).status_code == 200


@pytest.mark.parametrize(("mode", "recommended"), [("delete", True), ("wal", False)])
async def test_a_job_that_met_a_lock(make_datasette, notes, embed, mode, recommended):
    """WAL is recommended where another program's lock stopped the job, and only where it is not on already."""
    embed(notes, "notes", "title", run=False)
    reason = "SQLite says: database is locked. Nothing stored is lost; resume when that is mended"
    execute(notes, (f"pragma journal_mode = {mode}",))
    execute(notes, ("update _embed_jobs set status = 'paused', reason = ?", (reason,)))
    page = (await get(make_datasette(notes, models=[WordLengths()]), PAGE, ROOT)).text
    assert reason in page
    assert ("enable-wal" in page) is recommended


class Unreachable(WordLengths):
    """A model whose fault names files of the server."""

    model_id = "unreachable"

    def embed_batch(self, contents):
        raise ModelUnavailable("No such file: '/srv/models/secret folder/weights.bin'")


async def test_no_path_is_told(make_datasette, notes, embed):
    """The folders of the server are for its log alone."""
    embed(notes, "notes", "title", model=Unreachable())
    data = await get_json(make_datasette(notes, models=[Unreachable()]), JSON, ROOT)
    assert data["job"]["status"] == "failed"
    assert "/srv/models" not in str(data)


async def test_the_query_to_try(datasette):
    """It runs as it stands, and finds the nearest row."""
    page = await get(datasette, PAGE, ROOT)
    link = page.text.split('class="embed-button" href="')[1].split('"')[0].replace("&amp;", "&")
    response = await get(datasette, link.replace("how+do+I+begin%3F", "Bread"), ROOT)
    while response.status_code in (301, 302):
        response = await get(datasette, response.headers["location"], ROOT)
    assert response.status_code == 200
    assert "1.0" in response.text


async def test_no_query_to_run_without_permission(make_datasette, notes, embed):
    """Who may not run SQL sees the query, and no link."""
    embed(notes, "notes", "title")
    config = {"databases": {"data": {"allow_sql": False}}}
    page = (await get(make_datasette(notes, config=config, models=[WordLengths()]), PAGE)).text
    assert "embed_search(&#39;notes&#39;, :q)" in page
    assert "Run this query" not in page


async def test_a_query_with_a_model_that_costs(make_datasette, notes, embed):
    """Where SQL may not use the model, the query compares with a row."""
    model = NeedsKey()
    model.key = "right"
    embed(notes, "notes", "title", model=model)
    page = (await get(make_datasette(notes, models=[model]), PAGE)).text
    assert "embed_search" not in page
    assert "embed_similar(&#39;notes&#39;, (select &#34;id&#34; from &#34;_embed_vectors_notes&#34; limit 1))" in page


@pytest.mark.parametrize("name", ["a b", 'say "hi"', "it's", "a.b", "a/b", "100%", "é🙂", "x.json", "[t", "<b>", "-"])
async def test_odd_names(make_datasette, tmp_path, name):
    """Database, table, column and collection may have any name."""
    path = tmp_path / "odd.db"
    quoted = '"' + name.replace('"', '""') + '"'
    execute(path, (f"create table {quoted} (id integer primary key, {quoted} text)",))
    execute(path, (f"insert into {quoted} values (1, 'to be')",))
    datasette = make_datasette(path, models=[WordLengths()])
    database = datasette.databases.pop("odd")
    datasette.add_database(database, name=name, route=name + "-route")
    form = datasette.urls.table(name, name) + "/-/embed"
    assert (await get(datasette, form, ROOT)).status_code == 200
    made = await post_json(datasette, form + ".json", {"columns": [name], "template": f"{{{{ {name} }}}}!"}, ROOT)
    assert made.status_code == 201, made.text
    (listed,) = (await get_json(datasette, "/-/embed.json"))["collections"]
    assert (await get(datasette, listed["url"], ROOT)).status_code == 200
    assert (await get_json(datasette, listed["url"] + ".json"))["collection"]["name"] == name
    assert (await get(datasette, "/-/embed", ROOT)).status_code == 200
    done = await post_form(datasette, listed["url"], {"action": "delete", "confirm": "1"}, ROOT)
    assert done.status_code == 303
