"""Several clients at once, in threads over one cache and over HTTP against a `datasette serve` of its own."""

from __future__ import annotations

import gc
import http.client
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import datasette
import numpy as np
from search_contestants import BUDGET, K, our_answer
from search_files import TABLE, Matrix

from datasette_embeddings.engine.search import Caches

CLIENTS = 10
PAUSE = 0.05  # seconds between two requests for the row page
WARMING = 1.0  # seconds in which all ask before anything counts: a server that is busy starts its process for scans
START = 60  # seconds that a server may take until it answers

STAT = Path("/proc/stat")

Ask = Callable[[], object]


@dataclass(frozen=True)
class Served:
    """What clients that asked without a pause got: seconds of every answer, and seconds of it all."""

    times: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    def __str__(self) -> str:
        quarter, median, late = (1000 * float(np.percentile(self.times, share)) for share in (5, 50, 95))
        slowest = 1000 * max(self.times)
        return (
            f"{self.rate:6.1f} a second; median {median:6.1f} ms (5 % {quarter:.1f}, 95 % {late:.1f}), "
            f"slowest {slowest:6.1f} ms"
        )


def served(asks: list[Ask], seconds: float, pause: float = 0.0) -> Served:
    """One thread for each client, each asking again as soon as it has its answer."""
    gc.freeze()  # or the collector of cyclic garbage stops all clients at once, as if the server had
    times: list[float] = []
    end = time.perf_counter() + seconds

    def client(ask: Ask) -> None:
        while time.perf_counter() < end:
            began = time.perf_counter()
            ask()
            times.append(time.perf_counter() - began)
            time.sleep(pause)

    threads = [threading.Thread(target=client, args=(ask,)) for ask in asks]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Served(times, time.perf_counter() - began)


def in_threads(path: Path, queries: Matrix, seconds: float) -> tuple[Served, Served]:
    """One client, then ten, each with a connection of its own, over one cache."""
    caches = Caches(BUDGET)
    asks = [asking(our_answer(path, caches), queries, number) for number in range(CLIENTS)]
    served(asks, WARMING)
    return served(asks[:1], seconds), served(asks, seconds)


def asking(answer: Callable[[np.ndarray], object], queries: Matrix, seed: int) -> Ask:
    """The answer to a query drawn anew every time."""
    draw = random.Random(seed)
    return lambda: answer(queries[draw.randrange(len(queries))])


@dataclass(frozen=True)
class Page:
    """A kind of request to the server: its name, and its path for a row id."""

    name: str
    path: Callable[[int], str]


def pages(database: str) -> list[Page]:
    """Asking for rows like a row, by the page and by SQL; the vectors need no model."""
    vector = f"(select vector from _embed_vectors_{TABLE} where vector_id = :id)"
    sql = f"select embed_search('{TABLE}', {vector}, {K}) as found"
    # Datasette 1.0 has a page of its own for SQL; the other address would cost a second request.
    query = f"/{database}.json" if datasette.__version__.startswith("0.") else f"/{database}/-/query.json"
    return [
        Page("/-/similar.json?row=", lambda row: f"/{database}/{TABLE}/-/similar.json?row={row}"),
        Page("embed_search() by SQL", lambda row: f"{query}?{urlencode({'sql': sql, 'id': row})}"),
    ]


def over_http(path: Path, rows: int, seconds: float) -> Iterator[str]:
    """Lines about one client and ten, and about the row page that is asked for meanwhile."""
    with server(path) as port:
        memory = held(port.process.pid)
        row_page = requesting(port.number, lambda row: f"/{path.stem}/{TABLE}/{row}", rows, 0)
        row_page()
        yield f"  row page alone:          {served([row_page], seconds / 2, PAUSE)}"
        for page in pages(path.stem):
            asks = [requesting(port.number, page.path, rows, number) for number in range(1, CLIENTS + 1)]
            served(asks, WARMING)
            one = served(asks[:1], seconds)
            before = processors()
            ten, meanwhile = together(asks, row_page, seconds)
            yield f"  {page.name}, 1 client:   {one}"
            yield f"  {page.name}, 10 clients: {ten}; {ten.rate / one.rate:.2f} x the throughput of one"
            yield f"  row page meanwhile:      {meanwhile}"
            yield f"  the processors:          {taken(before, processors())}"
        yield f"  the server's memory:     {(held(port.process.pid) - memory) / 1e6:.0f} MB above its start"


def together(asks: list[Ask], row_page: Ask, seconds: float) -> tuple[Served, Served]:
    """The clients, and one more that asks for a row page now and then."""
    meanwhile: list[Served] = []
    thread = threading.Thread(target=lambda: meanwhile.append(served([row_page], seconds, PAUSE)))
    thread.start()
    ten = served(asks, seconds)
    thread.join()
    return ten, meanwhile[0]


def requesting(port: int, path: Callable[[int], str], rows: int, seed: int) -> Ask:
    """A request for a row drawn anew every time, on a connection that is kept."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    draw = random.Random(seed)

    def ask() -> None:
        address = path(draw.randrange(1, rows + 1))
        try:
            conn.request("GET", address)
            response = conn.getresponse()
        except http.client.RemoteDisconnected:  # the server ends connections that were idle for some seconds
            conn.close()
            conn.request("GET", address)
            response = conn.getresponse()
        body = response.read()
        assert response.status == 200, body[:500]

    return ask


@dataclass(frozen=True)
class Port:
    """A server that answers."""

    number: int
    process: subprocess.Popen[bytes]


@contextmanager
def server(path: Path) -> Iterator[Port]:
    """`datasette serve` on the file, in a process of its own, ended afterwards."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number = listener.getsockname()[1]
    command = [sys.executable, "-m", "datasette", "serve", str(path), "--port", str(number)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START
        while not answers(number):
            assert process.poll() is None, "The server ended at once"
            assert time.monotonic() < deadline, "The server did not answer"
            time.sleep(0.1)
        yield Port(number, process)
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether a server answers there."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        conn.request("GET", "/-/versions.json")
        return conn.getresponse().status == 200
    except OSError:
        return False
    finally:
        conn.close()


def processors() -> list[int]:
    """Ticks of all processors so far, by what they went to; none where the system does not tell."""
    return [int(ticks) for ticks in STAT.read_text().splitlines()[0].split()[1:9]] if STAT.exists() else []


def taken(before: list[int], after: list[int]) -> str:
    """What part of the processors other machines on this hardware took meanwhile, and what part was idle."""
    ticks = [late - early for early, late in zip(before, after, strict=True)]
    if not any(ticks):
        return "unknown"
    return f"{100 * ticks[7] / sum(ticks):.0f} % taken by other machines, {100 * ticks[3] / sum(ticks):.0f} % idle"


def held(pid: int) -> int:
    """Bytes of memory of a process and those that it started; what they share counts once where Linux tells it."""
    return sum(proportional(each) for each in (pid, *children(pid)))


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return [int(child) for child in listed.split()]


def proportional(pid: int) -> int:
    """Bytes of memory that a process holds, as Linux tells it, or else ps."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if rollup.exists():
        return 1024 * next(int(line.split()[1]) for line in rollup.read_text().splitlines() if line.startswith("Pss:"))
    return 1024 * int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)]))
