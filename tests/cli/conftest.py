"""The fixtures for the commands: run in this process, in one of their own, and on a terminal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing

import commands
import datasettes
import pytest
from click.testing import CliRunner
from datasette.cli import cli
from embedded import make_file
from fake_models import WordLengths
from searched import Numbers

POINTS = {"a": [1, 0], "b": [4, 3], "c": [3, 4], "d": [0, 1], "e": [-1, 0]}
ROWS = 300  # of `many`: several batches, as the first holds 32 contents


@pytest.fixture
def embed():
    """embed(*args, models=(), installed_models=False, status=0, **options): what `datasette embed ARGS` came to.

    Its exit status is checked. Only `models` are registered, unless `installed_models=True` leaves in what pip
    installed, or a --plugins-dir among the arguments adds some.
    """

    def run(*args, models=(), installed_models=False, status=0, **options):
        with ExitStack() as stack:
            if not installed_models:
                stack.enter_context(datasettes.no_installed_models())
            stack.enter_context(datasettes.plugins(datasettes.Models(models)))
            result = CliRunner().invoke(cli, ["embed", *map(str, args)], **options)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def many(tmp_path):
    """The path of a database with one table: notes(id, body), of ROWS different rows."""
    path = tmp_path / "many.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table notes (id integer primary key, body text)")
        conn.executemany("insert into notes values (?, ?)", [(n, words(n)) for n in range(1, ROWS + 1)])
    return path


def words(number):
    """A text whose word lengths are the number's digits."""
    return " ".join("x" * int(digit) or "-" for digit in str(number)) + f" {number}"


@pytest.fixture
def table(embed):
    """table(path, *args, model=… or models=[…], **options): `datasette embed table`; by WordLengths if not said."""

    def run(path, *args, model=None, models=None, **options):
        return embed("table", path, *args, models=models or [model or WordLengths()], **options)

    return run


@pytest.fixture
def execute():
    """execute(path, *statements): change a file."""

    def run(path, *statements):
        with closing(sqlite3.connect(path)) as conn, conn:
            for statement in statements:
                conn.execute(statement)

    return run


@pytest.fixture
def hold(tmp_path):
    """A Hold, closed."""
    return commands.Hold(tmp_path / "hold")


@pytest.fixture
def start(tmp_path):
    """start(*args, env={}): a Command that knows the fake models; killed at the end if it still runs."""
    with ExitStack() as stack:
        numbers = iter(range(1, 100))

        def run(*args, env=None):
            started = commands.Command(args, tmp_path / f"command-{next(numbers)}.log", env or {})
            stack.callback(started.kill)
            return started

        yield run


@pytest.fixture
def terminal():
    """terminal(*args, python=(), env={}): `datasette embed ARGS` by `python PYTHON` on a Terminal."""
    with ExitStack() as stack:

        def run(*args, python=(), env=None):
            return stack.enter_context(closing(commands.Terminal(args, env or {}, python)))

        yield run


@pytest.fixture
def plugins_dir():
    """The folder with the fake models."""
    return commands.FAKE_MODELS


@pytest.fixture
def read():
    """read(path, sql, *values): the rows of a query on a file."""

    def run(path, sql, *values):
        with closing(sqlite3.connect(path)) as conn:
            return conn.execute(sql, values).fetchall()

    return run


@pytest.fixture
def vectors(read):
    """vectors(path, collection="notes"): what is stored for each row, in order."""

    def run(path, collection="notes"):
        return read(path, f'select id, content_hash, vector from "_embed_vectors_{collection}" order by id')

    return run


@pytest.fixture
def points(tmp_path, table):
    """points(columns="id text primary key, body text", rows=POINTS, ending=""): an embedded table `notes` of these."""

    def make(columns="id text primary key, body text", rows=None, ending=""):
        rows = rows or [(key, json.dumps(vector)) for key, vector in POINTS.items()]
        path = make_file(tmp_path / "points.db", f"create table notes ({columns}) {ending}", notes=rows)
        table(path, "notes", "body", model=Numbers())
        return path

    return make


@pytest.fixture
def search(embed):
    """search(path, *args, command="search", models=None): the matches in the collection notes, from -f json."""

    def run(path, *args, command="search", models=None, **options):
        args = (command, path, "notes", *args, "-f", "json")
        return json.loads(embed(*args, models=models or [Numbers()], **options).stdout)

    return run
