"""The process that searches: it knows codes by the memory that it shares, and nothing of databases.

It ends with the process that started it, whose end closes the sockets, or when nobody has asked for IDLE seconds.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any

from ...exact import Floats, Ids, Ranked
from ..chunks import Chunk
from ..index import CodeIndex
from ..turns import Turns
from .wire import Array, receive, send

IDLE = 300.0  # seconds
# One processor is for those who ask. Two threads that scan here would wait for each other between their steps.
SCANS = max(1, min(4, (os.cpu_count() or 1) - 1))


def serve(descriptors: Sequence[int]) -> None:
    """Answer on these sockets, a thread for each; the first one says that all is ready."""
    server = _Server()
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    send(sockets[0], {})
    for sock in sockets:
        threading.Thread(target=server.serve, args=(sock,)).start()


class _Server:
    """The chunks that all sockets share, and when somebody asked last."""

    def __init__(self) -> None:
        self.chunks: dict[int, Chunk] = {}  # by serial
        self.asked = time.monotonic()
        self._turns = Turns(SCANS)

    def serve(self, sock: socket.socket) -> None:
        """Answer what comes over one socket until the other side closes it."""
        sock.settimeout(IDLE)
        while True:
            try:
                self._answer(sock)
            except TimeoutError:
                if time.monotonic() - self.asked >= IDLE:
                    os._exit(0)  # the other threads wait, each for its socket
            except (EOFError, ConnectionError):
                return
            except Exception:
                traceback.print_exc()
                os._exit(1)  # by which whoever waits for the answer learns of it

    def _answer(self, sock: socket.socket) -> None:
        header, arrays, descriptors = receive(sock)
        self.asked = time.monotonic()
        if "nearest" in header:
            send(sock, {}, self._nearest(header, *arrays))
        else:
            self._change(header, descriptors)
            send(sock, {})

    def _change(self, header: dict[str, Any], descriptors: Sequence[int]) -> None:
        for serial in header["gone"]:
            del self.chunks[serial]
        for (serial, width, used), descriptor in zip(header["new"], descriptors, strict=True):
            self.chunks[serial] = Chunk.mapped(descriptor, width, used)
            os.close(descriptor)

    def _nearest(self, header: dict[str, Any], centre: Floats, query: Array, among: Ids | None = None) -> Ranked:
        chunks = {number: self.chunks[serial] for number, serial in header["chunks"]}
        with self._turns.turn():
            return CodeIndex(centre, chunks).search(query, header["nearest"], among)
