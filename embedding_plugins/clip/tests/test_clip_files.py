"""Images by their paths and addresses: what is read, and what is not."""

import os
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import datasette_embed_clip as plugin
from datasette_embed_clip import Files, Unreadable


@pytest.fixture
def folder(tmp_path, picture):
    """A folder with pictures in it and beside it, and links of both kinds."""
    folder = tmp_path / "pictures"
    (folder / "deep er").mkdir(parents=True)
    for path in (folder / "a.png", folder / "deep er" / "ü.png", tmp_path / "secret.png"):
        path.write_bytes(picture(1))
    (folder / "inward.png").symlink_to("deep er/ü.png")
    (folder / "outward.png").symlink_to(tmp_path / "secret.png")
    (folder / "up").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    return folder


@contextmanager
def serving(answer):
    """A server whose GET is `answer(handler)`; its host with the port, and the paths it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["User-Agent"]))
            answer(self)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join(10)


def send(handler, status, body=b"", **headers):
    """Answer with a body and with headers."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def read(name, folder=None, hosts=()):
    """What is read by a name."""
    return Files(folder and folder.resolve(), frozenset(hosts)).read(name)


@pytest.mark.parametrize("name", ["a.png", " a.png\n", "deep er/ü.png", "deep er/../a.png", "inward.png", "{}/a.png"])
def test_a_path_in_the_folder(folder, picture, name):
    """Below the folder any path is read, as an absolute one too, and so are links that lead to where it may be."""
    assert read(name.format(folder.resolve()), folder) == picture(1)


@pytest.mark.parametrize(
    "name", ["../secret.png", "up/secret.png", "deep er/../../secret.png", "{}/../secret.png", "outward.png", "/", ".."]
)
def test_a_path_out_of_the_folder(folder, name):
    """Neither .. nor an absolute path nor a link leads out of the folder."""
    with pytest.raises(Unreadable, match="is not in the folder"):
        read(name.format(folder.resolve()), folder)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "there is no file"),
        ("deep er", "there is no file"),
        ("none.png", "there is no file 'none.png'"),
        ("pipe", "there is no file"),
        ("file:///etc/passwd", "there is no file"),
        ("loop", "cannot be read|there is no file"),
        ("a\0.png", "cannot be read"),
        ("\ud800.png", "cannot be read"),
        ("a" * 100_000, "cannot be read"),
    ],
)
def test_a_path_that_is_no_file(folder, name, reason):
    """Folders, pipes and what no file can be called are refused; no message has the way to the folder in it."""
    with pytest.raises(Unreadable, match=reason) as caught:
        read(name, folder)
    assert str(folder) not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_too_large(folder, monkeypatch):
    """No more is read than is allowed."""
    monkeypatch.setattr(plugin, "MOST_BYTES", 50)
    with pytest.raises(Unreadable, match=r"'a.png' has more than"):
        read("a.png", folder)


def test_no_folder():
    """Where only hosts are configured, no path is read."""
    with pytest.raises(Unreadable, match="no folder is configured"):
        read("/etc/passwd", hosts=["example.org"])


def test_an_address(picture):
    """An address on one of the hosts is fetched, whatever characters it has, with a name to ask after."""
    with serving(lambda handler: send(handler, 200, picture(2))) as (host, asked):
        assert read(f"http://{host}/größe/a b.png?x=%20", hosts=[host]) == picture(2)
    assert asked == [("/gr%C3%B6%C3%9Fe/a%20b.png?x=%20", "datasette-embed-clip")]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/a.png",
        "http://127.0.0.1:1/a.png",
        "http://{}@127.0.0.1:1/a.png",
        "HTTP://127.0.0.1:1/{}",
        "https://[::1]/a.png",
        "http:///a.png",
    ],
)
def test_an_address_of_another_host(address):
    """Only the hosts that are configured are asked; another port is another host."""
    with serving(lambda handler: send(handler, 200)) as (host, asked):
        with pytest.raises(Unreadable, match="is not among the hosts"):
            read(address.format(host), hosts=[host])
        assert asked == []


def test_addresses_without_hosts(folder):
    """Where only a folder is configured, nothing is fetched."""
    with pytest.raises(Unreadable, match=r"'example.org' is not among the hosts"):
        read("https://example.org/a.png", folder)


def test_redirects(picture):
    """A redirect is followed to one of the hosts, and to no other."""

    def answer(handler):
        target = {"/in": "/a.png", "/out": "http://127.0.0.1:1/a.png", "/file": "file:///etc/passwd"}.get(handler.path)
        send(handler, 302, Location=target) if target else send(handler, 200, picture(3))

    with serving(answer) as (host, _):
        assert read(f"http://{host}/in", hosts=[host]) == picture(3)
        for path, named in (("/out", "127.0.0.1:1"), ("/file", "")):
            with pytest.raises(Unreadable, match=rf"'{named}' is not among the hosts|cannot be read|answered 302"):
                read(f"http://{host}{path}", hosts=[host])


def test_a_server_that_has_no_image():
    """The error has the status that the server answered."""
    with serving(lambda handler: send(handler, 404)) as (host, _), pytest.raises(Unreadable, match="answered 404 for"):
        read(f"http://{host}/a.png", hosts=[host])


def test_a_server_that_is_not_there():
    """The error has the reason."""
    with serving(lambda handler: None) as (host, _):
        pass
    with pytest.raises(Unreadable, match="refused"):
        read(f"http://{host}/a.png", hosts=[host])


def test_a_server_that_never_stops(monkeypatch):
    """No more is fetched than is allowed, in bytes and in seconds."""

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        while not handler.wfile.closed:
            try:
                handler.wfile.write(bytes(1000))
            except OSError:
                return

    with serving(answer) as (host, _):
        monkeypatch.setattr(plugin, "MOST_BYTES", 10_000)
        with pytest.raises(Unreadable, match="has more than"):
            read(f"http://{host}/a.png", hosts=[host])
        monkeypatch.setattr(plugin, "MOST_BYTES", 10**12)
        monkeypatch.setattr(plugin, "FETCH_SECONDS", 0.1)
        with pytest.raises(Unreadable, match="took longer than"):
            read(f"http://{host}/a.png", hosts=[host])


def test_a_server_that_says_nothing(monkeypatch):
    """A server that answers nothing is waited for only so long."""
    monkeypatch.setattr(plugin, "FETCH_TIMEOUT", 0.1)
    ended = threading.Event()
    with serving(lambda handler: ended.wait(60)) as (host, _):
        began = time.monotonic()
        with pytest.raises(Unreadable, match=r"cannot be read \(timed out|TimeoutError"):
            read(f"http://{host}/a.png", hosts=[host])
        ended.set()
        assert time.monotonic() - began < 60
