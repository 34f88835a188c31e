"""docs/writing-a-model-plugin.md, from its first line to its last: what it shows is typed, saved, installed and run."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from consoles import fresh_environment, play
from contracts import broken_promises, contract_of
from datasette.app import Datasette
from embedded import embed, errors
from pages import blocks, bodies, text

from datasette_embeddings import KeyRefused, ModelBusy
from datasette_embeddings.cli.new_plugin import names_of, write_skeleton
from datasette_embeddings.registry import registry_for
from datasette_embeddings.testing import ModelContract

PAGE = "writing-a-model-plugin.md"
PYTHON = bodies(PAGE, "python")
PLUGINS = {code.split(".py")[0].removeprefix("# plugins/"): code for code in PYTHON if code.startswith("# plugins/")}
BINARIES = [b"GIF89a", b"\x89PNG\r\n"]

DEBUGGER, REPORT = (
    body.splitlines() for body in bodies(PAGE, "") if "pdb.pm()" in body or "could not be embedded" in body
)

SELECT = """
import asyncio, json, sys
from datasette.app import Datasette

async def main():
    rows = await Datasette(memory=True).get_database("_memory").execute(sys.argv[1])
    print(json.dumps([dict(row) for row in rows.rows]))

asyncio.run(main())
"""


def test_ten_minutes(tmp_path):
    """In a fresh environment every command prints what is shown, and in the end SQL gives what is shown."""
    env = fresh_environment(tmp_path / "env", ["datasette-embed", "datasette-embed-spelling"])
    consoles = bodies(PAGE, "console")
    assert sum(console.count("\n$ ") + 1 for console in consoles) == 6
    if not hasattr(Datasette, "allowed"):  # 0.65, as the page says
        consoles = [console.replace("datasette install -e .", "pip install -e .") for console in consoles]
    play(consoles, tmp_path, env)
    ((sql, answer),) = [
        (first[1], second[1])
        for first, second in itertools.pairwise(blocks(PAGE, "sql", "json"))
        if (first[0], second[0]) == ("sql", "json")
    ]
    command = ["python", "-c", SELECT, sql]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [pytest.approx(row, abs=0.01) for row in json.loads(answer)]


def test_the_module_is_the_skeletons(tmp_path):
    """What the page shows is what the command writes."""
    folder = tmp_path / "datasette-embed-spelling"
    write_skeleton(folder, names_of("spelling"))
    assert (folder / "datasette_embed_spelling.py").read_text() == PYTHON[0]


class Embeddings(BaseHTTPRequestHandler):
    """A server of the kind that the page calls: a vector of two numbers for each text, in no order."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        refused = self.headers["authorization"] != "Bearer secret"
        busy = "BUSY" in body["input"]
        data = [{"index": n, "embedding": [float(len(text)), 1.0]} for n, text in enumerate(body["input"])]
        self.answer(401 if refused else 429 if busy else 200, {"data": data[::-1]})

    def answer(self, status, body):
        answer = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Embeddings) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/embeddings"
        server.shutdown()
        thread.join()


@pytest.fixture
def registered(tmp_path, make_datasette, server):
    """registered(code, *paths): the one model of a plugin that is saved as a file in a --plugins-dir."""

    def register(code, *paths):
        folder = tmp_path / "plugins"
        folder.mkdir()
        (folder / "a_plugin.py").write_text(code)
        (entry,) = registry_for(make_datasette(*paths, plugins_dir=str(folder))).models
        if hasattr(entry.model, "url"):
            type(entry.model).url = server
        return entry

    return register


@pytest.mark.parametrize("name", PLUGINS)
def test_plugins_work_as_written(name, registered, notes, monkeypatch):
    """Every plugin embeds a table, and keeps the contract of models."""
    monkeypatch.setenv("EXAMPLE_API_KEY", "secret")
    model = registered(PLUGINS[name], notes).model
    assert embed(notes, "notes", ["title", "body"], model).embedded == 3, errors(notes)
    assert broken_promises(contract_of(type(model), binaries=BINARIES)) == {}
    if model.max_tokens:
        assert model.count_tokens("bread") > 0


def test_a_refused_key_fails_the_job(registered, notes, monkeypatch):
    """The plugin that calls a server says so in the job's reason where that refuses the key."""
    monkeypatch.setenv("EXAMPLE_API_KEY", "wrong")
    model = registered(PLUGINS["example_api"]).model
    job = embed(notes, "notes", ["title"], model)
    assert (job.status, job.failed) == ("failed", 0)
    assert job.reason == "The server of example-large answered 401: it refuses the key"
    with pytest.raises(KeyRefused):
        model.embed("a")


def test_a_busy_server_says_for_how_long(registered, monkeypatch):
    """What passes is ModelBusy, with the seconds of Retry-After; so is a server that is not there."""
    monkeypatch.setenv("EXAMPLE_API_KEY", "secret")
    model = registered(PLUGINS["example_api"]).model
    with pytest.raises(ModelBusy, match="answered 429") as caught:
        model.embed("BUSY")
    assert caught.value.retry_after == 7
    model.url = "http://127.0.0.1:9/"  # the port of the discard service, which nobody offers
    with pytest.raises(ModelBusy, match="cannot be reached"):
        model.embed("a")


def test_the_contract_as_shown(tmp_path, monkeypatch):
    """The test that the page shows passes beside the plugin that it is about."""
    (code,) = (code for code in PYTHON if code.startswith("# tests/"))
    (tmp_path / "byte_counts.py").write_text(PLUGINS["byte_counts"])
    (tmp_path / "test_byte_counts.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "14 passed" in done.stdout


@pytest.mark.parametrize("name", [name for name in vars(ModelContract) if not name.startswith(("_", "test_"))])
def test_what_an_author_may_override_is_documented(name):
    """Everything of the contract that is no test has its place on the page; two of these are there to be used."""
    assert name in ("model", "contents") or f"`{name}" in text(PAGE)


@pytest.fixture
def with_the_bug(tmp_path, notes):
    """with_the_bug(*options, **more): what `python OPTIONS -m datasette embed table …` prints, with the bug shown."""
    (bug,) = (line.removeprefix("-> ") for line in DEBUGGER if line.startswith("-> "))
    code = PYTHON[0].replace("        return counts\n", f"        {bug}\n        return counts\n")
    (tmp_path / "datasette_embed_spelling.py").write_text(code)

    def run(*options, **more):
        arguments = ["datasette", "embed", "table", notes, "notes", "title", "body", "-m", "spelling"]
        command = [sys.executable, *options, "-m", *arguments, "--plugins-dir", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
        return done.stdout + done.stderr

    return run


def test_a_bug_without_a_debugger(with_the_bug):
    """One row fails, as shown."""
    printed = re.sub(r"in [\d.]+ s", "in 0.2 s", with_the_bug())
    assert [line for line in REPORT if line not in printed] == []


def test_a_bug_in_the_debugger(with_the_bug):
    """pdb stands at the line that is shown, and knows the content."""
    env = {**os.environ, "DATASETTE_EMBED_RAISE_ERRORS": "1", "PYTHON_BASIC_REPL": "1"}
    printed = with_the_bug("-i", input="import pdb; pdb.pm()\np content\n", env=env)
    place, line, _, content = DEBUGGER[-4:]
    assert [shown for shown in (place.removeprefix("> "), line, content) if shown not in printed] == []


@pytest.mark.minilm
def test_the_ported_plugin_registers_its_model(registered, monkeypatch):
    """The plugin of LLM's documentation, with the changes of the diff, is one of ours."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # read once, when torch is imported, which may be here
    pytest.importorskip("sentence_transformers")
    (diff,) = bodies(PAGE, "diff")
    entry = registered("\n".join(line[1:] for line in diff.splitlines() if not line.startswith("-")))
    assert (entry.name, entry.aliases) == ("sentence-transformers/all-MiniLM-L6-v2", ("all-MiniLM-L6-v2",))
