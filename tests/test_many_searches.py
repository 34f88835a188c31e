"""Many clients that search a large collection of a `datasette serve` at once: its process for scans."""

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from searched import large_notes
from servers import children, is_alive, wait_for

ROWS, DIMENSIONS = 33_000, 384  # more than are compared exactly
ASKED = range(7, ROWS, ROWS // 40)

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="without it there is no such process")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    vectors = np.random.default_rng(1).standard_normal((ROWS, DIMENSIONS), np.float32)
    return large_notes(tmp_path_factory.mktemp("large") / "data.db", vectors)


def similar(server, row):
    """What the page and SQL give for a row: the keys and scores of the nearest."""
    by_page = server.json(f"/data/notes/-/similar.json?row={row}")["matches"]
    sql = f"select embed_similar('notes', {row}) as found"
    rows = server.client.get("/data.json", params={"sql": sql, "_shape": "array"}, follow_redirects=True).json()
    return [(match["key"], match["score"]) for match in by_page], rows[0]["found"]


def all_at_once(server):
    """What ten clients get who ask for all rows."""
    with ThreadPoolExecutor(10) as clients:
        return list(clients.map(lambda row: similar(server, row), ASKED))


def scanning(server):
    """The process for scans, once searches have met."""
    (process,) = wait_for(lambda: all_at_once(server) and children(server.process.pid), "the process for scans")
    return process


def test_ten_clients(serve, path):
    """They get what one gets, whether or not the process is there, and after it was killed; it ends with the server."""
    server = serve(path)
    expected = [similar(server, row) for row in ASKED]
    assert children(server.process.pid) == []
    assert all_at_once(server) == expected
    process = scanning(server)
    assert all_at_once(server) == expected
    os.kill(process, signal.SIGKILL)
    assert all_at_once(server) == expected
    assert re.search("without a process of their own, which (ended with -9|does not start)", server.output())


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_it_ends_with_the_server(serve, path, end):
    """However the server ends."""
    server = serve(path)
    process = scanning(server)
    getattr(server, end)()
    wait_for(lambda: not is_alive(process), "the process ends with the server")
