"""The scan: which vectors' codes differ from the query's in the fewest bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .signs import Words

Distances = NDArray[np.uint16]
Positions = NDArray[np.int64]

FAR = 0xFFFF  # farther than any code: 4,096 dimensions differ in 4,096 bits at most
CACHED_WORDS = 2**17  # 1 MiB: what a step works on should stay in one core's cache


class Scratch:
    """The buffers of one scan, made once for a call and used for every step of it; not shared between threads."""

    def __init__(self, width: int) -> None:
        self.step = min(65_536, 1 << ((CACHED_WORDS // width).bit_length() - 1))  # codes at a time
        self.differing = np.empty((width, self.step), np.uint64)
        self.counts = np.empty((width, self.step), np.uint8)
        self.distances = np.empty(self.step, np.uint16)


def distances_to(query: Words, words: Words, scratch: Scratch) -> Distances:
    """Bits that differ between the query's code (width, 1) and at most scratch.step codes (width, n).

    The result lies in the scratch: use it before the next call. Each of the three passes lets go of the interpreter's
    lock, for some 30 microseconds at a time.
    """
    n = words.shape[1]
    differing, counts = scratch.differing[:, :n], scratch.counts[:, :n]
    np.bitwise_xor(words, query, out=differing)
    np.bitwise_count(differing, out=counts)
    return np.add.reduce(counts, axis=0, dtype=np.uint16, out=scratch.distances[:n])


class Nearest:
    """Keeps the `count` smallest distances of those that are offered, the earlier one where they are equal.

    The cut falls as the scan goes on, so that most steps offer next to nothing and no histogram is needed.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.cut = FAR  # what is offered must be below
        self._positions: list[Positions] = []
        self._distances: list[Distances] = []
        self._kept = 0

    def offer(self, distances: Distances, start: int) -> None:
        """Distances of the positions start, start + 1, … all of them above those offered before."""
        near = np.flatnonzero(distances < self.cut)
        if len(near) == 0:
            return
        self._positions.append(near + start)
        self._distances.append(distances[near])
        self._kept += len(near)
        if self._kept >= 2 * self.count:
            self._shrink()

    def positions(self) -> Positions:
        """The positions kept, nearest first."""
        self._shrink()
        return self._positions[0]

    def _shrink(self) -> None:
        positions = np.concatenate([np.empty(0, np.int64), *self._positions])
        distances = np.concatenate([np.empty(0, np.uint16), *self._distances])
        # stable: equal distances stay in the order of their positions
        order = np.argsort(distances, kind="stable")[: self.count]
        self._positions, self._distances = [positions[order]], [distances[order]]
        self._kept = len(order)
        if self._kept == self.count:
            self.cut = int(self._distances[0][-1])
