"""Fixtures for the commands: in this process, in one of their own, and on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import datasettes
import pytest
import servers
from click.testing import CliRunner
from datasette.cli import cli

FAKE_MODELS = Path(__file__).parents[1] / "plugins"
STOP = 30  # seconds that a command may take to end
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


class Hold:
    """Keeps the model `held-by-file` of other processes waiting, and counts what they were given."""

    def __init__(self, path):
        self.path, self._calls = path, Path(f"{path}.calls")
        self.env = {"FAKE_MODELS_HOLD": str(path)}
        self.path.touch()

    @property
    def contents(self):
        """How many contents the processes handed to the model, all together."""
        return sum(map(int, self._calls.read_text().split())) if self._calls.exists() else 0

    def wait_for_call(self):
        """Return once a batch is inside the model."""
        servers.wait_for(lambda: self.contents, "a batch to reach the model")

    def release(self):
        """Let everything through."""
        self.path.unlink()


@pytest.fixture
def hold(tmp_path):
    """A Hold, closed."""
    return Hold(tmp_path / "hold")


class Command:
    """One `datasette embed …` in a process of its own."""

    def __init__(self, args, log, env):
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command(*args),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            )

    @property
    def output(self):
        """All that it has printed."""
        return self._log.read_text()

    def wait_for_output(self, text):
        """Return once it has printed the text."""
        servers.wait_for(lambda: text in self.output, f"{text!r} in the output:\n{self.output}")

    def interrupt(self):
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(STOP)

    def wait(self, status=0):
        """Its output, once it has ended with this exit status."""
        assert self.process.wait(STOP) == status, self.output
        return self.output


@pytest.fixture
def start(tmp_path):
    """start(*args, env={}): a Command that knows the fake models; killed at the end if it still runs."""
    with ExitStack() as stack:
        numbers = iter(range(1, 100))

        def run(*args, env=None):
            started = Command(args, tmp_path / f"command-{next(numbers)}.log", env or {})
            stack.callback(started.kill)
            return started

        yield run


class Terminal:
    """A program on a terminal of 100 columns: `type()` and `wait_for()`."""

    def __init__(self, arguments, env):
        self._master, slave = pty.openpty()
        env = {**os.environ, "COLUMNS": "100", "TERM": "dumb", **env}
        self.process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=env)
        os.close(slave)
        self.output = ""

    def wait_for(self, text):
        """Read until the text has come, and return all that came so far."""
        deadline = time.monotonic() + STOP
        while text not in self.output:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.output}"
            if select.select([self._master], [], [], 0.1)[0] and not self._read():
                break
        assert text in self.output, self.output
        return self.output

    def type(self, text):
        """Type a line."""
        os.write(self._master, text.encode() + b"\n")

    def wait(self):
        """The exit status, once it has ended and all is read."""
        while self._read():
            pass
        return self.process.wait(STOP)

    def close(self):
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait(STOP)
        os.close(self._master)

    def _read(self):
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so at the end
            data = b""
        self.output += data.decode(errors="replace")
        return data


@pytest.fixture
def terminal():
    """terminal(*args, python=(), env={}): `python PYTHON -m datasette embed ARGS` on a Terminal."""
    with ExitStack() as stack:

        def run(*args, python=(), env=None):
            return stack.enter_context(closing(Terminal(command(*args, python=python), env or {})))

        yield run


def command(*args, python=()):
    """The command line of `datasette embed ARGS` with the fake models."""
    return [
        sys.executable,
        *python,
        "-m",
        "datasette",
        "embed",
        "--plugins-dir",
        str(FAKE_MODELS),
        *map(os.fsdecode, args),
    ]


@pytest.fixture
def plugins_dir():
    """The folder with the fake models."""
    return FAKE_MODELS


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
