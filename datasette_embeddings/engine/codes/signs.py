"""Vectors to one-bit codes: centred, and of each number only its sign kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..exact import PRODUCT, Floats, product, unit_rows

Words = NDArray[np.uint64]

MEAN_SIGN_COSINE = float(np.sqrt(2 / np.pi))  # of a random direction with the direction of its signs


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
    lean = np.where(has_direction, product(unit, centre), np.float32(np.nan))
    return Signs(np.ascontiguousarray(words.T), lean)


def estimates(unit: Floats, centre: Floats, codes: Signs) -> Floats:
    """About the cosine of a (dimensions,) unit query with each vector, less what is the same for all; NaN for holes.

    The query's numbers count in full against the vectors' signs (asymmetric distance, as in RaBitQ, Gao and Long 2024,
    arXiv:2405.12497): far nearer to the truth than counting bits, at the price of a product.
    """
    offset = unit - centre
    spread = np.sqrt(max(0.0, 1.0 - float(centre @ centre)))  # the usual distance of a unit vector from the centre
    # Whole numbers, whose sums float32 holds exactly: equal codes get equal estimates, wherever BLAS starts to add.
    fineness = 2.0**23 / max(float(np.abs(offset).sum()), 1e-30)
    whole = np.rint(offset * fineness).astype(np.float32)
    sums = (2 * _sums_where_set(codes.words, whole) - whole.sum()) / fineness
    return np.asarray(codes.lean + sums * spread / MEAN_SIGN_COSINE / np.sqrt(len(centre)), dtype=np.float32)


def _sums_where_set(words: Words, numbers: Floats) -> Floats:
    """The sum of the numbers whose bits are set, for each of n codes (width, n), as float32 (n,)."""
    packed = np.ascontiguousarray(words.T).astype("<u8", copy=False).view(np.uint8)
    sums = np.empty(len(packed), np.float32)
    step = max(1, PRODUCT // len(numbers))  # unpacked, each bit is a float32
    for start in range(0, len(packed), step):
        bits = np.unpackbits(packed[start : start + step], axis=1, count=len(numbers), bitorder="little")
        sums[start : start + step] = bits.astype(np.float32) @ numbers
    return sums
