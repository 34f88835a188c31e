"""The scan: which vectors' codes differ from the query's in the fewest bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..exact import Ids
from .chunks import Chunk
from .signs import Words

Distances = NDArray[np.uint16]
Mask = NDArray[np.bool_]

FAR = 0xFFFF  # farther than any code: 4,096 dimensions differ in 4,096 bits at most
CACHED_WORDS = 2**19  # 4 MiB: larger than a core's own cache, but fewer waits for the interpreter's lock


class Nearest:
    """Keeps the `count` smallest distances of those that are offered, the lower id where they are equal.

    The cut falls as the scan goes on, so that most steps keep next to nothing, and no histogram is needed.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.cut = FAR  # only what is nearer than this is kept
        self._ids = np.empty(0, np.int64)
        self._distances = np.empty(0, np.uint16)

    def offer(self, distances: Distances, first: int) -> None:
        """Offer the distances of the ids first, first + 1, …; ids must rise from one call to the next."""
        near = np.flatnonzero(distances < self.cut)
        if len(near) == 0:
            return
        self._ids = np.concatenate([self._ids, near + first])
        self._distances = np.concatenate([self._distances, distances[near]])
        if len(self._ids) >= 2 * self.count:
            self._shrink()

    def ids(self) -> Ids:
        """The ids kept, nearest first."""
        self._shrink()
        return self._ids

    def _shrink(self) -> None:
        order = np.argsort(self._distances, kind="stable")[: self.count]  # stable: equal ones stay in order of id
        self._ids, self._distances = self._ids[order], self._distances[order]
        if len(order) == self.count:
            self.cut = int(self._distances[-1])


class Scan:
    """One query's way through the chunks. Its buffers are made once and used for every step; one thread's only."""

    def __init__(self, query: Words, count: int) -> None:
        self.query = query  # (width, 1)
        self.nearest = Nearest(count)
        width = len(query)
        self.step = min(65_536, 1 << ((CACHED_WORDS // width).bit_length() - 1))  # codes at a time
        self._differing = np.empty((width, self.step), np.uint64)
        self._counts = np.empty((width, self.step), np.uint8)
        self._distances = np.empty(self.step, np.uint16)

    def read(self, chunk: Chunk, first: int, hidden: Mask | None) -> None:
        """Offer the codes of a chunk whose first vector id is `first`, except the `hidden` (used,) ones."""
        for start in range(0, chunk.used, self.step):
            stop = min(start + self.step, chunk.used)
            distances = self._compare(chunk.words[:, start:stop])
            if hidden is not None:
                np.copyto(distances, FAR, where=hidden[start:stop])
            self.nearest.offer(distances, first + start)

    def _compare(self, words: Words) -> Distances:
        # three passes that each let go of the interpreter's lock, for about 0.2 ms at a time
        n = words.shape[1]
        differing, counts = self._differing[:, :n], self._counts[:, :n]
        np.bitwise_xor(words, self.query, out=differing)
        np.bitwise_count(differing, out=counts)
        return np.add.reduce(counts, axis=0, dtype=np.uint16, out=self._distances[:n])
