"""One search: candidates from an index, scored as far as they can matter, until enough of them stand the check."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..exact import Floats, Ids, Ranked
from .candidates import Candidate, Scored, current, in_order, scored
from .matches import Key, Match

if TYPE_CHECKING:
    from .meaning import Searcher

# docs/search-internals.md has the measurements of these.
POOL = 400  # codes worth scoring for ten matches,
POOL_EACH = 20  # and for each of many more
FIRST = 0.25  # of them are scored before it is asked how many more may matter
ERRORS = 3.5  # standard deviations that a score may lie above what its estimate lets expect
ROUNDING = 1e-6  # of float32, in which the estimates are
GROWTH = 4


class Round:
    """Takes candidates in growing numbers until k of them stood the check."""

    def __init__(
        self, searcher: Searcher, query: NDArray[np.float64], k: int, among: Ids | None, leave_out: frozenset[int]
    ) -> None:
        self.searcher, self.query, self.k = searcher, query, k
        self.among, self.leave_out = among, leave_out
        self.scored: dict[int, Scored] = {}
        # Of those that were checked, by stored key and hash; None where the row is another by now.
        self.rows: dict[tuple[Key, str], Key | None] = {}

    def matches(self) -> list[Match]:
        """The best k whose rows still say what was embedded."""
        view = self.searcher.view
        index = view.index
        k = min(self.k, len(index))
        pool = (k if view.is_exact else max(POOL, POOL_EACH * k)) + len(self.leave_out)
        while True:
            found = index.nearest(self.query, pool, self.among)
            all_known = pool >= len(index) or len(found.ids) < pool
            if view.is_exact or all_known:
                self._score(found.ids.tolist())
                # Of more than the pool some are there only because float32 cannot tell them from those that are not.
                matches = self._best(k, len(self.scored) if all_known else pool - len(self.leave_out))
            else:
                matches = self._best_by_estimates(found, k)
            if len(matches) >= k or all_known:
                return matches
            pool = min(pool * GROWTH, len(index))

    def _best_by_estimates(self, found: Ranked, k: int) -> list[Match]:
        """The best k of these, without scoring those that are none of them by all that their estimates say."""
        ids = found.ids.tolist()
        known = int(FIRST * len(ids))
        self._score(ids[:known])
        scores = np.array([self.scored[each][0] if each in self.scored else np.nan for each in ids[:known]])
        highest = highest_scores(found.scores, scores)
        wanted = int(np.count_nonzero(highest >= _nth_largest(scores, k)))
        while True:
            self._score(ids[known:wanted])
            known = max(known, wanted)
            matches = self._best(k, len(self.scored))
            least = (matches[-1].score or 0.0) if len(matches) >= k else -np.inf
            wanted = int(np.count_nonzero(highest >= least))
            if wanted <= known:
                return matches

    def _score(self, vector_ids: list[int]) -> None:
        wanted = [place for place in vector_ids if place not in self.scored and place not in self.leave_out]
        searcher = self.searcher
        self.scored.update(scored(searcher.conn, searcher.collection, self.query, wanted))

    def _best(self, k: int, certain: int) -> list[Match]:
        chunks: dict[Key, list[Candidate]] = {}
        for found, key in self._checked(k, certain):
            chunks.setdefault(key, []).append(found)
            if len(chunks) == k:
                break
        return self.searcher.matches(chunks)

    def _checked(self, k: int, certain: int) -> Iterator[tuple[Candidate, Key]]:
        """The candidates that stand the check, best first, each with its row's key."""
        searcher = self.searcher
        ordered = in_order(searcher.conn, searcher.collection, searcher.source, self.scored, k)
        order = islice(ordered, certain)
        while part := list(islice(order, k)):  # most stand it, so most searches check once
            self._check(part)
            for found in part:
                if (key := self.rows[found.key, found.row_hash]) is not None:
                    yield found, key

    def _check(self, candidates: list[Candidate]) -> None:
        places = {(found.key, found.row_hash): found.vector_id for found in candidates}
        unchecked = {vector_id: row for row, vector_id in places.items() if row not in self.rows}
        if unchecked:
            searcher, hashes = self.searcher, {vector_id: row[1] for vector_id, row in unchecked.items()}
            rows = current(searcher.conn, searcher.collection, searcher.source, hashes)
            self.rows.update({row: rows.get(vector_id) for vector_id, row in unchecked.items()})


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


def _nth_largest(scores: NDArray[np.float64], n: int) -> float:
    present = scores[~np.isnan(scores)]
    return float(np.partition(present, -n)[-n]) if len(present) >= n else -np.inf
