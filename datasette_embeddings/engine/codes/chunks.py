"""Codes in memory, 131,072 neighbouring vector ids at a time: the unit that is copied when something in it changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .blocks import SLOTS, unpack_block
from .signs import Signs, Words, width_of

CHUNK_BLOCKS = 128
CHUNK = CHUNK_BLOCKS * SLOTS  # slots; 6.3 MiB at 384 dimensions, copied in about two milliseconds


@dataclass(frozen=True)
class Chunk:
    """The codes of vector ids from a multiple of CHUNK on; never changed once made."""

    words: Words  # (width, CHUNK): word by word, because a scan reads one word of all codes after the other
    lean: NDArray[np.float16]  # (CHUNK,), NaN for a hole
    used: int  # slots up to the last one that has a vector
    holes: NDArray[np.bool_] | None  # (used,); None where there are none

    @property
    def count(self) -> int:
        """How many vectors it holds."""
        return self.used - (0 if self.holes is None else int(np.count_nonzero(self.holes)))


class Draft:
    """A chunk that is being made: a copy of another one, or empty."""

    def __init__(self, dimensions: int, chunk: Chunk | None = None) -> None:
        self.dimensions = dimensions
        # zeros take no memory before they are written, so a small collection pays for what it has
        self.words = np.zeros((width_of(dimensions), CHUNK), np.uint64)
        self.lean = np.full(CHUNK, np.nan, np.float16)
        if chunk is not None:
            self.words[:, : chunk.used] = chunk.words[:, : chunk.used]
            self.lean[: chunk.used] = chunk.lean[: chunk.used]

    def write(self, slots: NDArray[np.integer], signs: Signs) -> None:
        """Put these codes at these slots of the chunk."""
        self.words[:, slots] = signs.words
        self.lean[slots] = signs.lean

    def write_block(self, place: int, blob: bytes | None) -> None:
        """Replace the chunk's block number `place` by a packed one; None empties it."""
        part = slice(place * SLOTS, (place + 1) * SLOTS)
        if blob is None:
            self.lean[part] = np.nan
            return
        block = unpack_block(blob, self.dimensions)
        self.words[:, part] = block.words
        self.lean[part] = block.lean

    def finish(self) -> Chunk:
        """The chunk; the draft must not be written to any more."""
        present = np.flatnonzero(~np.isnan(self.lean))
        used = int(present[-1]) + 1 if len(present) else 0
        holes = np.isnan(self.lean[:used]) if len(present) < used else None
        return Chunk(self.words, self.lean, used, holes)
