"""Which candidates may be among the best, by their estimates and by the scores of those that are known already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..exact import Floats

# docs/search-internals.md has the measurement of these.
FIRST = 0.25  # of the candidates are scored before it is asked how many more may matter
ERRORS = 3.5  # standard deviations that a score may lie above what its estimate lets expect
ROUNDING = 1e-6  # of float32, in which the estimates are


def highest_scores(estimates: Floats, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest score that each of (n,) vectors may have, by its estimate; (m,) scores of the first m are known, NaN
    where one has none.

    A line through those that are known (least squares, no steeper than the estimates themselves), and above it ERRORS
    standard deviations of their distances from it.
    """
    given, known = estimates[: len(scores)][~np.isnan(scores)].astype(np.float64), scores[~np.isnan(scores)]
    if not len(known):
        return np.full(len(estimates), np.inf)
    aside, above = given - given.mean(), known - known.mean()
    slope = np.clip((aside @ above) / (aside @ aside or np.inf), 0.0, 1.0)
    spread = (above - slope * aside).std()
    return np.asarray(known.mean() + slope * (estimates - given.mean()) + ERRORS * spread + ROUNDING)


def nth_largest(scores: NDArray[np.float64], n: int) -> float:
    """The score that n of these reach; minus infinity where they are fewer, NaN not counted."""
    present = scores[~np.isnan(scores)]
    return float(np.partition(present, -n)[-n]) if len(present) >= n else -np.inf
