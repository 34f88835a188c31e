"""`datasette embed …` in a process of its own, which a test may interrupt, kill, or give a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import servers

FAKE_MODELS = Path(__file__).parent / "plugins"


def command_line(*args, python=()):
    """The command line of `datasette embed ARGS` with the fake models."""
    return [
        sys.executable,
        *python,
        str(servers.DATASETTE),
        "embed",
        "--plugins-dir",
        str(FAKE_MODELS),
        *map(os.fsdecode, args),
    ]


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


class Command:
    """One `datasette embed …` in a process of its own."""

    def __init__(self, args, log, env):
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command_line(*args),
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
        self.process.wait(servers.PATIENCE)

    def wait(self, status=0):
        """Its output, once it has ended with this exit status."""
        assert self.process.wait(servers.PATIENCE) == status, self.output
        return self.output


class Terminal:
    """A program on a terminal of 100 columns: `type()` and `wait_for()`."""

    def __init__(self, args, env, python=()):
        self._master, slave = pty.openpty()
        env = {**os.environ, "COLUMNS": "100", "TERM": "dumb", **env}
        self.process = subprocess.Popen(
            command_line(*args, python=python), stdin=slave, stdout=slave, stderr=slave, env=env
        )
        os.close(slave)
        self.output = ""

    def wait_for(self, text):
        """Read until the text has come, and return all that came so far."""
        deadline = time.monotonic() + servers.PATIENCE
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
        return self.process.wait(servers.PATIENCE)

    def close(self):
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait(servers.PATIENCE)
        os.close(self._master)

    def _read(self):
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so at the end
            data = b""
        self.output += data.decode(errors="replace")
        return data
