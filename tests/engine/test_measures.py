"""What a model makes of a wish: tokens where it counts them, characters otherwise, nothing where it names no limit."""

import pytest
from chunked import Countless, ShortSighted, numbered_words
from fake_models import WordLengths

from datasette_embeddings.engine.chunking import AUTOMATIC, Chunking
from datasette_embeddings.engine.contents import make_recipe
from datasette_embeddings.engine.errors import EmbedError, ModelError
from datasette_embeddings.engine.measures import counter, make_cutter

RECIPE = make_recipe("t", ["body"], ["body"])


def lengths(model, chunking, text):
    cutter = make_cutter(chunking, model)
    return [len(chunk.content) for chunk in cutter.chunks(RECIPE, [text], text)]


class Late(ShortSighted):
    """Knows only once it is loaded how much it reads, and counts from then on."""

    max_tokens = None
    loaded = 0

    def load(self):
        self.max_tokens = 16
        self.loaded += 1

    def count_tokens(self, content):
        return super().count_tokens(content) if self.loaded else None


def test_nothing_is_cut_without_a_limit():
    """Without a wish a collection is cut only where the model says how much it reads; without chunking never."""
    assert make_cutter(AUTOMATIC, WordLengths()) is None
    assert make_cutter(None, ShortSighted()) is None
    assert make_cutter(AUTOMATIC, ShortSighted()).limit == 16


def test_a_smaller_wish():
    """The wish counts where it is smaller than what the model reads, the overlap a tenth of it."""
    model = ShortSighted()
    model.max_tokens = 512
    cutter = make_cutter(Chunking("tokens", 100), model)
    assert (cutter.limit, cutter.overlap) == (100, 10)
    assert make_cutter(AUTOMATIC, model).limit == 512


def test_a_model_that_cannot_count():
    """As many characters as it reads tokens, or those that were wished; a wish in tokens is refused."""
    assert max(lengths(Countless(), AUTOMATIC, numbered_words(50))) <= 40
    assert max(lengths(Countless(), Chunking("characters", 100), numbered_words(50))) > 90
    with pytest.raises(EmbedError, match="The model countless counts no tokens: give the size of chunks in characters"):
        make_cutter(Chunking("tokens", 30), Countless())


def test_a_wish_that_is_too_large():
    """What the model would cut off is refused."""
    with pytest.raises(EmbedError, match="The model short-sighted reads 16 tokens: chunks of 17 are too large"):
        make_cutter(Chunking("tokens", 17), ShortSighted())


def test_a_model_that_must_be_loaded_first():
    """It is loaded once, and cuts by what it then says."""
    model = Late()
    assert make_cutter(AUTOMATIC, model).limit == make_cutter(AUTOMATIC, model).limit == 16
    assert model.loaded == 1


def test_a_count_that_fails():
    """The error names the model."""

    class Broken(ShortSighted):
        def count_tokens(self, content):
            if content:
                raise ValueError("no vocabulary")
            return 2

    with pytest.raises(ModelError, match="The model short-sighted could not count tokens: no vocabulary"):
        counter(Broken())("text")


def test_short_texts_are_not_counted():
    """A short ASCII text cannot have too many tokens, because none has less than a character."""
    counted = []

    class Noting(ShortSighted):
        def count_tokens(self, content):
            counted.append(content)
            return len(content) + 2

    cutter = make_cutter(AUTOMATIC, Noting())
    counted.clear()
    assert cutter.fits("x" * 13)
    assert counted == []
    assert cutter.fits("x" * 14)
    assert cutter.fits("ü" * 13)
    assert counted == ["x" * 14, "ü" * 13]
