"""Which candidates may be among the best, by their estimates and by the scores of those that are known already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..exact import Floats

# docs/search-internals.md has the measurement of these.
FIRST = 0.25  # of the candidates are scored before it is asked how many more may matter
ERRORS = 3.5  # standard deviations that a score may lie above what its estimate lets expect
ROUNDING = 1e-6  # of float32, in which the estimates are


def highest_scores(estimates: Floats, given: Floats, known: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest score that each of (n,) vectors may have, by its estimate; of (m,) others both `given` estimates and
    scores are `known`.

    A line through those that are known (least squares, no steeper than the estimates themselves), and above it ERRORS
    standard deviations of their distances from it.
    """
    if not len(known):
        return np.full(len(estimates), np.inf)
    middle = given.mean(dtype=np.float64)
    aside, above = given - middle, known - known.mean()
    slope = np.clip((aside @ above) / (aside @ aside or np.inf), 0.0, 1.0)
    spread = (above - slope * aside).std()
    return np.asarray(known.mean() + slope * (estimates - middle) + ERRORS * spread + ROUNDING)
