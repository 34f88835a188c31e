"""The documentation: it names everything that there is, its links lead somewhere, and what it shows was run."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import fields

import clients
import pytest
import yaml
from datasette.cli import cli
from embedded import embed
from fake_models import WordLengths
from followed import embed_and_follow
from pages import FENCE, ROOT, blocks, bodies, text

from datasette_embeddings import EmbeddingModel, hookspecs
from datasette_embeddings.config import Config, read_config
from datasette_embeddings.engine.access import connect
from datasette_embeddings.permissions import may_embed_table
from datasette_embeddings.registry import registry_for
from datasette_embeddings.views.routes import ROUTES

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EVERYTHING = "\n".join(page.read_text() for page in PAGES)


# Everything that there is has its place in the documentation.


@pytest.mark.parametrize("key", [entry.name for entry in fields(Config)])
def test_every_configuration_key_is_documented(key):
    assert f"### {key}" in text("configuration.md") or f", {key}\n" in text("configuration.md")


async def test_every_sql_function_is_documented(make_datasette):
    """What a connection has is in the table of functions, and the table names nothing else."""
    datasette = make_datasette(memory=True)
    rows = await datasette.get_database("_memory").execute("select name from pragma_function_list")
    there = {row[0] for row in rows.rows if row[0] == "embed" or row[0].startswith("embed_")}
    assert set(re.findall(r"^\| \[`(\w+)\(", text("sql-functions.md"), re.MULTILINE)) == there


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("register_")])
def test_every_hook_is_documented(hook):
    assert hook in text("writing-a-model-plugin.md")


@pytest.mark.parametrize("command", ["", *cli.commands["embed"].commands])
def test_every_command_is_documented(command):
    assert f"datasette embed {command}".rstrip() in text("command-line.md")


@pytest.mark.parametrize("path", ROUTES)
def test_every_page_is_documented(path):
    assert path in EVERYTHING


@pytest.mark.parametrize("name", [name for name in vars(EmbeddingModel) if not name.startswith("_")])
def test_every_attribute_of_a_model_is_documented(name):
    assert re.search(rf"`{name}\b", text("writing-a-model-plugin.md"))


def test_every_column_that_is_stored_is_documented(notes):
    """Every column of our tables has a row in the tables of the page about them."""
    embed_and_follow(notes, "notes", ["title"], WordLengths())
    page = text("storage.md")
    with closing(connect(notes)) as conn:
        tables = [row[0] for row in conn.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in conn.execute("select name from pragma_table_info(?)", (table,)) if table != "notes" else ():
                assert re.search(rf"^\| (?:`\w+`, )*`{row[0]}`", page, re.MULTILINE), f"{table}.{row[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """A link to a file of ours leads to one that is there, and its anchor to a heading."""
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}, anchor


# SQL.


@pytest.fixture
def embedded_notes(tmp_path, make_datasette):
    """A Datasette over the table of docs/sql-functions.md, embedded by MiniLM."""
    pytest.importorskip("datasette_embed_sentence_transformers")
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.executescript(bodies("sql-functions.md", "sql")[0])
    datasette = make_datasette(path, installed_models=True, settings={"sql_time_limit_ms": 60_000})
    embed(path, "notes", ["title", "body"], registry_for(datasette).model("minilm"))
    return datasette


def examples(name):
    """Pairs of a query and what the page says it gives."""
    found = blocks(name, "sql", "json")
    return [
        (sql, json.loads(answer))
        for (kind, sql), (next_kind, answer) in itertools.pairwise(found)
        if (kind, next_kind) == ("sql", "json")
    ]


@pytest.mark.minilm
async def test_sql_gives_what_the_page_says(embedded_notes):
    """Every query of docs/sql-functions.md that shows an answer gives that answer."""
    database = embedded_notes.get_database("data")
    shown = examples("sql-functions.md")
    assert len(shown) >= 8
    for sql, answer in shown:
        rows = await database.execute(sql)
        given = [dict(row) for row in rows.rows]
        # bfloat16 and float32 differ in the fourth digit.
        assert given == [pytest.approx(row, abs=0.02) for row in answer], sql


# Tables.


@pytest.mark.parametrize("embedded", [embed, embed_and_follow])
@pytest.mark.parametrize("key", ["integer", "text"])
def test_the_removal_in_plain_sql_removes_everything(notes, embedded, key):
    """The SQL of docs/storage.md leaves the file as it was, without the plugin, followed or not, whatever the key."""
    with closing(sqlite3.connect(notes)) as conn:
        conn.execute("drop table notes")
        conn.execute(f"create table notes (id {key} primary key, title text unique, body text)")
        before = conn.execute("select name, sql from sqlite_master").fetchall()
    embedded(notes, "notes", ["title", "body"], WordLengths())
    (removal,) = (sql for sql in bodies("storage.md", "sql") if "drop table" in sql)
    assert removal in bodies("../README.md", "sql")
    with closing(sqlite3.connect(notes)) as conn:
        conn.execute("pragma foreign_keys = on")
        conn.executescript(removal)
        assert conn.execute("select name, sql from sqlite_master").fetchall() == before


def test_other_tools_read_the_vectors(notes, monkeypatch):
    """The SQL and the Python of docs/storage.md run on a plain connection."""
    embed(notes, "notes", ["title", "body"], WordLengths())
    monkeypatch.chdir(notes.parent)
    with closing(sqlite3.connect(notes)) as conn:
        for sql in bodies("storage.md", "sql"):
            if "drop table" not in sql:
                assert conn.execute(sql).fetchall(), sql
    for code in bodies("storage.md", "python"):
        names: dict = {}
        exec(compile(code, "docs/storage.md", "exec"), names)
        assert names["matrix"].shape == (3, 16)
        names["conn"].close()


# Configuration.


def configurations():
    return [
        (page.name, yaml.safe_load(body))
        for page in PAGES
        for _, kind, body in FENCE.findall(page.read_text())
        if kind == "yaml"
    ]


@pytest.mark.parametrize(("page", "config"), configurations())
def test_configurations_are_good(page, config, make_datasette, monkeypatch):
    """Every configuration that the documentation shows is one that we take."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert read_config(make_datasette(config=config))


@pytest.mark.parametrize(
    "config", [config for page, config in configurations() if "permissions" in json.dumps(config)], ids=json.dumps
)
async def test_permissions_are_granted_as_shown(config, notes, make_datasette):
    """The blocks of docs/embedding-a-table.md let in those whom they name, and nobody else."""
    datasette = make_datasette(notes, config=config)
    await datasette.invoke_startup()
    assert await may_embed_table(datasette, {"id": "alice"}, "data", "notes")
    assert not await may_embed_table(datasette, {"id": "bob"}, "data", "notes")
    assert not await may_embed_table(datasette, None, "data", "notes")
    assert await may_embed_table(datasette, {"id": "root"}, "data", "notes") == ("root" in json.dumps(config))


# The JSON API.


async def test_the_json_api_answers_as_shown(notes, make_datasette):
    """The members of every answer in docs/embedding-a-table.md are those that are given."""
    datasette = make_datasette(notes, models=[WordLengths("minilm")])
    shown = [json.loads(body) for body in bodies("embedding-a-table.md", "json")]
    request, created, state, refused = shown
    root = {"id": "root"}
    response = await clients.post_json(datasette, "/data/notes/-/embed.json", request, root)
    assert response.status_code == 201
    assert response.json().keys() == created.keys()
    assert response.json()["collection"].keys() == created["collection"].keys()
    assert response.json()["job"].keys() == created["job"].keys()
    given = await clients.get_json(datasette, "/data/-/embed/notes.json", root)
    assert given.keys() == state.keys()
    for name in ("collection", "rows", "job", "errors"):
        assert given[name].keys() == state[name].keys()
    again = {**request, "columns": ["title"], "collection": "notes"}
    conflict = await clients.post_json(datasette, "/data/notes/-/embed.json", again, root)
    assert (conflict.status_code, conflict.json()) == (409, refused)
