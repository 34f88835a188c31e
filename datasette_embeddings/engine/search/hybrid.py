"""Words and meaning fused by reciprocal rank."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from .among import Among
from .matches import Key, Match, check_count, sort_key
from .meaning import Searcher
from .words import FullText, ranked, required_index

RANK_CONSTANT = 60  # Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion": a first place counts 1/61
POOL = 10  # times the matches asked for are taken from each ranking
MEANING, WORDS = "meaning", "words"


def search_words(
    searcher: Searcher, text: str, k: int = 10, *, among: Among | None = None, index: FullText | None = None
) -> list[Match]:
    """The k rows that a full-text index ranks best; they have no score."""
    index = index or required_index(searcher.conn, searcher.source)
    keys = ranked(searcher.conn, searcher.source, index, text, check_count(k), among)
    return [Match(key, None, {WORDS: place}) for place, key in enumerate(keys, 1)]


def search_both(
    searcher: Searcher,
    text: str,
    query: bytes,
    k: int = 10,
    *,
    among: Among | None = None,
    index: FullText | None = None,
) -> list[Match]:
    """The k rows best by the sum of 1 / (60 + rank) over both rankings; each says where which ranking had it."""
    k = check_count(k)
    pool = POOL * k
    by_meaning = searcher.nearest(query, pool, among=among)
    by_words = search_words(searcher, text, pool, among=among, index=index)
    matches = {match.key: match for match in by_meaning}
    ranks: defaultdict[Key, dict[str, int]] = defaultdict(dict)
    for place, match in enumerate(by_meaning, 1):
        ranks[match.key][MEANING] = place
    for match in by_words:
        ranks[match.key].update(match.ranks)
    matches.update(searcher.best_chunks(query, [key for key in ranks if key not in matches]))
    best = sorted(ranks, key=lambda key: sort_key(_fused(ranks[key]), key))[:k]
    return [replace(matches.get(key) or Match(key, None), ranks=ranks[key]) for key in best]


def _fused(ranks: dict[str, int]) -> float:
    return sum(1 / (RANK_CONSTANT + place) for place in ranks.values())
