"""The scan: which vectors' codes differ from the query's in the fewest bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..exact import Ids
from .chunks import Chunk
from .signs import Words

Distances = NDArray[np.uint8] | NDArray[np.uint16]
Mask = NDArray[np.bool_]

# docs/search-internals.md has the measurements of these.
LEADING = 4  # words of each code that all are sifted by, or two thirds of them where that is more
SIFTED = 48  # of so many codes one is compared in full, and at least twice what is wanted
SAMPLED = 61  # of so many distances one is looked at to find the cut; a prime, lest it follow a pattern of the rows
STEP = 16_384  # codes compared at a time: they fit the processor's cache; more where threads wait for each other
SMALL = 4  # words whose distance is kept in a byte: 255 and 256 bits that differ count as 254


class Part(NamedTuple):
    """A chunk of codes to be scanned."""

    first: int  # the vector id of its first slot
    chunk: Chunk
    hidden: Mask | None  # (used,): slots to leave out


def nearest_codes(query: Words, parts: Sequence[Part], count: int, step: int = STEP) -> Ids:
    """The ids of about the `count` codes nearest to the query's (width, 1), in the order of the parts and their slots;
    of those that are equally near the first.

    All codes are compared by their leading words, `step` at a time, and in full only those that are near by them. So
    that no code gets lost where all are compared in full (twice `count` or fewer), and next to none elsewhere.
    """
    if not parts:
        return np.empty(0, np.int64)
    leading = max(LEADING, 2 * len(query) // 3)
    ends = np.cumsum([part.chunk.used for part in parts], dtype=np.int64)
    distances = np.empty(ends[-1], np.uint8 if leading <= SMALL else np.uint16)
    pieces = [distances[end - part.chunk.used : end] for part, end in zip(parts, ends, strict=True)]
    compare = _Comparison(query[:leading], step)
    for part, piece in zip(parts, pieces, strict=True):
        compare(part, piece)
    places = _near(distances, max(2 * count, len(distances) // SIFTED))
    bounds = np.searchsorted(places, ends)
    ids, rest = [], []
    for part, end, near in zip(parts, ends, np.split(places, bounds[:-1]), strict=True):
        slots = near - (end - part.chunk.used)
        ids.append(slots + part.first)
        rest.append(part.chunk.words[leading:].take(slots, axis=1))
    differing = np.bitwise_count(np.concatenate(rest, axis=1) ^ query[leading:])
    totals = distances[places] + differing.sum(axis=0, dtype=np.uint16)
    return np.concatenate(ids)[_smallest(totals, count)]


class _Comparison:
    """Compares codes with a query by its words. The buffers are made once: new ones cost more than the work in them."""

    def __init__(self, query: Words, step: int) -> None:
        self.query, self.step = query, step
        self._differing = np.empty((len(query), step), np.uint64)
        self._counts = np.empty((len(query), step), np.uint8)
        self._most = np.full(step, 126, np.uint8)  # an array: numpy compares with a single number ten times as slowly

    def __call__(self, part: Part, distances: Distances) -> None:
        """Write the (used,) distances of a part's codes; of hidden ones the farthest there is."""
        for start in range(0, part.chunk.used, self.step):
            end = min(start + self.step, part.chunk.used)
            self._compare(part.chunk.words[: len(self.query), start:end], distances[start:end])
        if part.hidden is not None:
            np.copyto(distances, _far(distances), where=part.hidden)

    def _compare(self, words: Words, distances: Distances) -> None:
        differing, counts = self._differing[:, : len(distances)], self._counts[:, : len(distances)]
        # Each call lets go of the interpreter's lock, and then has to wait for it.
        np.bitwise_xor(words, self.query, out=differing)
        np.bitwise_count(differing, out=counts)
        self._add(counts, distances)

    def _add(self, counts: NDArray[np.uint8], out: Distances) -> None:
        if len(counts) == SMALL:
            np.add(counts[:2], counts[2:], out=counts[:2])
            # of 128 bits each, so that the sum is below _far()
            np.minimum(counts[0], self._most[: len(out)], out=counts[0])
            np.add(counts[0], counts[1], out=out)
        else:
            np.add.reduce(counts, axis=0, dtype=out.dtype, out=out)


def _near(distances: Distances, count: int) -> Ids:
    """Where about the `count` smallest distances lie, in order; at least half as many if there are."""
    farthest = _far(distances) - 1
    if count < len(distances):
        sample = distances[::SAMPLED]
        cut = _nth(sample, count * len(sample) // len(distances))
        places = _up_to(distances, min(cut, farthest))
        if len(places) >= count // 2:
            return places
    return _up_to(distances, min(_nth(distances, min(count, len(distances)) - 1), farthest))


def _up_to(distances: Distances, cut: int) -> Ids:
    """Where the distances up to this one lie: eight at a time are passed over, which takes half of the time."""
    eights = np.zeros(-(-len(distances) // 8), np.uint64)
    np.less_equal(distances, cut, out=eights.view(np.bool_)[: len(distances)])
    some = np.flatnonzero(eights != 0)
    near = np.flatnonzero(eights[some].view(np.bool_))
    return np.asarray(some[near >> 3] * 8 + (near & 7))


def _smallest(distances: Distances, count: int) -> NDArray[np.bool_]:
    """Which are the `count` smallest; of equal ones the first."""
    if count >= len(distances):
        return np.ones(len(distances), np.bool_)
    last = _nth(distances, count - 1)
    smallest = distances < last
    smallest[np.flatnonzero(distances == last)[: count - np.count_nonzero(smallest)]] = True
    return smallest


def _nth(distances: Distances, n: int) -> int:
    """The distance that n others are no greater than."""
    return int(np.searchsorted(np.cumsum(np.bincount(distances)), n, side="right"))


def _far(distances: Distances) -> int:
    """Farther than any code that is to be found."""
    return 255 if distances.dtype == np.uint8 else 65_535
