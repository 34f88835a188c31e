"""Turns at the scan: as many at once as there are processors, the others wait in the order they came."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A semaphore that is fair: threading's own lets a newcomer overtake, and some then wait for seconds."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self.reset()

    def reset(self) -> None:
        """Give everybody's turns back, as after a fork: the threads that had them are not in this process."""
        self._lock = threading.Lock()
        self._free = self._at_once
        self._waiting: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for a turn, and pass it on at the end; whether nobody else had one or waited."""
        ticket, alone = self._join()
        try:
            ticket.acquire()  # inside the try: a thread that is interrupted here still passes one turn on
            yield alone
        finally:
            self._leave()

    def _join(self) -> tuple[threading.Lock, bool]:
        ticket = threading.Lock()
        with self._lock:
            alone = self._free == self._at_once
            if self._free:
                self._free -= 1
            else:
                ticket.acquire()  # whoever leaves lets go of it
                self._waiting.append(ticket)
        return ticket, alone

    def _leave(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


# More than about four would only contend for the interpreter's lock between the steps of their scans.
scans = Turns(min(4, os.cpu_count() or 1))
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=scans.reset)
