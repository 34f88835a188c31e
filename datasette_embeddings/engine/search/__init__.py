"""Searching a collection: by meaning, by words, and by both. It comes with numpy: import it on first use."""

from ..states import one_state
from .among import Among, listed
from .caches import Caches
from .hybrid import search_both, search_words
from .matches import Match, parse_key
from .meaning import Searcher
from .passages import passages

__all__ = [
    "Among",
    "Caches",
    "Match",
    "Searcher",
    "listed",
    "one_state",
    "parse_key",
    "passages",
    "search_both",
    "search_words",
]
