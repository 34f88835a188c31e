"""How long a model finds a content, and so the cutter that keeps a collection's contents as short as it reads."""

from __future__ import annotations

import re
from functools import lru_cache

from .chunking import AUTOMATIC, CHARACTERS, TOKENS, Chunking
from .contents import Recipe
from .cutting import Cutter
from .errors import CannotEmbed, EmbedError, ModelError
from .models import EmbeddingModel, has_load, is_ready, load, telling
from .splitting import Measure

TENTH = 10  # of a content is the overlap, where nobody said how much
REMEMBERED_WORDS = 50_000
LONGEST_WORD = 32  # characters of a word that is worth remembering
_WORD = re.compile(r"\w+|[^\w\s]+")


def make_cutter(chunking: Chunking | None, model: EmbeddingModel) -> Cutter | None:
    """The cutter of a collection, or None where nothing is cut; EmbedError for a wish that the model cannot fulfil.

    May load the model: some know only then how much they read.
    """
    if chunking is None:
        return None
    if not is_measured(model):
        load(model)
    _check(chunking, model)
    if chunking.size is None and model.max_tokens is None:
        return None
    count = counter(model)
    if count is None or chunking.unit == CHARACTERS:
        return _by_characters(chunking, model, count)
    limit = _least(chunking.size, model.max_tokens)
    return Cutter(count, limit, _overlap(chunking, limit), limit - count("") - 1, _by_words(count))


def is_measured(model: EmbeddingModel) -> bool:
    """False where only a model that is loaded knows how much it reads, and counts it."""
    return is_ready(model) or not has_load(model) or (model.max_tokens is not None and counter(model) is not None)


def feasible_chunking(chunking: Chunking | None, recipe: Recipe, model: EmbeddingModel) -> Chunking | None:
    """The chunking, none where nobody asked for it and nothing can be cut; an error where somebody did.

    A model that is not loaded may yet prove unable to fulfil it.
    """
    if chunking is None or (chunking == AUTOMATIC and not recipe.is_divisible):
        return None
    if recipe.binary:
        raise CannotEmbed(f"The column {recipe.reads[0]!r} holds binary, which is not cut into chunks")
    if not recipe.is_divisible:
        raise CannotEmbed("A template without {{ chunk }} cannot be cut: put {{ chunk }} where a part of the text goes")
    _check(chunking, model)
    return chunking


def _check(chunking: Chunking, model: EmbeddingModel) -> None:
    """EmbedError for a size of which it is known that the model cannot keep it."""
    if chunking.size is None or chunking.unit == CHARACTERS:
        return
    if model.max_tokens is not None and chunking.size > model.max_tokens:
        raise EmbedError(
            f"The model {model.model_id} reads {model.max_tokens:,} tokens: chunks of {chunking.size:,} are too large"
        )
    if is_measured(model) and counter(model) is None:
        raise EmbedError(f"The model {model.model_id} counts no tokens: give the size of chunks in {CHARACTERS}")


def counter(model: EmbeddingModel) -> Measure | None:
    """The model's own count of a text's tokens, special ones included; None where it cannot count (yet)."""

    def tokens(text: str) -> int | None:
        with telling(model, ModelError, f"could not count {TOKENS}"):
            return model.count_tokens(text)

    return None if tokens("") is None else lambda text: tokens(text) or 0


def _by_characters(chunking: Chunking, model: EmbeddingModel, count: Measure | None) -> Cutter:
    """Contents of so many characters, and of no more tokens than the model reads as far as it counts them.

    Without a wish as many characters as it reads tokens: hardly any text has more than one token for each.
    """
    characters, most = chunking.size or _least(model.max_tokens), model.max_tokens
    overlap = _overlap(chunking, characters)
    if count is None or most is None or characters <= most:
        return Cutter(len, characters, overlap, characters)

    def both(counted: Measure) -> Measure:
        return lambda text: max(-(-len(text) * most // characters), counted(text))

    return Cutter(both(count), most, overlap * most // characters, most - count("") - 1, both(_by_words(count)))


def _by_words(count: Measure) -> Measure:
    """The count of a text as the sum of its words': most words come again and again, and are counted once."""
    special = count("")

    def of_word(word: str) -> int:
        return count(word) - special

    remembered = lru_cache(REMEMBERED_WORDS)(of_word)

    def measure(text: str) -> int:
        return sum(remembered(word) if len(word) <= LONGEST_WORD else of_word(word) for word in _WORD.findall(text))

    return measure


def _least(*numbers: int | None) -> int:
    return min(number for number in numbers if number is not None)


def _overlap(chunking: Chunking, limit: int) -> int:
    return limit // TENTH if chunking.overlap is None else chunking.overlap
