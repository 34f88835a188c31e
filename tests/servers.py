"""A real `datasette serve` in a process of its own, which a test may kill."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time

import httpx

START = 60  # seconds that a server may take until it answers
STOP = 20  # seconds that it may take to stop when asked to


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, what, seconds=30.0):
    """What `condition()` returns once it is true; AssertionError naming `what` when the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError(f"Waited {seconds:g} seconds for {what}")


class Server:
    """One server process: `url`, `client` (an httpx.Client on that address, root's after `sign_in()`), `output()`."""

    def __init__(self, command, log, port, env):
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env
            )

    def output(self):
        """Everything that it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_until_it_answers(self):
        """Return once any page has been answered; a server that ended instead is an error with its output."""
        wait_for(self._answers, f"the server to answer:\n{self.output()}", START)
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
        self.process.wait(STOP)

    def terminate(self):
        """Ask it to stop and wait until it has; killed if it does not. Returns the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"The server did not stop within {STOP} seconds:\n{self.output()}") from None

    def close(self):
        """Leave nothing behind, however the test ended."""
        self.client.close()
        if self.process.poll() is None:
            self.kill()

    def _answers(self):
        assert self.process.poll() is None, f"The server ended at once:\n{self.output()}"
        try:
            return self.client.get("/-/actor.json")
        except httpx.TransportError:
            return None


def start(paths, log, *args, plugins_dir=None, root=False, port=None, env=None, answering=True):
    """`datasette serve` on these files, answering unless told otherwise; `env` is added to our own environment."""
    port = port or free_port()
    command = [sys.executable, "-m", "datasette", "serve", *map(str, paths), "--port", str(port), *map(str, args)]
    if plugins_dir:
        command += ["--plugins-dir", str(plugins_dir)]
    if root:
        command.append("--root")
    server = Server(command, log, port, {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})})
    try:
        return server.wait_until_it_answers() if answering else server
    except BaseException:
        server.close()
        raise
