"""The side that asks: starts the other process when searches meet, and does without it where there is none."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...exact import Floats, Ids, Ranked
from ..chunks import Chunk
from ..turns import Turns
from .wire import Array, receive, send

Chunks = Mapping[int, Chunk]  # as an index has them

logger = logging.getLogger("datasette_embeddings")

AT_ONCE = 4  # searches that it is asked for at a time, so that the next one is there when it has done one
PATIENCE = 30.0  # seconds that it may take to start or to answer
CHUNKS = 128  # of all collections: each takes a file descriptor, of which a process may have a thousand
NOT_STARTED = "Searches go on without a process of their own, which does not start: %s"
# One thread for each scan; and glibc keeps the few MB that one takes: to get them anew, page by page from the system,
# is a tenth of its time.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
}
SCRIPT = Path(__file__).with_name("script.py")


class ScanProcess:
    """At most one process that searches the codes of this one, in memory that both share.

    A server with several clients needs it: between two steps of a scan a thread waits for the interpreter's lock. No
    search depends on it: while there is none, or it fails, everybody searches for themselves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: _Connections | None = None
        self._shared: weakref.WeakSet[Chunk] = weakref.WeakSet()
        self._may_start = hasattr(os, "memfd_create") and Path(sys.executable or "").name.startswith("python")

    @property
    def is_running(self) -> bool:
        """Whether searches are handed over."""
        return self._connections is not None

    def nearest(self, chunks: Chunks, centre: Floats, query: Array, count: int, among: Ids | None) -> Ranked | None:
        """What `CodeIndex.search` finds, asked of the process; None where there is none, or it failed."""
        connections = self._connections
        if connections is None or not self._admits(chunks):
            return None
        try:
            return connections.nearest(chunks, centre, query, count, among)
        except (OSError, EOFError) as error:
            self._lose(connections, error)
            return None

    def met(self, chunks: Chunks) -> None:
        """Tell that two searches met, one of them in these chunks: now the process is worth its memory."""
        if not self._may_start or not self._admits(chunks):
            return
        with self._lock:
            if not self._may_start:
                return
            self._may_start = False
        try:
            threading.Thread(target=self._start, args=(chunks,), daemon=True).start()
        except RuntimeError as error:  # the system has no more threads, or the interpreter is ending
            logger.warning(NOT_STARTED, error)

    def stop(self) -> None:
        """End the process; the next searches that meet start another one."""
        with self._lock:
            connections, self._connections = self._connections, None
        if connections is not None:
            connections.close()
            self._may_start = True

    def forget(self) -> None:
        """Leave the process to the one that this one was forked from."""
        self._lock, self._connections = threading.Lock(), None

    def _admits(self, chunks: Chunks) -> bool:
        """Count these chunks as shared; False where there would be too many with all that are, also with a process that
        has ended.
        """
        with self._lock:
            new = [chunk for chunk in chunks.values() if chunk not in self._shared]
            if len(self._shared) + len(new) > CHUNKS:
                return False
            self._shared.update(new)
            return True

    def _start(self, chunks: Chunks) -> None:
        try:
            connections = _Connections()
            connections.share(chunks)
        except (OSError, EOFError) as error:
            logger.warning(NOT_STARTED, error)
        else:
            self._connections = connections

    def _lose(self, connections: _Connections, error: Exception) -> None:
        """A process that ended by itself, because nobody asked for long, may be started anew; none that failed."""
        code = connections.close()
        was_idle = code == 0 and isinstance(error, (EOFError, ConnectionError))
        with self._lock:
            if self._connections is not connections:
                return
            self._connections, self._may_start = None, was_idle
        if not was_idle:
            logger.warning("Searches go on without a process of their own, which ended with %s: %s", code, error)


class _Connections:
    """A process that was started, the connections with it, and which chunks it knows."""

    def __init__(self) -> None:
        pairs = [socket.socketpair() for _ in range(AT_ONCE)]
        self._sockets = [ours for ours, _ in pairs]
        weakref.finalize(self, _close, self._sockets).atexit = False
        try:
            self._process = _started([theirs.fileno() for _, theirs in pairs])
        finally:
            _close(theirs for _, theirs in pairs)
        for sock in self._sockets:
            sock.settimeout(PATIENCE)
        self._free = deque(self._sockets)
        self._turns = Turns(AT_ONCE)
        self._lock = threading.Lock()
        self._known: set[int] = set()  # serials of chunks
        self._gone: deque[int] = deque()  # serials of those that nobody here uses any more
        self._wait_until_ready()

    def nearest(self, chunks: Chunks, centre: Floats, query: Array, count: int, among: Ids | None) -> Ranked:
        """What `CodeIndex.search` finds."""
        self.share(chunks)
        serials = [(number, chunk.serial) for number, chunk in chunks.items()]
        given = [centre, query, *([] if among is None else [among])]
        return Ranked(*self._ask({"nearest": count, "chunks": serials}, given))

    def share(self, chunks: Chunks) -> None:
        """Let the process know these chunks, and forget those that are gone here."""
        with self._lock:
            new = [chunk for chunk in chunks.values() if chunk.serial not in self._known]
            gone = [self._gone.popleft() for _ in range(len(self._gone))]
            if not new and not gone:
                return
            described = [(chunk.serial, len(chunk.words), chunk.used) for chunk in new]
            descriptors: list[int] = []
            try:
                descriptors.extend(chunk.share() for chunk in new)
                self._ask({"new": described, "gone": gone}, descriptors=descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            self._known.difference_update(gone)
            for chunk in new:
                self._known.add(chunk.serial)
                weakref.finalize(chunk, self._gone.append, chunk.serial).atexit = False

    def close(self) -> int:
        """End the process, and with it what others ask of it at the moment; its exit status."""
        for sock in self._sockets:
            _shut(sock)  # not closed: another thread may be reading, and the descriptor become another file's
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _ask(self, header: dict[str, Any], given: Sequence[Array] = (), descriptors: Sequence[int] = ()) -> list[Array]:
        with self._turns.turn():
            sock = self._free.popleft()
            try:
                send(sock, header, given, descriptors)
                return receive(sock).arrays
            except BaseException:
                _shut(sock)  # the answer may still come: nobody may take it for theirs
                raise
            finally:
                self._free.append(sock)

    def _wait_until_ready(self) -> None:
        try:
            receive(self._sockets[0])
        except (OSError, EOFError):
            self.close()
            raise


def _started(descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, descriptors)],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us; it ends when we do
        env={**os.environ, **ENVIRONMENT},
    )


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is already
        sock.shutdown(socket.SHUT_RDWR)


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


scan_process = ScanProcess()
atexit.register(scan_process.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=scan_process.forget)
