"""Exact nearest vectors: a float32 matrix in memory, and the float64 cosines that are returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

BLOCK = 1024  # neighbouring vector ids that are replaced together when one of them changes
# Numbers in one product. OpenBLAS splits a longer one over threads that spin for each other: on a busy machine that
# makes 1 ms into 40 ms or more (docs/search-internals.md).
PRODUCT = 2**18
# Numbers that `cosines` takes at a time: so few that the system need not be asked for memory. And a row that is longer
# than einsum's buffer of 8,192, which it adds up in parts that depend on its neighbours, has none.
SCORED = 15_360


class Ranked(NamedTuple):
    """Vectors that an index finds, the most promising first."""

    ids: Ids  # (n,)
    scores: Floats  # (n,) by which they are in that order


class Rows(NamedTuple):
    """The vectors of one block that have a direction."""

    ids: Ids  # (n,), ascending
    matrix: Floats  # (n, dimensions), rows of length 1


@dataclass(frozen=True)
class ExactIndex:
    """All vectors of a small collection, never changed: a change makes a new index that shares the other blocks, so
    that a thread that is searching the old one needs no lock. 4 bytes of memory for each number.
    """

    blocks: Mapping[int, Rows]  # by vector id // BLOCK, in that order

    @classmethod
    def from_vectors(cls, batches: Iterable[tuple[Ids, NDArray[np.floating]]]) -> ExactIndex:
        """The index of batches of (n,) vector ids and (n, dimensions) vectors, the ids ascending throughout."""
        parts: dict[int, list[Rows]] = {}
        for ids, vectors in batches:
            for number, run in runs(ids // BLOCK):
                parts.setdefault(number, []).append(_rows(ids[run], vectors[run]))
        return cls({number: _joined(rows) for number, rows in parts.items()})

    def with_block(self, number: int, ids: Ids, vectors: NDArray[np.floating]) -> ExactIndex:
        """This index with one block replaced by these (n,) ascending ids and (n, dimensions) vectors."""
        blocks = {**self.blocks, number: _rows(ids, vectors)}
        return ExactIndex({number: blocks[number] for number in sorted(blocks)})

    def __len__(self) -> int:
        return sum(len(rows.ids) for rows in self.blocks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the vectors take."""
        return sum(rows.matrix.nbytes + rows.ids.nbytes for rows in self.blocks.values())

    def nearest(self, query: NDArray[np.floating], k: int, among: Ids | None = None) -> Ranked:
        """The vectors among which the k nearest of the (dimensions,) query are for certain, with their cosines.

        They are more than k where float32 cannot tell the last of them apart: order them by `cosines`. `among`: only
        these vector ids, in any order. Nothing is near a zero vector, nor is a zero vector near anything.
        """
        unit, has_direction = unit_rows(np.asarray(query)[None, :])
        if not has_direction[0] or k < 1 or not self.blocks:
            return nothing()
        ids = np.concatenate([rows.ids for rows in self.blocks.values()])
        scores = np.concatenate([product(rows.matrix, unit[0]) for rows in self.blocks.values()])
        if among is not None:
            listed = np.isin(ids, among)
            ids, scores = ids[listed], scores[listed]
        order = _certain(scores, k, dimensions=unit.shape[1])
        return Ranked(ids[order], scores[order])


def cosines(query: NDArray[np.floating], vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """The cosines, as float64 (n,), of a (dimensions,) query with (n, dimensions) vectors; NaN where either is zero.

    The same vector gets the same score to the last bit whatever else is among them, so that ties stay ties.
    """
    wanted = np.asarray(query, dtype=np.float64)
    wanted = wanted / (np.abs(wanted).max(initial=0) or 1)  # a query in float64 may have squares that overflow it
    dots, squares = np.empty((2, len(vectors)))
    step = max(1, SCORED // max(1, len(wanted)))
    rows = np.empty((min(len(vectors), step), len(wanted)))
    for start in range(0, len(vectors), step):
        part = slice(start, start + step)
        some = rows[: len(vectors[part])]
        some[:] = vectors[part]
        # Not a matrix product: BLAS adds a row up in another order according to where it stands.
        np.einsum("ij,j->i", some, wanted, out=dots[part])
        np.einsum("ij,ij->i", some, some, out=squares[part])
    lengths = np.sqrt(squares) * np.sqrt((wanted * wanted).sum())
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is promised
        return np.asarray(np.clip(dots / lengths, -1.0, 1.0))


def product(matrix: Floats, vector: Floats) -> Floats:
    """The dot products of (n, dimensions) rows with a vector, as float32 (n,), on this thread alone."""
    step = max(1, PRODUCT // len(vector))
    parts = [matrix[start : start + step] @ vector for start in range(0, len(matrix), step)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def unit_rows(vectors: NDArray[np.floating]) -> tuple[Floats, NDArray[np.bool_]]:
    """The rows scaled to length 1 as float32, and which of them have a direction (finite and not all zeros)."""
    rows = np.asarray(vectors)
    peak = np.abs(rows).max(axis=1, initial=0)
    has_direction = (peak > 0) & np.isfinite(peak)
    # by the largest number first: the squares of 1e30 and of 1e-30 are no float32
    scaled = (rows / np.where(has_direction, peak, 1)[:, None]).astype(np.float32, copy=False)
    scaled[~has_direction] = 0
    lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    scaled /= np.where(has_direction, lengths, np.float32(1))[:, None]
    return scaled, has_direction


def nothing() -> Ranked:
    """What is found where nothing is."""
    return Ranked(np.empty(0, np.int64), np.empty(0, np.float32))


def largest(scores: Floats, k: int, margin: float = 0.0) -> NDArray[np.intp]:
    """Where the scores lie that are no more than `margin` below the k-th largest, the largest first; of equal ones the
    first.
    """
    near = np.flatnonzero(scores >= nth_largest(scores, k) - margin)
    return near[np.argsort(-scores[near], kind="stable")]


def nth_largest(scores: NDArray[np.floating], n: int) -> float:
    """The score that n of these reach; minus infinity where they are fewer."""
    return float(np.partition(scores, -n)[-n]) if len(scores) >= n else -np.inf


def runs(numbers: NDArray[np.integer]) -> Iterator[tuple[int, slice]]:
    """Each run of equal numbers, and where it lies."""
    bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, stop in pairwise(bounds):
        if stop > start:
            yield int(numbers[start]), slice(start, stop)


def _rows(ids: Ids, vectors: NDArray[np.floating]) -> Rows:
    unit, has_direction = unit_rows(vectors)
    return Rows(ids, unit) if has_direction.all() else Rows(ids[has_direction], unit[has_direction])


def _joined(parts: list[Rows]) -> Rows:
    return Rows(np.concatenate([rows.ids for rows in parts]), np.concatenate([rows.matrix for rows in parts]))


def _certain(scores: Floats, k: int, dimensions: int) -> NDArray[np.intp]:
    """Where the scores lie that may be among the k best when they are computed without rounding, best first."""
    # rounding of two float32 unit vectors and of their product, at worst (Higham 2002, section 3.1), both ways
    return largest(scores, k, margin=2 * (2 * dimensions + 8) * 2.0**-24)
