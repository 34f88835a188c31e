"""The packed form in the file: one BLOB holds the codes of 1,024 neighbouring vector ids.

A BLOB is SLOTS little-endian float16 (each slot's `lean`, NaN where the slot has no vector, or one without a
direction), then for each 64-bit word of a code the SLOTS words of all slots, little-endian: what a scan reads in
one go lies together. 384 dimensions make 51,200 bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import VectorError
from ..exact import Floats
from .signs import Signs, signs_of, width_of

SLOTS = 1024  # vector id i is slot i % SLOTS of block i // SLOTS; a change of one vector rewrites one block

Slots = NDArray[np.integer]


def pack_block(centre: Floats, slots: Slots, vectors: NDArray[np.floating]) -> bytes:
    """A new block with (n, dimensions) vectors at these n slots and none elsewhere."""
    return patch_block(None, centre, slots, vectors)


def patch_block(
    blob: bytes | None,
    centre: Floats,
    slots: Slots,
    vectors: NDArray[np.floating],
    *,
    emptied: Slots | None = None,
) -> bytes:
    """The block with the `emptied` slots cleared, then these vectors put into these slots; None is an empty block."""
    block = empty_block(len(centre)) if blob is None else unpack_block(blob, len(centre))
    lean, words = block.lean.astype("<f2"), block.words.astype("<u8")
    if emptied is not None:
        lean[emptied], words[:, emptied] = np.nan, 0
    if len(slots):
        signs = signs_of(vectors, centre)
        lean[slots], words[:, slots] = signs.lean, signs.words
    return lean.tobytes() + words.tobytes()


def empty_block(dimensions: int) -> Signs:
    """A block without vectors."""
    return Signs(np.zeros((width_of(dimensions), SLOTS), np.uint64), np.full(SLOTS, np.nan, np.float32))


def unpack_block(blob: bytes, dimensions: int) -> Signs:
    """A block's codes, (width, SLOTS) and (SLOTS,), read from the BLOB without a copy.

    VectorError where the BLOB has another size: it was packed for other dimensions, or damaged.
    """
    width = width_of(dimensions)
    if len(blob) != SLOTS * (2 + 8 * width):
        raise VectorError(
            f"A block of codes for {dimensions} dimensions cannot have {len(blob)} bytes; rebuild the codes"
        )
    lean = np.frombuffer(blob, "<f2", SLOTS).astype(np.float32)
    return Signs(np.frombuffer(blob, "<u8", offset=2 * SLOTS).reshape(width, SLOTS), lean)
