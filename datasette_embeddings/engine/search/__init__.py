"""Searching a collection: by meaning, by words, and by both. It comes with numpy: import it on first use."""

from .caches import Caches
from .hybrid import search_both, search_words
from .matches import Match
from .meaning import Searcher

__all__ = ["Caches", "Match", "Searcher", "search_both", "search_words"]
