"""A real `datasette serve` in a process of its own, which a test may kill."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

DATASETTE = Path(__file__).parent / "named_plugins"  # what Python runs as the command `datasette`

# Seconds after which a wait is a failure. A wait that goes well costs nothing of them, and a machine may be very busy.
PATIENCE = 120


@contextmanager
def closed_port():
    """A port of this machine that refuses every connection while the block runs: taken, and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def wait_for(condition, what, seconds=PATIENCE):
    """What `condition()` returns once it is true; AssertionError naming `what` when the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError(f"Waited {seconds:g} seconds for {what}")


def is_alive(pid):
    """Whether this process runs: it is there, and no zombie."""
    found = _stat(pid)
    return bool(found) and found[0] != "Z"


def children(pid):
    """The ids of the processes that this one started and that run, as Linux tells them."""
    running = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [child for child in running if is_alive(child) and _stat(child)[1:2] == [str(pid)]]


def _stat(pid):
    """The state of a process, the id of its parent, and more; nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


class Server:
    """One server process: `url`, `client` (an httpx.Client on that address, root's after `sign_in()`), `output()`."""

    def __init__(self, command, log, env):
        self.url = None  # known once it answers
        self.client = httpx.Client(timeout=PATIENCE)
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env
            )

    def output(self):
        """Everything that it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_until_it_answers(self):
        """Return once it says where; a server that ended instead is an error with its output."""
        self.url = self.client.base_url = wait_for(self._address, "the server to answer")
        return self

    def sign_in(self):
        """Give `client` the cookie of root, by the address that --root prints, and return the cookies as a dict."""
        found = wait_for(lambda: re.search(r"/-/auth-token\?token=\w+", self.output()), "root's address")
        self.client.get(found[0])
        return dict(self.client.cookies)

    def json(self, path, status=200):
        """The JSON of GET, its status checked."""
        response = self.client.get(path)
        assert response.status_code == status, response.text
        return response.json()

    def post(self, path, body, status=None):
        """The response to a JSON body, its status checked where one is given."""
        response = self.client.post(path, json=body)
        assert status in (None, response.status_code), response.text
        return response

    def kill(self):
        """End it at once, as a power cut would (SIGKILL)."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def terminate(self):
        """Ask it to stop and wait until it has; killed if it does not. Returns the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"The server did not stop within {PATIENCE} seconds:\n{self.output()}") from None

    def close(self):
        """Leave nothing behind, however the test ended."""
        self.client.close()
        if self.process.poll() is None:
            self.kill()

    def _address(self):
        assert self.process.poll() is None, f"The server ended at once:\n{self.output()}"
        found = re.search(r"Uvicorn running on (http://[\d.:]+) ", self.output())
        return found and found[1]


def start(paths, log, *args, plugins_dir=None, root=False, env=None, answering=True):
    """`datasette serve` on these files, answering unless told otherwise; `env` is added to our own environment.

    Port 0 is one that the system finds: a port that we chose could be taken before the server has it.
    """
    command = [sys.executable, str(DATASETTE), "serve", *map(str, paths), "--port", "0", *map(str, args)]
    if plugins_dir:
        command += ["--plugins-dir", str(plugins_dir)]
    if root:
        command.append("--root")
    server = Server(command, log, {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})})
    try:
        return server.wait_until_it_answers() if answering else server
    except BaseException:
        server.close()
        raise
