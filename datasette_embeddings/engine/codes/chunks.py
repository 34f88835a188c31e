"""Codes in memory, 131,072 neighbouring vector ids at a time: the unit that is copied when something in it changes."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

from .blocks import SLOTS, unpack_block
from .signs import Signs, Words, width_of

CHUNK_BLOCKS = 128
CHUNK = CHUNK_BLOCKS * SLOTS  # slots; 6.3 MiB at 384 dimensions, copied in about two milliseconds
_serials = count()


@dataclass(eq=False)
class Chunk:
    """The codes of vector ids from a multiple of CHUNK on; never changed once made, only moved to shared memory."""

    words: Words  # (width, CHUNK): word by word, because a scan reads one word of all codes after the other
    lean: NDArray[np.float16]  # (CHUNK,), NaN for a hole
    used: int  # slots up to the last one that has a vector
    holes: NDArray[np.bool_] | None  # (used,); None where there are none
    serial: int = field(default_factory=_serials.__next__)  # no other chunk of this process has it

    @classmethod
    def mapped(cls, descriptor: int, width: int, used: int) -> Chunk:
        """The chunk that another process moved to shared memory, to be read; the caller closes the descriptor."""
        words, lean = _arrays(mmap.mmap(descriptor, _size(width), prot=mmap.PROT_READ), width)
        holes = np.isnan(lean[:used])
        return cls(words, lean, used, holes if holes.any() else None)

    def share(self) -> int:
        """Move the codes to memory that other processes can map, and give a descriptor of it, for the caller to close.

        OSError where the system has no more of it. On Linux only.
        """
        width = len(self.words)
        descriptor = os.memfd_create("codes")
        try:
            os.ftruncate(descriptor, _size(width))
            words, lean = _arrays(mmap.mmap(descriptor, _size(width)), width)
            words[:, : self.used], lean[:] = self.words[:, : self.used], self.lean
        except BaseException:
            os.close(descriptor)
            raise
        self.words, self.lean = words, lean  # the same codes: whoever is reading the old ones may go on
        return descriptor

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


def _size(width: int) -> int:
    return CHUNK * (8 * width + 2)


def _arrays(memory: mmap.mmap, width: int) -> tuple[Words, NDArray[np.float16]]:
    lean = np.frombuffer(memory, np.float16, CHUNK, offset=8 * width * CHUNK)
    return np.frombuffer(memory, np.uint64, width * CHUNK).reshape(width, CHUNK), lean
