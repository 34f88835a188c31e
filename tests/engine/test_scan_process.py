"""The process that searches codes for this one: started when searches meet, right, and never missed when it is gone."""

import errno
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from servers import PATIENCE, is_alive, wait_for

from datasette_embeddings.engine.codes import CodeIndex, centre_of, index, pack_block
from datasette_embeddings.engine.codes.chunks import CHUNK
from datasette_embeddings.engine.codes.process import ScanProcess, child, parent
from datasette_embeddings.engine.codes.turns import Turns

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="without it nobody starts the process")

COUNT, DIMENSIONS = 6_000, 70
VECTORS = np.random.default_rng(1).standard_normal((COUNT, DIMENSIONS)).astype(np.float32)
IDS = np.sort(np.random.default_rng(2).choice(2 * CHUNK, COUNT, replace=False)).astype(np.int64)


@pytest.fixture
def process(monkeypatch):
    """One of the test's own, asked by every index."""
    process = ScanProcess()
    monkeypatch.setattr(index, "scan_process", process)
    monkeypatch.setattr(parent, "PATIENCE", PATIENCE)
    yield process
    process.stop()


@pytest.fixture
def codes():
    return CodeIndex.from_vectors(centre_of(VECTORS), [(IDS, VECTORS)])


def started(process, codes):
    """The process, which knows these codes; the thread that started it has ended, and holds nothing any more."""
    others = set(threading.enumerate())
    process.met(codes.chunks)
    for thread in set(threading.enumerate()) - others:
        thread.join(PATIENCE)
    assert process.is_running
    return process


def pid(process):
    return process._connections._process.pid


def alone(codes, query, count, among=None):
    return codes.search(np.asarray(query), count, among).ids.tolist()


def answered(monkeypatch):
    """Fail where anybody searches for themselves."""
    monkeypatch.setattr(CodeIndex, "search", None)


def test_it_finds_what_a_search_here_finds(process, codes, monkeypatch):
    """With and without a filter, which may hold strangers and be scanned or not; nothing near a zero vector."""
    among = np.concatenate([IDS[::2], [10**12, -5]])
    asked = [(VECTORS[7], 50, None), (VECTORS[8], 5_000, None), (VECTORS[9], 5, among), (VECTORS[9], 5, among[:7])]
    asked += [(VECTORS[3].astype(np.float64), 10, None), (np.zeros(DIMENSIONS), 10, None), (VECTORS[1], 0, None)]
    expected = [alone(codes, *question) for question in asked]
    started(process, codes)
    answered(monkeypatch)
    assert [codes.nearest(*question).ids.tolist() for question in asked] == expected
    assert [len(found) for found in expected] == [50, 5_000, 5, 5, 10, 0, 0]


def test_it_sees_every_change(process, codes, monkeypatch):
    """A changed block is another chunk, sent with the next search; who still has the old index gets its answers."""
    started(process, codes)
    block = int(IDS[0]) // 1024
    changed = codes.with_blocks([(block, pack_block(codes.centre, np.array([3]), -VECTORS[:1]))])
    expected = [alone(each, query, 20) for each in (codes, changed) for query in (VECTORS[0], -VECTORS[0])]
    assert expected[3][0] == block * 1024 + 3
    answered(monkeypatch)
    assert [
        each.nearest(query, 20).ids.tolist() for each in (codes, changed) for query in (VECTORS[0], -VECTORS[0])
    ] == expected
    assert len(process._connections._known) == 3  # two chunks, and one of them changed


def test_it_forgets_what_is_gone_here(process, codes):
    """The memory of an index that nobody uses any more is given back with the next search."""
    other = CodeIndex.from_vectors(centre_of(VECTORS), [(IDS[:500], VECTORS[:500])])
    started(process, other)
    mapped = maps(pid(process))
    del other
    assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)
    assert process._connections._known == {chunk.serial for chunk in codes.chunks.values()}
    assert maps(pid(process)) - mapped == len(codes.chunks) - 1


def maps(pid):
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:codes")


def test_ten_threads_at_once(process, codes):
    """Everybody gets their own answer."""
    expected = [alone(codes, VECTORS[i], 50) for i in range(10)]
    started(process, codes)
    answers = [None] * 10

    def ask(i):
        answers[i] = [codes.nearest(VECTORS[i], 50).ids.tolist() for _ in range(20)]

    run([threading.Thread(target=ask, args=(i,)) for i in range(10)])
    assert answers == [[found] * 20 for found in expected]


def run(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_it_starts_when_two_searches_meet(process, codes, monkeypatch):
    """A lone search, however often, starts nothing; two at once do."""
    for _ in range(3):
        codes.nearest(VECTORS[0], 5)
    assert process._may_start
    both, search = threading.Barrier(2, timeout=PATIENCE), CodeIndex.search

    def together(*arguments, **options):
        both.wait()
        return search(*arguments, **options)

    monkeypatch.setattr(index, "scans", Turns(2))
    monkeypatch.setattr(CodeIndex, "search", together)
    run([threading.Thread(target=codes.nearest, args=(VECTORS[0], 5)) for _ in range(2)])
    wait_for(lambda: process.is_running, "the process starts")


def test_one_that_is_killed_is_not_missed(process, codes, caplog):
    """The search goes on here, somebody is told, and nothing is started that may be killed again."""
    started(process, codes)
    os.kill(pid(process), signal.SIGKILL)
    assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)
    assert "without a process of their own, which ended with -9" in caplog.text
    process.met(codes.chunks)
    assert (process.is_running, process._may_start) == (False, False)


def test_one_that_is_killed_while_many_ask(process, codes, caplog):
    """Nobody loses an answer."""
    expected = [alone(codes, VECTORS[i], 50) for i in range(8)]
    started(process, codes)
    killed, answers = pid(process), [None] * 8

    def ask(i):
        answers[i] = []
        for n in range(50):
            if (i, n) == (0, 10):
                os.kill(killed, signal.SIGKILL)
            answers[i].append(codes.nearest(VECTORS[i], 50).ids.tolist())

    run([threading.Thread(target=ask, args=(i,)) for i in range(8)])
    assert answers == [[found] * 50 for found in expected]
    assert caplog.text.count("which ended with -9") == 1


def test_one_that_hangs_is_ended(process, codes, caplog):
    """Who waits too long searches here."""
    started(process, codes)
    for sock in process._connections._sockets:
        assert sock.gettimeout() == parent.PATIENCE
        sock.settimeout(0.2)
    os.kill(pid(process), signal.SIGSTOP)
    assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)
    assert "which ended with -9: timed out" in caplog.text


def test_one_that_fails_says_so(process, codes, caplog, capfd):
    """An error there is told, and the search is done here."""
    started(process, codes)
    unknown = CodeIndex.from_vectors(codes.centre, [(IDS[:9], VECTORS[:9])])
    process._connections._known.update(chunk.serial for chunk in unknown.chunks.values())  # so it is not told of them
    assert unknown.nearest(VECTORS[0], 5).ids.tolist() == alone(unknown, VECTORS[0], 5)
    assert "which ended with 1" in caplog.text
    assert "KeyError" in capfd.readouterr().err


def test_one_that_was_idle_may_start_again(process, codes, caplog):
    """It ends by itself, without a word, and the next searches that meet start another one."""
    started(process, codes)
    first = pid(process)
    for sock in process._connections._sockets:
        parent._shut(sock)  # as when all its threads have ended
    process._connections._process.wait(PATIENCE)
    assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)
    assert not process.is_running
    assert pid(started(process, codes)) != first
    assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)
    assert caplog.text == ""


def test_it_ends_when_nobody_asks_for_long(monkeypatch):
    """Once no connection was used for so long."""
    ended = []

    def end(code):
        ended.append((code, time.monotonic()))
        sys.exit()

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(child, "IDLE", 0.2)
    server = child._Server()
    server.asked = asked = time.monotonic() + 0.5  # over another connection
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(SystemExit):
        server.serve(theirs)
    ((code, moment),) = ended
    assert code == 0
    assert moment >= asked + 0.2


def test_where_memory_for_it_runs_out(process, codes, monkeypatch, caplog):
    """A changed chunk that cannot be shared ends the process, and no other one is started to fail like it."""

    def full(name):
        raise OSError(errno.EMFILE, "Too many open files")

    started(process, codes)
    changed = codes.with_blocks([(int(IDS[0]) // 1024, None)])
    monkeypatch.setattr(os, "memfd_create", full)
    assert changed.nearest(VECTORS[0], 5).ids.tolist() == alone(changed, VECTORS[0], 5)
    assert "[Errno 24] Too many open files" in caplog.text
    assert (process.is_running, process._may_start) == (False, False)


def test_an_interrupted_search_leaves_no_answer_behind(process, codes, monkeypatch):
    """What was asked by somebody who did not wait is nobody else's answer."""
    started(process, codes)

    def interrupted(sock):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(parent, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            codes.nearest(VECTORS[1], 5)
    for i in range(6):
        assert codes.nearest(VECTORS[i], 5).ids.tolist() == alone(codes, VECTORS[i], 5)


def test_without_one(codes, process, monkeypatch, caplog):
    """Where it does not start, one line says so, once."""
    monkeypatch.setattr(parent, "SCRIPT", Path("missing.py"))
    process.met(codes.chunks)
    wait_for(lambda: caplog.text, "somebody says that it does not start")
    assert "Searches go on without a process of their own, which does not start" in caplog.text
    process.met(codes.chunks)
    assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)


def test_where_there_is_no_shared_memory(codes, monkeypatch):
    """On other systems, and where Python is a part of another program, nothing is started."""
    with monkeypatch.context() as patched:
        patched.delattr(os, "memfd_create")
        assert not ScanProcess()._may_start
    monkeypatch.setattr(sys, "executable", "/opt/viewer/viewer")
    assert not ScanProcess()._may_start


def test_more_chunks_than_descriptors(process, codes, monkeypatch):
    """Each chunk takes a file descriptor: what would take too many, with all that has some, is searched here."""
    monkeypatch.setattr(parent, "CHUNKS", 3)
    started(process, codes)
    first, second = (CodeIndex.from_vectors(codes.centre, [(IDS[:9], VECTORS[:9])]) for _ in range(2))
    for each in (first, second):
        assert each.nearest(VECTORS[0], 5).ids.tolist() == alone(each, VECTORS[0], 5)
    assert process._connections._known == serials(codes) | serials(first)
    del first, each
    kept = serials(codes) | serials(second)
    second.nearest(VECTORS[0], 5)
    assert process._connections._known == kept


def test_nothing_is_started_for_what_has_no_room(process, codes, monkeypatch):
    """A collection of very many chunks is searched here, however many search it."""
    monkeypatch.setattr(parent, "CHUNKS", 1)
    process.met(codes.chunks)
    assert process._may_start


def serials(codes):
    return {chunk.serial for chunk in codes.chunks.values()}


def test_no_thread_to_be_had(process, codes, monkeypatch, caplog):
    """Where the system has no more threads, nobody's search fails by it."""

    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with index.scans.turn():
        assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)
    assert "which does not start: can't start new thread" in caplog.text


def test_no_descriptor_is_left_open(process, codes):
    """Starting and ending processes, with all that is shared, takes nothing for good."""
    started(process, codes).stop()
    gc.collect()  # or what another test left behind may be closed meanwhile
    before = descriptors()
    for _ in range(3):
        started(process, codes)
        codes.nearest(VECTORS[0], 5)
        process.stop()
    wait_for(lambda: descriptors() <= before, "everything is closed")


def descriptors():
    """How many sockets and pieces of shared memory this process has open."""
    links = (os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    return sum("socket:" in link or "memfd:codes" in link for link in links)


def test_after_a_fork_it_is_the_parents(process, codes):
    """A process that was forked from this one leaves it alone."""
    started(process, codes)
    connections = process._connections
    process.forget()
    assert not process.is_running
    process._connections = connections
    assert codes.nearest(VECTORS[0], 5).ids.tolist() == alone(codes, VECTORS[0], 5)


PARENT = """
import sys, time
import numpy as np
from datasette_embeddings.engine.codes import CodeIndex, centre_of
from datasette_embeddings.engine.codes.process import scan_process
vectors = np.random.default_rng(1).standard_normal((500, 70))
codes = CodeIndex.from_vectors(centre_of(vectors), [(np.arange(500), vectors)])
scan_process.met(codes.chunks)
while not scan_process.is_running:
    time.sleep(0.01)
codes.nearest(vectors[0], 5)
print(scan_process._connections._process.pid, flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
"""


@pytest.mark.parametrize("way", ["wait", "end"])
def test_it_ends_with_whoever_started_it(way):
    """However that ends: killed, or at the end of its program."""
    program = subprocess.Popen([sys.executable, "-c", PARENT, way], stdout=subprocess.PIPE, text=True)
    with program:
        started = int(program.stdout.readline())
        if way == "wait":
            program.kill()
        program.wait(PATIENCE)
    wait_for(lambda: not is_alive(started), "the process ends")
