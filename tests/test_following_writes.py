"""Writes through Datasette itself are followed: 1.0's own API and SQL, and queries that write."""

import pytest
from clients import get, post_form, post_json
from datasette.app import Datasette
from embedded import make_file, vectors
from fake_models import WordLengths
from followed import embed_and_follow, fresh, noted, sync, triggers

NOTES = "create table notes (id integer primary key, title text, body text, email text unique)"
ALICE = {"id": "alice"}
ALLOWED = {"id": "alice"}
ROW_ACTIONS = ("insert-row", "update-row", "delete-row")
only_on_1 = pytest.mark.skipif(not hasattr(Datasette, "allowed"), reason="Datasette 0.65 has no write API")


@pytest.fixture
def path(tmp_path):
    rows = [(n, f"title {n}", f"the body of {'x' * n}", f"{n}@example.com") for n in range(1, 4)]
    path = make_file(tmp_path / "data.db", NOTES, notes=rows)
    embed_and_follow(path, "notes", ["body"], WordLengths())
    return path


def config(*actions):
    """What lets Alice take these actions on the table, and write SQL."""
    table = {"permissions": dict.fromkeys((*actions, "alter-table"), ALLOWED)}
    writes = {"execute-write-sql": ALLOWED, "execute-sql": ALLOWED}
    return {"databases": {"data": {"permissions": writes, "tables": {"notes": table}}}}


@only_on_1
@pytest.mark.parametrize(
    ("route", "body", "keys"),
    [
        ("/data/notes/-/insert", {"row": {"body": "inserted"}}, [4]),
        ("/data/notes/-/insert", {"rows": [{"id": 2, "body": "replaced"}], "replace": True}, [2]),
        ("/data/notes/-/insert", {"rows": [{"id": 9, "email": "1@example.com"}], "replace": True}, [1, 9]),
        ("/data/notes/-/upsert", {"rows": [{"id": 1, "body": "upserted"}]}, [1]),
        ("/data/notes/1/-/update", {"update": {"body": "updated"}}, [1]),
        ("/data/notes/1/-/update", {"update": {"title": "updated"}}, []),
        ("/data/notes/3/-/delete", {}, [3]),
    ],
)
async def test_the_write_api(make_datasette, path, route, body, keys):
    """What the API writes is noted, rows that it displaces by a UNIQUE column too."""
    datasette = make_datasette(path, models=[WordLengths()], config=config(*ROW_ACTIONS))
    response = await post_json(datasette, route, body, ALICE)
    assert response.status_code in (200, 201), response.text
    assert sorted(set(noted(path))) == keys
    sync(path, WordLengths())
    assert vectors(path, "notes") == fresh(path)


@only_on_1
async def test_alter(make_datasette, path):
    """/-/alter may rebuild the table and drop its triggers: the next look makes them again and compares every row."""
    datasette = make_datasette(path, models=[WordLengths()], config=config(*ROW_ACTIONS))
    operations = [{"op": "rename_column", "args": {"name": "title", "to": "heading"}}]
    response = await post_json(datasette, "/data/notes/-/alter", {"operations": operations}, ALICE)
    assert response.status_code == 200, response.text
    await post_json(datasette, "/data/notes/1/-/update", {"update": {"body": "after it"}}, ALICE)
    sync(path, WordLengths())
    assert (vectors(path, "notes"), len(triggers(path))) == (fresh(path), 6)


@only_on_1
@pytest.mark.parametrize(
    "sql", ["insert into notes (body) values ('x')", "delete from notes", "update notes set body=1"]
)
async def test_sql_that_writes(make_datasette, path, sql):
    """Who may write a table by SQL may do so though its triggers write the notes."""
    datasette = make_datasette(path, models=[WordLengths()], config=config(*ROW_ACTIONS))
    response = await post_json(datasette, "/data/-/execute-write", {"sql": sql}, ALICE)
    assert response.status_code == 200, response.text
    assert noted(path)


@only_on_1
async def test_who_may_not_write_the_table(make_datasette, path):
    """The notes open to nobody else, by no way: neither to write them nor to read them."""
    datasette = make_datasette(path, models=[WordLengths()], config=config())
    for route in ("/data/_embed_notes_notes/-/insert", "/data/notes/-/insert"):
        response = await post_json(datasette, route, {"row": {"id": 1}}, ALICE)
        assert response.status_code == 403
    assert (await get(datasette, "/data/_embed_notes_notes.json", ALICE)).status_code == 403


async def test_a_query_that_writes(make_datasette, path):
    """On both lines a query of the configuration may write, and is followed."""
    queries = {"add": {"sql": "insert into notes (body) values ('by a query')", "write": True}}
    datasette = make_datasette(path, models=[WordLengths()], config={"databases": {"data": {"queries": queries}}})
    await post_form(datasette, "/data/add", {}, {"id": "root"})
    assert noted(path) == [4]
    sync(path, WordLengths())
    assert vectors(path, "notes") == fresh(path)
