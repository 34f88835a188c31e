"""All codes of a collection in memory: found by vector id, changed block by block, scanned for the nearest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .blocks import SLOTS, unpack_block
from .scan import FAR, Nearest, Positions, Scratch, distances_to
from .signs import Floats, Signs, Words, signs_of, unit_rows, width_of

CHUNK_BLOCKS = 64
CHUNK = CHUNK_BLOCKS * SLOTS  # 65,536 slots, 3 MiB at 384 dimensions: what is copied when one of its blocks changes
POOL = 4_000  # how many of the nearest codes are estimated
SPARSE = 8  # a filter that leaves less than an eighth of a chunk picks its codes out before comparing

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """The codes of CHUNK neighbouring vector ids; never changed once made."""

    words: Words  # (width, CHUNK)
    lean: NDArray[np.float16]  # (CHUNK,), NaN for a hole
    used: int  # slots up to the last block that was ever written
    holes: NDArray[np.bool_] | None  # (used,), None where there are none

    @property
    def count(self) -> int:
        """How many vectors it holds."""
        return self.used - (0 if self.holes is None else int(self.holes.sum()))


@dataclass(frozen=True)
class CodeIndex:
    """The codes of one collection. A change makes a new index that shares all other chunks, so that threads that are
    scanning the old one need no lock.
    """

    centre: Floats
    chunks: Mapping[int, Chunk]  # by vector id // CHUNK, ascending

    @classmethod
    def from_blocks(cls, centre: Floats, blocks: Iterable[tuple[int, bytes]]) -> CodeIndex:
        """The index of packed blocks, each with its number (vector id // SLOTS)."""
        return cls(centre, {}).with_blocks(blocks)

    @classmethod
    def from_vectors(cls, centre: Floats, batches: Iterable[tuple[Ids, NDArray[np.floating]]]) -> CodeIndex:
        """The index of vectors, for a file that has no packed codes: (n,) vector ids and (n, dimensions) vectors."""
        drafts: dict[int, _Draft] = {}
        for ids, vectors in batches:
            signs = signs_of(vectors, centre)
            for number, part in _by_chunk(ids):
                draft = drafts.setdefault(number, _Draft.empty(len(centre)))
                draft.write(ids[part] - number * CHUNK, Signs(signs.words[:, part], signs.lean[part]))
        return cls(centre, {number: drafts[number].finish() for number in sorted(drafts)})

    def with_blocks(self, blocks: Iterable[tuple[int, bytes | None]]) -> CodeIndex:
        """This index with the blocks replaced; None for a block that is gone. Copies 3 MiB for each chunk touched."""
        drafts: dict[int, _Draft] = {}
        for block, blob in blocks:
            number, place = divmod(block, CHUNK_BLOCKS)
            if number not in drafts:
                drafts[number] = _Draft.of(self.chunks.get(number), len(self.centre))
            drafts[number].write_block(place, blob)
        chunks = {**self.chunks, **{number: draft.finish() for number, draft in drafts.items()}}
        return CodeIndex(self.centre, {number: chunks[number] for number in sorted(chunks)})

    def __len__(self) -> int:
        return sum(chunk.count for chunk in self.chunks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the codes take."""
        return sum(chunk.words.nbytes + chunk.lean.nbytes for chunk in self.chunks.values())

    def nearest(self, query: NDArray[np.floating], count: int, among: Ids | None = None) -> Ids:
        """Up to `count` vector ids worth rescoring for this (dimensions,) query, the most promising first.

        `among`: only these vector ids, in any order. Nothing is near a zero vector, and a zero vector is near nothing.
        Two steps: the bits that differ choose a pool, the query's own numbers against the pool's signs order it.
        """
        unit, has_direction = unit_rows(np.asarray(query)[None, :])
        if not has_direction[0] or count < 1:
            return np.empty(0, np.int64)
        wanted = None if among is None else np.unique(np.asarray(among, np.int64))
        if wanted is not None and len(wanted) <= max(count, POOL):
            pool = self._present(wanted)
        else:
            pool = self._pool(signs_of(query[None, :], self.centre).words, max(POOL, 4 * count), wanted)
        if len(pool) <= count and among is not None:
            return pool
        return self._best(unit[0], pool, count)

    def _pool(self, query: Words, size: int, wanted: Ids | None) -> Ids:
        nearest, scratch = Nearest(size), Scratch(len(query))
        for number, chunk in self.chunks.items():
            base = number * CHUNK
            if wanted is None:
                _offer_chunk(nearest, chunk, base, query, scratch)
        return nearest.positions()
