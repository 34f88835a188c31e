"""The scan: which vectors' codes differ from the query's in the fewest bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..exact import Ids, runs
from .chunks import CHUNK, Chunk
from .signs import Words

Distances = NDArray[np.uint8] | NDArray[np.uint16]
Mask = NDArray[np.bool_]

# docs/search-internals.md has the measurements of these.
LEADING = 3  # words of each code that all are sifted by, or half of them where that is more: 192 bits fit a byte
SIFTED = 16  # of so many codes one is compared in full, and at least twice what is wanted
SAMPLED = 16  # of so many distances one is looked at to find the cut


class Part(NamedTuple):
    """A chunk of codes to be scanned."""

    first: int  # the vector id of its first slot
    chunk: Chunk
    hidden: Mask | None  # (used,): slots to leave out


def nearest_codes(query: Words, parts: Sequence[Part], count: int) -> Ids:
    """The ids of about the `count` codes nearest to the query's (width, 1), nearest first, the lower id where equal.

    All codes are compared by their leading words, and in full only those that are near by them. So that no code gets
    lost where all are compared in full (twice `count` or fewer), and next to none elsewhere.
    """
    leading = max(LEADING, len(query) // 2)
    ends = np.cumsum([part.chunk.used for part in parts], dtype=np.int64)
    if not len(ends):
        return np.empty(0, np.int64)
    distances = np.empty(ends[-1], np.uint8 if leading <= LEADING else np.uint16)
    compare = _Comparison(query[:leading])
    for part, end in zip(parts, ends, strict=True):
        compare(part, distances[end - part.chunk.used : end])
    places = _near(distances, max(2 * count, len(distances) // SIFTED))
    ids, totals = np.empty(len(places), np.int64), distances[places].astype(np.uint16)
    for number, piece in runs(np.searchsorted(ends, places, side="right")):
        first, chunk, _ = parts[number]
        slots = places[piece] - (ends[number] - chunk.used)
        ids[piece] = slots + first
        rest = np.bitwise_count(chunk.words[leading:].take(slots, axis=1) ^ query[leading:])
        totals[piece] += rest.sum(axis=0, dtype=np.uint16)
    return ids[np.argsort(totals, kind="stable")[:count]]


class _Comparison:
    """Compares codes with a query by its words. The buffers are made once: new ones cost more than the work in them."""

    def __init__(self, query: Words) -> None:
        self.query = query
        self._differing = np.empty((len(query), CHUNK), np.uint64)
        self._counts = np.empty((len(query), CHUNK), np.uint8)

    def __call__(self, part: Part, distances: Distances) -> None:
        """Write the (used,) distances of a part's codes; of hidden ones the farthest there is."""
        used = part.chunk.used
        differing, counts = self._differing[:, :used], self._counts[:, :used]
        # Each call lets go of the interpreter's lock, for a tenth of a millisecond at a time.
        np.bitwise_xor(part.chunk.words[: len(self.query), :used], self.query, out=differing)
        np.bitwise_count(differing, out=counts)
        _add(counts, distances)
        if part.hidden is not None:
            np.copyto(distances, _far(distances), where=part.hidden)


def _add(counts: NDArray[np.uint8], out: Distances) -> None:
    if out.dtype == np.uint8:  # so few are added three times as fast one by one
        out[:] = counts[0]
        for row in counts[1:]:
            np.add(out, row, out=out)
    else:
        np.add.reduce(counts, axis=0, dtype=np.uint16, out=out)


def _near(distances: Distances, count: int) -> Ids:
    """The places of about the `count` smallest distances, of at least half as many if there are, in order of place."""
    if count < len(distances):
        sample = distances[::SAMPLED]
        places = _up_to(distances, _nth(sample, count * len(sample) // len(distances)))
        if len(places) >= count // 2:
            return places
    return _up_to(distances, _nth(distances, min(count, len(distances)) - 1))


def _nth(distances: Distances, n: int) -> int:
    return int(np.partition(distances, n)[n])


def _up_to(distances: Distances, cut: int) -> Ids:
    return np.flatnonzero(distances <= min(cut, _far(distances) - 1))


def _far(distances: Distances) -> int:
    """Farther than any code: 192 bits differ at most where a byte counts them, 4,096 where two do."""
    return int(np.iinfo(distances.dtype).max)
