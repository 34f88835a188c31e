"""The fixtures of the test-suite: a Datasette, a server, a browser, a small database."""

from __future__ import annotations

import itertools
import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import chromium
import datasettes
import pytest
import servers
from hypothesis import HealthCheck, settings
from playwright.sync_api import sync_playwright

# A model plugin that happens to be installed must not change what is tested, here or in a process that a test starts:
# a test of another plugin registers it, or names it in this variable.
LOADED = ("datasette-embed", "datasette-embed-sentence-transformers")
os.environ["DATASETTE_LOAD_PLUGINS"] = ",".join(LOADED)
datasettes.unload_all_but(*LOADED)

# The same examples each time, and as much time for each as a busy machine takes.
settings.register_profile("the same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("the same")

FAKE_MODELS = Path(__file__).parent / "tests" / "plugins"
NOTES = (
    (1, "Bread", "Mix flour and water, wait, bake"),
    (2, "Bicycles", "Oil the chain when it squeaks"),
    (3, "Birds", "Swifts sleep while they fly"),
)


def pytest_collection_modifyitems(items):
    """Mark what needs a browser, so that `-m "not browser"` leaves nothing of it."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.fixture(scope="session", autouse=True)
def no_folder_of_llm(tmp_path_factory):
    """LLM's plugins write into their user's folder as soon as they are loaded, as 0.65 does in a process of a test."""
    os.environ["LLM_USER_PATH"] = str(tmp_path_factory.mktemp("llm"))


@pytest.fixture
def notes(tmp_path):
    """The path of a database with one table: notes(id, title, body), three rows."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table notes (id integer primary key, title text, body text)")
        conn.executemany("insert into notes values (?, ?, ?)", NOTES)
    return path


@pytest.fixture
def make_datasette():
    """make_datasette(*paths, models=(), plugins=(), config=None, installed_models=False, root=True, **options).

    Only `models` are registered, unless `installed_models=True` leaves in what pip installed, or `plugins_dir=` adds
    some. `config` is what datasette.yaml would say. Root is all-powerful as after `serve --root`, unless `root=False`.
    """
    with ExitStack() as stack:

        def make(*paths, models=(), plugins=(), config=None, installed_models=False, root=True, **options):
            if not installed_models:
                stack.enter_context(datasettes.no_installed_models())
            registers = datasettes.Models(models)
            stack.enter_context(datasettes.plugins(registers, *plugins))
            datasette = registers.datasette = datasettes.build(*paths, config=config, root=root, **options)
            stack.callback(datasettes.close, datasette)
            return datasette

        yield make


@pytest.fixture
def serve(tmp_path):
    """serve(*paths, args=(), plugins_dir=FAKE_MODELS, root=False, env=None, answering=True): a Server.

    May be called again in one test, as after a kill; what still runs at the end is killed.
    """
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def start(*paths, args=(), plugins_dir=FAKE_MODELS, **options):
            log = tmp_path / f"server-{next(numbers)}.log"
            server = servers.start(paths, log, *args, plugins_dir=plugins_dir, **options)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def closed_port():
    """A port that refuses every connection."""
    with servers.closed_port() as port:
        yield port


@pytest.fixture(scope="module")
def browser():
    """A Chromium for one module. An async test cannot stand in the same module: Playwright occupies the event loop."""
    chromium.find()
    with sync_playwright() as playwright, closing(chromium.launch(playwright)) as browser:
        yield browser


@pytest.fixture
def page(browser):
    """A page of a fresh profile; an uncaught JavaScript error in it fails the test."""
    with closing(chromium.new_context(browser)) as context:
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(error))  # Playwright takes no built-in function
        yield page
        assert not errors, f"Uncaught in the page: {errors}"
