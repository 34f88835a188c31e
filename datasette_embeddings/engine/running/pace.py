"""How large the batches should be, and what the last ones held."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager

from ..batches import Batch
from ..errors import ModelError, ModelUnavailable
from ..saving import Outcome

FIRST_BATCH = 32  # contents: the model's pace is not known yet
LARGEST_BATCH = 8192
BATCH_SECONDS = 4.0  # of the model's work: what a kill may lose
SORTED_TOGETHER = 1024  # contents at least, even if they make many batches: a batch of one length wastes no padding
GIVE_UP_AFTER = 1000  # contents that failed one by one, with not one success before them


class Pace:
    """How many contents a batch should hold, from how long the last ones took."""

    def __init__(self) -> None:
        self.target = FIRST_BATCH
        self.failures = 0
        self.any_success = False
        self._rate: float | None = None
        self.start()

    def start(self) -> None:
        """Count time from now: what came before was the model's load."""
        self._last = time.monotonic()

    @contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Time the model's work on so many contents and set the next target."""
        began = time.monotonic()
        yield
        seconds = max(time.monotonic() - began, 1e-6)
        if count >= self.target // 2:
            wanted = int(count / seconds * BATCH_SECONDS)
            self.target = max(1, min(wanted, self.target * 8, LARGEST_BATCH))

    def rate(self, batch: Batch) -> float | None:
        """Rows per second, averaged over the last batches, counted from the end of the one before."""
        moment = time.monotonic()
        present = batch.walked / max(moment - self._last, 1e-6)
        self._last = moment
        self._rate = present if self._rate is None else 0.6 * self._rate + 0.4 * present
        return self._rate

    def succeeded(self) -> None:
        """A content has been embedded: the model works."""
        self.any_success = True

    def failed(self, error: ModelError) -> None:
        """A content has failed alone; ModelUnavailable where nothing but failures came."""
        self.failures += 1
        if not self.any_success and self.failures >= GIVE_UP_AFTER:
            raise ModelUnavailable(f"The first {GIVE_UP_AFTER} contents all failed: {error}") from error


class Recent:
    """The outcomes of this stretch and the one before, which the reader, a stretch ahead, could not find stored yet."""

    def __init__(self) -> None:
        self._stretches: deque[dict[bytes, Outcome]] = deque(maxlen=2)

    def next_stretch(self) -> None:
        """Forget the stretch before the last."""
        self._stretches.append({})

    def find(self, hashes: Set[bytes]) -> dict[bytes, Outcome]:
        """What these contents gave just now, be it an error, as far as they were met."""
        return {key: kept[key] for kept in self._stretches for key in kept.keys() & hashes}

    def add(self, outcomes: Mapping[bytes, Outcome]) -> None:
        """Remember what a batch gave."""
        self._stretches[-1].update(outcomes)
