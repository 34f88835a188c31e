"""The contract of model plugins: models that keep it, and models that break one promise each."""

import re
import time
import unittest

import pytest
from contracts import broken_promises, contract_of
from fake_models import ByteCounts, SlowLoading, WordLengths, word_lengths

from datasette_embeddings import ModelError
from datasette_embeddings.testing import ModelContract
from datasette_embeddings.testing.answers import cosine_distance


class TestText(ModelContract):
    """A model of text keeps the contract."""

    def make_model(self):
        return WordLengths()


class TestTextAndBinary(ModelContract):
    """A model of both keeps it."""

    binaries = (b"\x00\x10\x20", b"\xff\xfe")

    def make_model(self):
        return ByteCounts()


class TestBinary(TestTextAndBinary):
    """A model of binary alone keeps it."""

    def make_model(self):
        model = ByteCounts()
        model.supports_text = False
        return model


class TestLoading(ModelContract):
    """A model that loads keeps it."""

    def make_model(self):
        model = SlowLoading()
        model.loaded.set()
        return model


class TestSmallBatches(ModelContract):
    """A model gets no more contents at a time than it takes."""

    def make_model(self):
        model = Few()
        model.batch_size = 2
        return model


class TestUnittest(ModelContract, unittest.TestCase):
    """The contract works with unittest."""

    def make_model(self):
        return WordLengths()


class Few(WordLengths):
    def embed_batch(self, contents):
        assert len(contents) <= self.batch_size
        return super().embed_batch(contents)


class Deduplicating(WordLengths):
    def embed_batch(self, contents):
        return super().embed_batch(dict.fromkeys(contents))


class Reversing(WordLengths):
    def embed_batch(self, contents):
        return super().embed_batch(contents)[::-1]


class Padding(WordLengths):
    """Lets the longest content of a batch move the others a little, as padding does."""

    def embed_batch(self, contents):
        longest = max(len(content) for content in contents)
        return [[n + longest / 10_000 for n in vector] for vector in super().embed_batch(contents)]


class Ragged(WordLengths):
    dimensions = None

    def embed_batch(self, contents):
        return [[float(len(word)) for word in content.split()] or [0.0] for content in contents]


class LongQueries(WordLengths):
    dimensions = None

    def embed_query_batch(self, contents):
        return [[*vector, 1.0] for vector in self.embed_batch(contents)]


class Misdeclared(WordLengths):
    dimensions = 17


class SaysBinary(WordLengths):
    supports_binary = True


class TakesText(ByteCounts):
    supports_text = False

    def embed(self, content):
        return super().embed(content if isinstance(content, bytes) else content.encode())


class OneKindABatch(ByteCounts):
    def embed_batch(self, contents):
        if len({type(content) for content in contents}) > 1:
            raise ValueError("Either text or binary")
        return super().embed_batch(contents)


class TakesBinary(WordLengths):
    def embed(self, content):
        return super().embed(content if isinstance(content, str) else content.decode())


class ListsOnly(WordLengths):
    def embed_multi(self, contents):
        return super().embed_multi(contents) if len(contents) else iter([])


class Choosy(WordLengths):
    """Fails where a content is as `bad` says."""

    bad = staticmethod(lambda content: content == "")

    def embed_batch(self, contents):
        if any(self.bad(content) for content in contents):
            raise ValueError("I do not like that")
        return super().embed_batch(contents)


class Short(Choosy):
    bad = staticmethod(lambda content: len(content) > 10_000)


class Strict(Choosy):
    bad = staticmethod(lambda content: bool(content.encode()) and "\0" in content)


class NotANumber(WordLengths):
    def embed_batch(self, contents):
        return [vector if any(vector) else [float("nan")] * 16 for vector in super().embed_batch(contents)]


class Curt(WordLengths):
    def embed_batch(self, contents):
        if "" in contents:
            raise ModelError("Too short")
        return super().embed_batch(contents)


class BrokenBytes(ByteCounts):
    def embed_batch(self, contents):
        if b"" in contents:
            raise ModelError("This is no image")
        return super().embed_batch(contents)


class Reloading(WordLengths):
    def load(self):
        pass

    def embed_batch(self, contents):
        self.load()
        return super().embed_batch(contents)


class Sharing(WordLengths):
    """Keeps the contents of a call where another call finds them."""

    def embed_batch(self, contents):
        self.contents_now = contents
        time.sleep(0.001)
        return [word_lengths(content) for content in self.contents_now]


class Anonymous(WordLengths):
    def embed_batch(self, contents):
        raise ModelError("The server is down")


@pytest.mark.parametrize(
    ("model", "promise", "message"),
    [
        (Deduplicating, "one_vector_for_each_content", "6 vectors for 12 contents"),
        (Reversing, "vectors_come_in_the_order_of_their_contents", "The vector of content 0 stands at place 5"),
        (Padding, "a_content_has_one_vector_in_any_batch", "The vector of 'Bread' moves by .* with its batch"),
        (Ragged, "all_vectors_have_one_length", r"different lengths: \[1, "),
        (LongQueries, "all_vectors_have_one_length", r"different lengths: \[16, 17\]"),
        (SaysBinary, "binary_is_taken_or_refused_as_declared", "give its contract some, as `binaries`"),
        (TakesBinary, "binary_is_taken_or_refused_as_declared", "takes bytes, and declares that it does not"),
        (ListsOnly, "a_generator_is_as_good_as_a_list", "has no len"),
        (Choosy, "the_empty_string", "I do not like that"),
        (NotANumber, "the_empty_string", "NaN"),
        (Short, "a_hundred_thousand_characters", "I do not like that"),
        (Strict, "nul_and_lone_surrogates", "I do not like that"),
        (Reloading, "eight_threads_on_a_cold_model", "The model was loaded 49 times"),
        (Sharing, "eight_threads_on_a_cold_model", "is off by"),
    ],
)
def test_a_broken_promise_fails_its_test(model, promise, message):
    """That test alone fails, and its message says what is wrong."""
    failures = broken_promises(contract_of(model))
    assert list(failures) == [promise]
    assert re.search(message, failures[promise])


@pytest.mark.parametrize(
    ("model", "overridden", "promise", "message"),
    [
        (TakesText, {}, "text_is_taken_or_refused_as_declared", "takes str, and declares that it does not"),
        (OneKindABatch, {}, "binary_is_taken_or_refused_as_declared", "Either text or binary"),
        (BrokenBytes, {}, "bytes_that_mean_nothing", "does not name the model byte-counts: This is no image"),
        (WordLengths, {"make_broken_model": lambda self: Anonymous()}, "an_error_names_the_model", "does not name"),
        (WordLengths, {"make_broken_model": lambda self: WordLengths()}, "an_error_names_the_model", "gave a vector"),
        (Reloading, {"load_method": "embed_batch"}, "eight_threads_on_a_cold_model", "was loaded 48 times"),
    ],
)
def test_what_a_plugin_overrides(model, overridden, promise, message):
    """Contents of its own, its own broken model and the method that loads take part in the tests."""
    failures = broken_promises(contract_of(model, binaries=(b"\x00\x10\x20", b"\xff\xfe"), **overridden))
    assert list(failures) == [promise]
    assert re.search(message, failures[promise])


def test_other_dimensions_than_declared():
    """Our own check of every vector says so, in all tests that go through it, and so does the test of that promise."""
    failures = broken_promises(contract_of(Misdeclared))
    assert failures.pop("vectors_are_as_long_as_declared") == "A vector has 16 numbers, and `dimensions` is 17"
    assert set(failures.values()) == {"The model word-lengths returned vectors of length 16; it declares 17"}


def test_a_model_that_may_refuse_odd_texts():
    """A ModelError that names the model will do for it, and nothing else."""
    assert broken_promises(contract_of(Strict, may_refuse_odd_texts=True)) == {}
    assert list(broken_promises(contract_of(Curt, may_refuse_odd_texts=True))) == ["the_empty_string"]


def test_a_model_that_is_made_once():
    """The contract says so where make_model() gives the same model again."""
    model = WordLengths()
    failures = broken_promises(contract_of(lambda: model))
    assert failures == dict.fromkeys(failures, "make_model() should make a new model each time")
    assert failures.keys() == {"eight_threads_on_a_cold_model", "an_error_names_the_model"}


def test_a_model_that_nobody_made():
    """The contract asks for make_model()."""
    assert "Override make_model()" in broken_promises(ModelContract)["the_empty_string"]


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [([3, 4], [6, 8], 0), ([1, 0], [0, 2], 1), ([1, 0], [-1, 0], 2), ([0, 0], [0, 0], 0), ([0, 0], [1, 0], 1)],
)
def test_the_distance(a, b, distance):
    """The cosine distance, defined for vectors of zeros too."""
    assert cosine_distance(a, b) == pytest.approx(distance)
