"""Ctrl-C: the first one asks to stop after the batch in flight, the second ends at once."""

from __future__ import annotations

import signal
import threading


class QuitAtOnce(BaseException):
    """The second Ctrl-C; no `except Exception` of a model may hold it up."""


class Interrupts:
    """While the block runs, `asked` tells whether somebody wants it to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # only there can signals be handled
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: object) -> None:
        # A plain attribute: an Event's lock may be held by the very code that this interrupts.
        if self.asked:
            raise QuitAtOnce
        self.asked = True
