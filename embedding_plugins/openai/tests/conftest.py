"""A server of this process that speaks the OpenAI embeddings API, and does so badly where a test says so."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from servers import PATIENCE

import datasette_embed_openai as plugin
from datasette_embeddings.registry import registry_for


def vector_of(text):
    """The vector that the server has for a text: 32 numbers that a float32 holds exactly."""
    return [byte / 128 - 1 for byte in hashlib.sha256(text.encode()).digest()]


class Request(NamedTuple):
    """What the server was asked, and when."""

    path: str
    headers: dict
    body: dict
    moment: float  # on monotonic()'s clock


class Reply(NamedTuple):
    """What it answers; tests write a tuple."""

    status: int
    body: object = ""  # bytes, a text, or what becomes JSON
    headers: dict = {}  # noqa: RUF012 (nobody changes it)


def well(body):
    """The reply of a server that is well."""
    embeddings = [vector_of(text)[: body.get("dimensions")] for text in body["input"]]
    if body.get("encoding_format") == "base64":
        embeddings = [base64.b64encode(struct.pack(f"<{len(e)}f", *e)).decode() for e in embeddings]
    data = [{"object": "embedding", "index": index, "embedding": e} for index, e in enumerate(embeddings)]
    return Reply(200, {"object": "list", "model": body["model"], "data": data})


class FakeServer(ThreadingHTTPServer):
    """Answers with its `replies` in turn, each a Reply or a function of the body; then `answer` is the function.

    `requests` has all that came; `held`, an Event, makes every request wait until it is set.
    """

    daemon_threads = True
    well, vector_of = staticmethod(well), staticmethod(vector_of)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.host}/v1"
        self.answer = well
        self.requests, self.replies = [], deque()
        self.held = threading.Event()
        self.held.set()
        self.stopped = threading.Event()
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()

    @property
    def batches(self):
        """The texts of each request."""
        return [request.body["input"] for request in self.requests]

    def reply_to(self, request):
        """Keep the request, and find its reply once the test lets it go."""
        with self.lock:
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            reply = self.replies.popleft() if self.replies else self.answer
        self.held.wait(PATIENCE)
        with self.lock:
            self.in_flight -= 1
        return Reply(*(reply(request.body) if callable(reply) else reply))

    def hang(self, body):
        """Answer when it is too late."""
        self.stopped.wait(PATIENCE)
        return well(body)

    @staticmethod
    def disorder(body):
        """All the vectors, the last one first."""
        answer = well(body)
        answer.body["data"].reverse()
        return answer

    @staticmethod
    def too_short(body):
        """All the vectors but the last one."""
        answer = well(body)
        answer.body["data"].pop()
        return answer

    def handle_error(self, request, client_address):
        """A client that went away is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: between two, TCP would wait for 40 ms

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = self.server.reply_to(Request(self.path, dict(self.headers), body, monotonic()))
        data = reply.body if isinstance(reply.body, bytes | str) else json.dumps(reply.body)
        data = data.encode() if isinstance(data, str) else data
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **reply.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *args):
        """Say nothing."""


@contextmanager
def started_servers():
    """A function that starts a FakeServer, until the block ends; `tls` is an SSLContext."""
    started = []

    def start(tls=None):
        server = FakeServer()
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            server.url = server.url.replace("http:", "https:")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return server

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "127.0.0.1")
        yield start
    for server in started:
        server.held.set()
        server.stopped.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def start_server():
    """start_server(tls=None): another FakeServer, which ends with the test."""
    with started_servers() as start:
        yield start


@pytest.fixture(scope="module")
def lasting_server():
    """A FakeServer for one module."""
    with started_servers() as start:
        yield start()


@pytest.fixture
def server(start_server):
    return start_server()


class Clock:
    """A clock on which every pause is over at once; `pauses` has their seconds."""

    def __init__(self):
        self.now, self.pauses = 1000.0, []

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """The Clock by which the plugin pauses, and by which it knows for how long to leave a server alone."""
    clock = Clock()

    class Event(threading.Event):
        def wait(self, timeout):
            clock.pause(timeout)

    fakes = SimpleNamespace(Event=Event, Thread=threading.Thread, Lock=threading.Lock)
    monkeypatch.setattr(plugin, "threading", fakes)
    monkeypatch.setattr(plugin, "monotonic", clock)
    return clock


@pytest.fixture
def configured(make_datasette):
    """configured(**entry): the model of this entry of the configuration, registered beside OpenAI's own."""

    def model(**entry):
        config = {"plugins": {"datasette-embed-openai": {"models": [{"id": "m", "name": "mini", **entry}]}}}
        return registry_for(make_datasette(plugins=[plugin], config=config)).model(entry.get("id", "m"))

    return model
