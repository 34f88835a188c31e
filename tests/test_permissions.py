"""Who may embed, and who may open what we store: the same verdicts on both Datasette lines."""

import pytest
from clients import get, get_json
from embedded import embed, make_file, write
from fake_models import WordLengths

from datasette_embeddings.engine.collections import list_collections
from datasette_embeddings.permissions import (
    embeddable_tables,
    may_embed_something,
    may_embed_table,
    may_view_table,
    visible_collections,
)

ROOT, ALICE, BOB = {"id": "root"}, {"id": "alice"}, {"id": "bob"}
OWN = ["_embed_collections", "_embed_jobs", "_embed_kept", "_embed_errors", "_embed_schema"]


@pytest.fixture
def path(tmp_path):
    """A file with two embedded tables, `notes` and `secret`."""
    script = "create table notes (id integer primary key, body); create table secret (id integer primary key, body)"
    path = make_file(tmp_path / "data.db", script, notes=[(1, "open")], secret=[(1, "hidden")])
    embed(path, "notes", ["body"], WordLengths())
    embed(path, "secret", ["body"], WordLengths())
    return path


def on_table(table, **block):
    return {"databases": {"data": {"tables": {table: block}}}}


SECRET = on_table("secret", allow={"id": "alice"})
EMBED_ALICE = {"embed-table": {"id": "alice"}}


@pytest.mark.parametrize("table", OWN)
async def test_our_own_tables(make_datasette, path, table):
    """What we keep for ourselves opens for root alone."""
    datasette = make_datasette(path)
    statuses = [(await get(datasette, f"/data/{table}", actor)).status_code for actor in (None, ALICE, ROOT)]
    assert statuses == [403, 403, 200]
    assert (await get(datasette, f"/data/{table}.json")).status_code == 403
    assert (await get(datasette, f"/data/{table}/1")).status_code in (403, 404)


@pytest.mark.parametrize(
    ("actor", "notes", "secret"), [(None, 200, 403), (BOB, 200, 403), (ALICE, 200, 200), (ROOT, 200, 200)]
)
async def test_vectors_follow_their_table(make_datasette, path, actor, notes, secret):
    """Who may see a table may open its vectors, and nobody else."""
    datasette = make_datasette(path, config=SECRET)
    if actor == ROOT:  # on both lines, root may be shut out of a table: then of its vectors too
        assert (await get(datasette, "/data/_embed_vectors_notes", actor)).status_code == 200
        return
    assert (await get(datasette, "/data/_embed_vectors_notes", actor)).status_code == notes
    assert (await get(datasette, "/data/_embed_vectors_secret", actor)).status_code == secret
    assert (await get(datasette, "/data/_EMBED_vectors_SECRET.json", actor)).status_code in (secret, 404)


async def test_vectors_of_nobody(make_datasette, path):
    """A table of our name that belongs to no collection is shut as well."""
    write(path, "create table _embed_vectors_orphan (vector)")
    datasette = make_datasette(path)
    statuses = [(await get(datasette, "/data/_embed_vectors_orphan", actor)).status_code for actor in (None, ROOT)]
    assert statuses == [403, 200]


async def test_a_file_of_a_newer_version_is_shut(make_datasette, path):
    """Where we cannot read which table the vectors belong to, nobody but root opens them."""
    write(path, "update _embed_schema set version = 99")
    datasette = make_datasette(path)
    assert (await get(datasette, "/data/_embed_vectors_secret")).status_code == 403
    assert (await get(datasette, "/data/notes")).status_code == 200


async def test_our_tables_are_not_listed(make_datasette, path):
    """The lists of a database do not show what we store."""
    datasette = make_datasette(path)
    tables = (await get_json(datasette, "/data.json"))["tables"]
    shown = [table["name"] for table in tables if not table["hidden"]]
    assert sorted(shown) == ["notes", "secret"]
    assert "/data/_embed_" not in (await get(datasette, "/data")).text


async def test_other_metadata_still_holds(make_datasette, path):
    """What a person says about their database is not lost to what we hide."""
    config = on_table("notes", hidden=True)
    datasette = make_datasette(path, config=config)
    tables = (await get_json(datasette, "/data.json"))["tables"]
    assert [table["name"] for table in tables if not table["hidden"]] == ["secret"]


async def verdicts(datasette, table="notes"):
    await datasette.invoke_startup()
    return [await may_embed_table(datasette, actor, "data", table) for actor in (None, BOB, ALICE, ROOT)]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, [False, False, False, True]),
        ({"permissions": EMBED_ALICE}, [False, False, True, None]),
        ({"databases": {"data": {"permissions": EMBED_ALICE}}}, [False, False, True, None]),
        (on_table("notes", permissions=EMBED_ALICE), [False, False, True, None]),
        (on_table("secret", permissions=EMBED_ALICE), [False, False, False, True]),
        ({"permissions": {"embed-table": True}}, [True, True, True, True]),
        (on_table("notes", allow={"id": "bob"}, permissions={"embed-table": True}), [False, True, False, None]),
    ],
    ids=["nothing", "instance", "database", "table", "another table", "everybody", "not visible"],
)
async def test_who_may_embed(make_datasette, path, config, expected):
    """Root, and whom the configuration names, at any level, if they may see the table."""
    found = await verdicts(make_datasette(path, config=config))
    assert [verdict for verdict, wanted in zip(found, expected, strict=True) if wanted is not None] == [
        wanted for wanted in expected if wanted is not None
    ]


async def test_which_tables_one_may_embed(make_datasette, path):
    """The form offers the tables that the actor may embed: none of ours, none hidden, none invisible."""
    datasette = make_datasette(path, config=on_table("notes", permissions=EMBED_ALICE))
    await datasette.invoke_startup()
    assert await embeddable_tables(datasette, ALICE) == [("data", "notes")]
    assert await embeddable_tables(datasette, ROOT) in ([("data", "secret")], [("data", "notes"), ("data", "secret")])
    assert await embeddable_tables(datasette, None, "data") == []
    verdicts = [await may_embed_something(datasette, actor) for actor in (None, BOB, ALICE, ROOT)]
    assert verdicts == [False, False, True, True]


async def test_nothing_in_a_read_only_file_can_be_embedded(make_datasette, path):
    """An immutable database offers no table."""
    datasette = make_datasette(immutables=[str(path)])
    await datasette.invoke_startup()
    assert await embeddable_tables(datasette, ROOT) == []


async def test_which_collections_one_may_see(make_datasette, path):
    """A collection of a table that the actor may not see is not there for them."""
    datasette = make_datasette(path, config=SECRET)
    await datasette.invoke_startup()
    database = datasette.get_database("data")
    assert len(await database.execute_fn(list_collections)) == 2
    for actor, names in ((None, ["notes"]), (ALICE, ["notes", "secret"])):
        assert [found.name for found in await visible_collections(datasette, actor, database)] == names
    assert not await may_view_table(datasette, BOB, "data", "secret")
