"""Waiting for a model's server that is busy: growing pauses, which end at once with the job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from ..errors import ModelBusy, describe

T = TypeVar("T")

FIRST_SECONDS = 2.0  # the first pause; each further one is twice as long
LONGEST_SECONDS = 300.0
ASKED_SECONDS = 86_400.0  # the longest pause that a server may ask for
LOOK_SECONDS = 0.25  # between two looks at whether the job is still ours


class Stopping(Exception):
    """This process is asked to stop, so nothing is waited for any more."""


class Patience:
    """Calls a model until its server is no longer busy, however long that takes."""

    def __init__(self, stop: threading.Event, check: Callable[[], None], explain: Callable[[str | None], None]) -> None:
        self._stop = stop
        self._check = check  # raises LeaseLost once the job is no longer ours
        self._explain = explain  # keeps the reason with the job; None: there is none any more
        self._explained = False

    def call(self, fn: Callable[[], T]) -> T:
        """What fn() gives once it does not raise ModelBusy; Stopping and LeaseLost end a pause."""
        attempts = Retrying(
            retry=retry_if_exception_type(ModelBusy), wait=pause, before_sleep=self._announce, sleep=self._sleep
        )
        try:
            return attempts(fn)
        finally:
            if self._explained:
                self._explained = False
                self._explain(None)

    def _announce(self, state: RetryCallState) -> None:
        moment = datetime.now(timezone.utc) + timedelta(seconds=state.upcoming_sleep)
        message = describe(_fault(state)).rstrip(".")
        self._explained = True
        self._explain(f"Waiting for the model's server: {message}; next attempt at {moment:%H:%M:%S} UTC")

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.wait(min(left, LOOK_SECONDS)):
                raise Stopping
            self._check()


def pause(state: RetryCallState) -> float:
    """Seconds until the next attempt: twice as many each time, and no fewer than the server asked for."""
    asked = _fault(state).retry_after or 0.0
    growing = wait_exponential(multiplier=FIRST_SECONDS, max=LONGEST_SECONDS)(state)
    return max(growing, min(asked, ASKED_SECONDS))


def _fault(state: RetryCallState) -> ModelBusy:
    assert state.outcome is not None
    fault = state.outcome.exception()
    assert isinstance(fault, ModelBusy)
    return fault
