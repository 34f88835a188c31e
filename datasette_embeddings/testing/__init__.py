"""What every model plugin promises, as a class of tests: ModelContract.

A plugin's whole test is a class of its own, whose name begins with Test:

    class TestWordLengths(ModelContract):
        def make_model(self):
            return WordLengths()

pytest finds its methods; with unittest, extend unittest.TestCase beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import SkipTest

from ..engine.errors import ContentRefused, ModelError
from ..engine.models import EmbeddingModel
from .answers import answered, cosine_distance
from .threads import count_calls, in_threads

__all__ = ["ModelContract"]

TEXTS = (
    "Bread",
    "Swifts sleep while they fly, for months on end",
    "Mix flour and water, wait, bake.",
    "Größe, naïveté, 東京 and 🎈",
    "select name from sqlite_master where type = 'table'",
    "When the chain of a bicycle squeaks, somebody oils it at last. " * 12,
)


class ModelContract:
    """The promises of an EmbeddingModel, one test each. Override make_model(), and what else is not so for yours.

    One warm model is shared by the tests; make_model() is called again where a cold one is needed.
    """

    texts: Sequence[str] = TEXTS  # ordinary contents, each with another meaning
    binaries: Sequence[bytes] = ()  # the same for a model that takes binary: two images, say
    tolerance: float = 1e-5  # cosine distance of two answers for one content; 3e-4 suits a model in bfloat16
    load_method: str = "load"  # what a cold model calls to load itself, once
    may_refuse_odd_texts: bool = False  # a server may: then a ModelError that names the model will do

    def make_model(self) -> EmbeddingModel:
        """A cold model: a new one each time, which has not loaded yet."""
        raise NotImplementedError("Override make_model() to return your model")

    def make_broken_model(self) -> EmbeddingModel:
        """A model that cannot work: a folder that is not there, a server that is down. By default any that raises."""
        model = self._cold_model()
        model.embed_batch = model.embed_query_batch = _raise  # type: ignore[method-assign]
        return model

    @property
    def model(self) -> EmbeddingModel:
        """The warm model that the tests of this class share."""
        cls = type(self)
        if "_shared_model" not in vars(cls):
            cls._shared_model = self.make_model()
        return cls._shared_model

    @property
    def contents(self) -> Sequence[str | bytes]:
        """Ordinary contents: texts, or binary where the model takes no text."""
        return self.texts if self.model.supports_text else self.binaries

    def test_one_vector_for_each_content(self):
        """As many vectors as contents, even where a content comes twice, and in as large a batch as there may be."""
        twice = [*self.contents, *self.contents]
        full = [self.contents[n % len(self.contents)] for n in range(self.model.batch_size or 1)]
        for contents in (twice, full):
            count = len(answered(self.model, contents))
            assert count == len(contents), f"{count} vectors for {len(contents)} contents"

    def test_vectors_come_in_the_order_of_their_contents(self):
        """In a batch, the vector most like that of a content alone stands where the content stands."""
        batch = answered(self.model, self.contents)
        for place, content in enumerate(self.contents):
            distances = self._distances(content, batch)
            found = distances.index(min(distances))
            right = distances[place] <= distances[found] + self.tolerance
            assert right, f"The vector of content {place} stands at place {found}"

    def test_a_content_has_one_vector_in_any_batch(self):
        """Alone, among others or many times over, a content has the same vector within the tolerance."""
        among_others = [answered(self.model, self.contents), answered(self.model, self.contents[::-1])]
        for content in self.contents:
            for batch in (*among_others, answered(self.model, [content] * 3)):
                moved = min(self._distances(content, batch))
                assert moved <= self.tolerance, f"The vector of {content[:40]!r} moves by {moved:.2g} with its batch"

    def test_all_vectors_have_one_length(self):
        """Every vector has the same length, that of a query too."""
        lengths = {len(answered(self.model, [content])[0]) for content in self.contents}
        lengths.add(len(self.model.embed_query(self.contents[0])))
        assert len(lengths) == 1, f"Vectors have different lengths: {sorted(lengths)}"

    def test_vectors_are_as_long_as_declared(self):
        """Where the model declares its `dimensions`, its vectors have as many."""
        (vector,) = answered(self.model, self.contents[:1])
        declared = self.model.dimensions
        assert declared in (None, len(vector)), f"A vector has {len(vector)} numbers, and `dimensions` is {declared}"

    def test_text_is_taken_or_refused_as_declared(self):
        """With `supports_text` a text has a vector; without it, it is refused by the model's name."""
        if not self.model.supports_text:
            return self._check_refused(self.texts[0])
        for text in self.texts:
            self.model.embed(text)

    def test_binary_is_taken_or_refused_as_declared(self):
        """With `supports_binary` bytes have a vector, beside text too; without it, they are refused by its name."""
        if not self.model.supports_binary:
            return self._check_refused(b"\0")
        assert self.binaries, "The model takes binary content: give its contract some, as `binaries`"
        mixed = answered(self.model, [self.contents[0], *self.binaries])[1:]
        self._check_same(mixed, [self.model.embed(binary) for binary in self.binaries])

    def test_a_generator_is_as_good_as_a_list(self):
        """embed_multi() takes any iterable, and gives the same vectors for it."""
        for content in self.contents:
            of_generator = self.model.embed_multi(content for content in [content])
            self._check_same(list(of_generator), list(self.model.embed_multi([content])))

    def test_the_empty_string(self):
        """It has a vector like any other text."""
        self._check_odd_texts("")

    def test_a_hundred_thousand_characters(self):
        """They have a vector: what is longer than the model can read is cut off."""
        self._check_odd_texts("bread and water " * 6250)

    def test_nul_and_lone_surrogates(self):
        """What real databases hold and is hardly text has a vector."""
        self._check_odd_texts("a\0b", "\0", "\ud800 first", "last \udfff")

    def test_bytes_that_mean_nothing(self):
        """Empty and broken binary content has a vector, or a ModelError that names the model."""
        if not self.model.supports_binary:
            raise SkipTest("The model takes no binary content")
        self._check_answered_or_refused(b"", b"\0 neither image nor sound")

    def test_eight_threads_on_a_cold_model(self):
        """Eight threads that meet a cold model wait for one load, and get the vectors that one alone would get."""
        model = self._cold_model()
        loads = count_calls(model, self.load_method)
        results = in_threads(lambda: [model.embed(content) for content in self.contents])
        assert len(loads) <= 1, f"The model was loaded {len(loads)} times"
        expected = [self.model.embed(content) for content in self.contents]
        for vectors in results:
            self._check_same(vectors, expected)

    def test_an_error_names_the_model(self):
        """What a broken model raises is a ModelError with the model's name in its message."""
        model = self.make_broken_model()
        try:
            model.embed(self.contents[0])
        except ModelError as error:
            _check_named(model, error)
        else:
            raise AssertionError("A broken model gave a vector")

    def _cold_model(self) -> EmbeddingModel:
        model = self.make_model()
        assert model is not self.model, "make_model() should make a new model each time"
        return model

    def _distances(self, content: str | bytes, batch: list[list[float]]) -> list[float]:
        """How far the vector of a content alone is from each of a batch."""
        (alone,) = answered(self.model, [content])
        return [cosine_distance(alone, vector) for vector in batch]

    def _check_same(self, vectors: list[list[float]], expected: list[list[float]]) -> None:
        for place, (vector, other) in enumerate(zip(vectors, expected, strict=True)):
            distance = cosine_distance(vector, other)
            assert distance <= self.tolerance, f"The vector of content {place} is off by {distance:.2g}"

    def _check_refused(self, content: str | bytes) -> None:
        try:
            self.model.embed(content)
        except ContentRefused as error:
            _check_named(self.model, error)
        else:
            raise AssertionError(f"The model takes {type(content).__name__}, and declares that it does not")

    def _check_odd_texts(self, *texts: str) -> None:
        if not self.model.supports_text:
            raise SkipTest("The model takes no text")
        if self.may_refuse_odd_texts:
            return self._check_answered_or_refused(*texts)
        for text in texts:
            self.model.embed(text)

    def _check_answered_or_refused(self, *contents: str | bytes) -> None:
        for content in contents:
            try:
                self.model.embed(content)
            except ModelError as error:
                _check_named(self.model, error)


def _check_named(model: EmbeddingModel, error: ModelError) -> None:
    assert model.model_id in str(error), f"This message does not name the model {model.model_id}: {error}"


def _raise(contents: list[Any]) -> Any:
    raise RuntimeError("This model is broken")
