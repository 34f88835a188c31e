"""`make demo`: the docstrings, the query that is printed, and a port that is taken."""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fake_models import WordLengths

from datasette_embeddings.engine.collections import create_collection, define
from demo import serve as demo

ROOT = Path(__file__).parents[1]


def run(*command, **env):
    """Run one of the demo's programs."""
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def rows(path):
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("select * from docstrings order by id").fetchall()


def test_the_docstrings_are_the_same_each_time(tmp_path):
    """The same Python builds the same rows, at least 5,000, and nothing of the environment is among them."""
    for name in ("one", "two"):
        done = run("demo/docstrings.py", tmp_path / name, PYTHONHASHSEED="7", FAKE_SECRET=f"secret {name}")
        assert (done.returncode, done.stderr) == (0, "")
    assert len(rows(tmp_path / "one")) >= 5_000
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


@pytest.mark.parametrize(
    "columns",
    [
        "id integer primary key, body text",
        "body text",
        'body text, "order" text collate nocase, chunk text, primary key ("order", chunk)',
    ],
)
async def test_the_query_is_good_sql(make_datasette, tmp_path, columns):
    """The query that is printed runs as it stands, whatever the table's key and names."""
    with closing(sqlite3.connect(tmp_path / "data.db")) as conn:
        conn.execute(f'create table "it\'s odd" ({columns})')
        definition = define(conn, "it's odd", ["body"], None, WordLengths())
        collection, _ = create_collection(conn, definition)
        sql = demo.nearest(conn, collection, "it's a question")
    datasette = make_datasette(tmp_path / "data.db", models=[WordLengths()])
    path = datasette.urls.path("/data.json?_shape=array&" + demo.urlencode({"sql": sql}))
    response = await datasette.client.get(path, follow_redirects=True)
    assert (response.status_code, response.json()) == (200, [])


def test_a_taken_port_is_said_in_a_sentence(tmp_path):
    """The demo says which port is taken and how to choose another."""
    with socket.socket() as listener:
        listener.bind((demo.HOST, 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = run("demo/serve.py", tmp_path / "demo.db", "docstrings", "--port", port)
    assert done.returncode == 1
    assert done.stderr == f"Port {port} is taken by another program. Choose one: make demo PORT={port + 1}\n"


def test_a_table_that_is_not_embedded_is_said_in_a_sentence(notes):
    """Without a collection there is nothing to try."""
    done = run("demo/serve.py", notes, "notes", "--port", 0)
    assert (done.returncode, done.stderr) == (1, "The table notes has no collection yet\n")
