"""Vectors to one-bit codes: centred, and of each number only its sign kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Words = NDArray[np.uint64]


class Signs(NamedTuple):
    """The codes of n vectors: `words` (width, n) uint64, `lean` (n,) float32, NaN where a vector has no direction."""

    words: Words
    lean: Floats  # the cosine with the centre, times the centre's length


def width_of(dimensions: int) -> int:
    """How many 64-bit words a code has; the last is filled up with zeros."""
    return -(-dimensions // 64)


def centre_of(vectors: NDArray[np.floating]) -> Floats:
    """The mean direction of the (n, dimensions) vectors, float32; zeros where none has a direction.

    A few thousand vectors drawn over the whole collection are enough. Any centre gives true codes, only worse ones:
    models such as E5 put all vectors into a narrow cone, where without centring most signs are the same.
    """
    unit, has_direction = unit_rows(vectors)
    total = unit[has_direction].sum(axis=0, dtype=np.float64)
    return np.asarray(total / max(1, int(has_direction.sum())), dtype=np.float32)


def signs_of(vectors: NDArray[np.floating], centre: Floats) -> Signs:
    """The codes of (n, dimensions) vectors of any length (1e-38 to 1e38): bit i is set where the unit vector's
    number i is above the centre's.
    """
    unit, has_direction = unit_rows(vectors)
    count, dimensions = unit.shape
    bits = np.zeros((count, 64 * width_of(dimensions)), dtype=np.bool_)
    np.greater(unit, centre, out=bits[:, :dimensions])
    words = np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64, copy=False)
    lean = np.where(has_direction, unit @ centre, np.float32(np.nan))
    return Signs(np.ascontiguousarray(words.T), lean)


def unit_rows(vectors: NDArray[np.floating]) -> tuple[Floats, NDArray[np.bool_]]:
    """The rows scaled to length 1 as float32, and which of them have a direction (are finite and not all zero)."""
    rows = np.asarray(vectors)
    peak = np.abs(rows).max(axis=1, initial=0)
    has_direction = (peak > 0) & np.isfinite(peak)
    # by the largest number first: the squares of 1e30 or 1e-30 are no float32
    scaled = (rows / np.where(has_direction, peak, 1)[:, None]).astype(np.float32, copy=False)
    scaled[~has_direction] = 0
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    scaled /= np.where(has_direction, length, np.float32(1))[:, None]
    return scaled, has_direction
