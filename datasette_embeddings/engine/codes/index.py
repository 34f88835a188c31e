"""All codes of a collection in memory: found by vector id, changed block by block, searched for the nearest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..exact import Floats, Ids, Ranked, largest, nothing, runs, unit_rows
from .chunks import CHUNK, CHUNK_BLOCKS, Chunk, Draft
from .process import scan_process
from .scan import STEP, Mask, Part, nearest_codes
from .signs import Signs, estimates, signs_of, width_of
from .turns import scans

POOL = 4_000  # how many of the nearest codes get an estimate; docs/search-internals.md has the measurement
SCANNED = 32  # codes are scanned in the time that one, picked out, gets its estimate


@dataclass(frozen=True)
class CodeIndex:
    """The codes of one collection, never changed: a change makes a new index that shares all chunks it did not touch,
    so that a thread that is searching the old one needs no lock.
    """

    centre: Floats  # (dimensions,)
    chunks: Mapping[int, Chunk]  # by vector id // CHUNK, in that order

    @classmethod
    def from_blocks(cls, centre: Floats, blocks: Iterable[tuple[int, bytes]]) -> CodeIndex:
        """The index of packed blocks, each with its number (vector id // SLOTS)."""
        return cls(centre, {}).with_blocks(blocks)

    @classmethod
    def from_vectors(cls, centre: Floats, batches: Iterable[tuple[Ids, NDArray[np.floating]]]) -> CodeIndex:
        """The index of batches of (n,) vector ids and (n, dimensions) vectors, where the file has no packed codes."""
        drafts: dict[int, Draft] = {}
        for ids, vectors in batches:
            signs = signs_of(vectors, centre)
            for number, part in runs(ids // CHUNK):
                draft = drafts.get(number) or drafts.setdefault(number, Draft(len(centre)))
                draft.write(ids[part] - number * CHUNK, Signs(signs.words[:, part], signs.lean[part]))
        return cls(centre, {})._with_drafts(drafts)

    def with_blocks(self, blocks: Iterable[tuple[int, bytes | None]]) -> CodeIndex:
        """This index with these blocks replaced; None for a block that is gone."""
        drafts: dict[int, Draft] = {}
        for block, blob in blocks:
            number, place = divmod(block, CHUNK_BLOCKS)
            if number not in drafts:
                drafts[number] = Draft(len(self.centre), self.chunks.get(number))
            drafts[number].write_block(place, blob)
        return self._with_drafts(drafts)

    def _with_drafts(self, drafts: Mapping[int, Draft]) -> CodeIndex:
        chunks = {**self.chunks, **{number: draft.finish() for number, draft in drafts.items()}}
        return CodeIndex(self.centre, {number: chunks[number] for number in sorted(chunks) if chunks[number].used})

    def __len__(self) -> int:
        return sum(chunk.count for chunk in self.chunks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the codes take."""
        return sum(chunk.used * (chunk.words.shape[0] * 8 + 2) for chunk in self.chunks.values())

    def nearest(self, query: NDArray[np.floating], count: int, among: Ids | None = None) -> Ranked:
        """Up to `count` vectors that are worth scoring for this (dimensions,) query, with the `estimates` of it.

        `among`: only these vector ids, in any order; where they are no more than `count`, all that have a code come
        back. Nothing is near a zero vector, nor is a zero vector near anything.
        """
        query = np.asarray(query)
        among = None if among is None else np.asarray(among, np.int64)
        found = scan_process.nearest(self.chunks, self.centre, query, count, among)
        if found is None:
            with scans.turn() as alone:
                if not alone:
                    scan_process.met(self.chunks)
                found = self.search(query, count, among, step=STEP if alone else CHUNK)
        return found

    def search(self, query: NDArray[np.floating], count: int, among: Ids | None, step: int = STEP) -> Ranked:
        """What `nearest` gives, found in this process and without waiting for a turn, `step` codes at a time."""
        rows = query[None, :]
        unit, has_direction = unit_rows(rows)
        if not has_direction[0] or count < 1:
            return nothing()
        size = max(POOL, 4 * count)
        wanted = None if among is None else _ascending(among)
        if wanted is None or len(wanted) > max(size, len(self) // SCANNED):
            wanted = nearest_codes(signs_of(rows, self.centre).words, self._parts(wanted), size, step)
        return self._best(unit[0], wanted, count)

    def _parts(self, wanted: Ids | None) -> list[Part]:
        """What a scan goes over: all slots, or those of these ascending ids."""
        if wanted is None:
            return [Part(number * CHUNK, chunk, chunk.holes) for number, chunk in self.chunks.items()]
        return [
            Part(number * CHUNK, chunk, _all_but(chunk, wanted[part] - number * CHUNK))
            for number, part in runs(wanted // CHUNK)
            if (chunk := self.chunks.get(number))
        ]

    def _best(self, unit: Floats, ids: Ids, count: int) -> Ranked:
        codes = self._codes_of(ids)
        scores = estimates(unit, self.centre, codes)
        present = ~np.isnan(scores)
        ids, scores = ids[present], scores[present]
        order = largest(scores, count)[:count]
        return Ranked(ids[order], scores[order])

    def _codes_of(self, ids: Ids) -> Signs:
        words = np.zeros((width_of(len(self.centre)), len(ids)), np.uint64)
        lean = np.full(len(ids), np.nan, np.float32)
        for number, part in runs(ids // CHUNK):
            if chunk := self.chunks.get(number):
                slots = ids[part] - number * CHUNK
                words[:, part], lean[part] = chunk.words.take(slots, axis=1), chunk.lean[slots]
        return Signs(words, lean)


def _ascending(ids: Ids) -> Ids:
    """The ids in order, each once."""
    if not (np.diff(ids) > 0).all():
        ids = np.sort(ids)
        ids = ids[np.diff(ids, prepend=ids[:1] - 1) > 0]
    return ids


def _all_but(chunk: Chunk, slots: Ids) -> Mask:
    hidden = np.ones(chunk.used, np.bool_)
    hidden[slots[slots < chunk.used]] = False
    return hidden if chunk.holes is None else hidden | chunk.holes
