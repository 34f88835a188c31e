"""Models: loaded once, called as they ask for, and never believed without a look."""

import threading

import numpy as np
import pytest
from fake_models import ByteCounts, NeedsKey, SlowLoading, Unloadable, WordLengths, word_lengths
from servers import PATIENCE

from datasette_embeddings.engine.errors import (
    ContentRefused,
    EmbedError,
    KeyRefused,
    ModelError,
    ModelLoadError,
    ModelResultError,
)
from datasette_embeddings.engine.models import EmbeddingModel, embed_contents, is_ready, load


class Returning(EmbeddingModel):
    """Returns what it was made with, whatever it is asked."""

    model_id = "returning"

    def __init__(self, result):
        self.result = result

    def embed_batch(self, contents):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def in_threads(function, count=8):
    """The results of a function called by many threads at once."""
    barrier, results = threading.Barrier(count), []

    def call():
        barrier.wait(PATIENCE)
        results.append(function())

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def test_the_conveniences():
    """One content, one query and many contents, as plain lists of numbers."""
    model = WordLengths()
    assert model.embed("to be") == word_lengths("to be") == model.embed_query("to be")
    assert list(model.embed_multi(iter(["to", "be or"]))) == [word_lengths("to"), word_lengths("be or")]
    assert list(model.embed_multi([])) == []
    assert str(model) == "WordLengths: word-lengths"


@pytest.mark.parametrize(
    "result",
    [
        [[1, 2], [3, 4]],
        [(1.0, 2.0), (3.0, 4.0)],
        (row for row in [[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], dtype="float64").T.copy().T,
        [np.array([1, 2], dtype="float16"), np.array([3, 4], dtype="float32")],
        np.array([[1, 2], [3, 4]], dtype=">f4"),
    ],
    ids=["lists", "tuples", "generator", "integers", "columns first", "rows", "big endian"],
)
def test_what_a_model_may_return(result):
    """Lists, tuples, a generator, numpy rows and arrays of any kind come out as one float32 array."""
    vectors = embed_contents(Returning(result), ["a", "b"])
    assert (vectors.dtype, vectors.tolist()) == (np.dtype("float32"), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([[1, 2]], "returned 1 vectors for 2 contents"),
        ([], "returned 0 vectors for 2 contents"),
        ([[1], [2], [3]], "returned 3 vectors for 2 contents"),
        ([[1, 2], [3]], r"returned vectors of different lengths: \[1, 2\]"),
        ([[], []], "returned empty vectors"),
        ([[1, 2], [3, float("nan")]], r"NaN or infinity \(content 2 of 2\)"),
        ([[1, float("inf")], [3, 4]], r"NaN or infinity \(content 1 of 2\)"),
        ([[1, 1e39], [3, 4]], "NaN or infinity"),
        (np.array([[1, 1e39], [3, 4]]), "NaN or infinity"),
        ([[1, 10**400], [3, 4]], "something other than numbers"),
        ([[1, None], [3, 4]], "NaN or infinity"),
        ([["a", "b"], ["c", "d"]], "something other than numbers"),
        (["ab", "cd"], "something other than numbers"),
        ([1.0, 2.0], "returned float where a vector was expected"),
        (np.array([1.0, 2.0]), "an array of 1 dimensions where 2 were expected"),
        (np.array(1.0), "an array of 0 dimensions where 2 were expected"),
        (np.ones((2, 2, 2)), "an array of 3 dimensions where 2 were expected"),
        ([[[1], [2]], [[3], [4]]], "an array of 3 dimensions where 2 were expected"),
        ([[[1], [2]], [[3], [4, 5]]], "something other than numbers"),
    ],
)
def test_what_a_model_may_not_return(result, message):
    """Too few, too many, ragged, empty, not finite or no numbers: the error names the model and the fault."""
    with pytest.raises(ModelResultError, match=f"^The model returning .*{message}"):
        embed_contents(Returning(result), ["a", "b"])


def test_a_length_other_than_declared():
    """A model that declares its dimensions is held to them."""
    model = Returning([[1, 2]])
    model.dimensions = 3
    with pytest.raises(ModelResultError, match="returned vectors of length 2; it declares 3"):
        model.embed("a")


@pytest.mark.parametrize("result", [None, ValueError("broken"), EmbedError("broken"), MemoryError("broken")])
def test_a_model_that_raises(result):
    """Its own error is the cause, and the message names the model."""
    with pytest.raises(ModelError, match="The model returning failed: ") as caught:
        embed_contents(Returning(result), ["a"])
    assert isinstance(caught.value.__cause__, type(result) if result else TypeError)


def test_an_error_of_many_lines_is_told_in_one():
    """A message is one line, and never empty."""
    with pytest.raises(ModelError, match=r"failed: a b c$"):
        Returning(ValueError("a\n  b\nc")).embed("x")
    with pytest.raises(ModelError, match=r"failed: ValueError$"):
        Returning(ValueError()).embed("x")


def test_errors_are_raised_where_that_was_asked_for(monkeypatch):
    """With DATASETTE_EMBED_RAISE_ERRORS the author gets their own error."""
    monkeypatch.setenv("DATASETTE_EMBED_RAISE_ERRORS", "1")
    with pytest.raises(ZeroDivisionError):
        Returning(ZeroDivisionError()).embed("x")
    with pytest.raises(OSError, match="no such weights"):
        Unloadable().embed("x")


def test_a_batch_size_is_respected():
    """No call gets more contents than the model takes."""
    model = WordLengths()
    model.batch_size = 3
    contents = [f"{'x' * n}" for n in range(1, 9)]
    assert embed_contents(model, contents).tolist() == [word_lengths(content) for content in contents]
    assert [len(call) for call in model.calls] == [3, 3, 2]


def test_a_model_that_returns_the_same_buffer():
    """A model may fill one array again and again: what it returned before does not change."""

    class Reusing(EmbeddingModel):
        model_id = "reusing"
        batch_size = 1
        buffer = np.zeros((1, 1), dtype="float32")

        def embed_batch(self, contents):
            self.buffer[0, 0] = len(contents[0])
            return self.buffer

    assert embed_contents(Reusing(), ["a", "bb", "ccc"]).tolist() == [[1], [2], [3]]


def test_batches_of_different_lengths():
    """Two calls for one list of contents must give vectors of one length."""

    class Growing(EmbeddingModel):
        model_id = "growing"
        batch_size = 1

        def embed_batch(self, contents):
            return [[1.0] * len(contents[0])]

    with pytest.raises(ModelResultError, match="The model growing returned vectors of different lengths"):
        embed_contents(Growing(), ["a", "bb"])


@pytest.mark.parametrize(
    ("model", "content", "message"),
    [
        (WordLengths(), b"\0", "The model word-lengths does not take binary content, only text"),
        (type("Images", (ByteCounts,), {"supports_text": False})(), "a", "does not take text, only binary content"),
        (WordLengths(), 5, "A content must be str or bytes, not int"),
    ],
)
def test_a_kind_that_the_model_does_not_take(model, content, message):
    """Text and binary content reach only the models that take them."""
    with pytest.raises(ContentRefused, match=message):
        model.embed(content)


def test_load_is_called_once():
    """However many threads begin at once, one loads and all wait for it."""
    model = SlowLoading()
    threads, results = in_threads(lambda: model.embed("to be"))
    assert model.loading.wait(PATIENCE)
    assert (model.calls, is_ready(model)) == ([], False)
    model.loaded.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert (model.loads, results, is_ready(model)) == (1, [word_lengths("to be")] * 8, True)


def test_a_load_that_failed_is_tried_again():
    """A model that could not load may be able to the next time."""
    model = Unloadable()
    with pytest.raises(ModelLoadError, match="The model unloadable could not be loaded: no such weights"):
        model.embed("a")
    model.load = lambda: None
    assert model.embed("a") == word_lengths("a")


class LoadsInside(EmbeddingModel):
    """Loads inside embed_batch(); remembers how many calls were ever inside at one time."""

    model_id = "loads-inside"

    def __init__(self, failures=0):
        self.failures, self.inside, self.most = failures, 0, 0
        self.crowd = threading.Event()

    def embed_batch(self, contents):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.crowd.wait(0.05)
        self.inside -= 1
        if self.failures:
            self.failures -= 1
            raise OSError("not yet")
        return [[1.0]] * len(contents)


def test_one_call_at_a_time_until_one_has_succeeded():
    """A model without load() is not called by two threads before its first success."""
    model = LoadsInside(failures=3)

    def attempt():
        try:
            return is_ready(model), model.embed("a")
        except ModelError:
            return is_ready(model), None

    threads, results = in_threads(attempt, 4)
    for thread in threads:
        thread.join(PATIENCE)
    assert (model.most, [vector for _, vector in results].count(None)) == (1, 3)
    assert is_ready(model)


def test_many_calls_at_a_time_after_that():
    """A model that is ready is called by several threads at once."""
    model = LoadsInside()
    model.embed("a")
    barrier = threading.Barrier(4)
    model.embed_batch = lambda contents: barrier.wait(PATIENCE) >= 0 and [[1.0]]
    threads, results = in_threads(lambda: model.embed("a"), 4)
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [[1.0]] * 4


def test_a_model_may_use_its_own_conveniences():
    """embed() inside load(), and embed_multi() inside embed_query_batch(), wait for nobody."""

    class Own(WordLengths):
        def load(self):
            self.probe = self.embed("probe")

        def embed_query_batch(self, contents):
            return self.embed_multi(f"query {content}" for content in contents)

    model = Own()
    assert model.embed_query("a") == word_lengths("query a")
    assert model.probe == word_lengths("probe")

    class Lazy(WordLengths):
        def embed_query_batch(self, contents):
            return self.embed_multi(f"query {content}" for content in contents)

    assert Lazy().embed_query("a") == word_lengths("query a")


def test_an_author_need_not_call_our_init():
    """A subclass with an __init__ of its own works."""
    assert Returning([[1.0]]).embed("a") == [1.0]


def test_a_key(monkeypatch):
    """A key comes from the configuration, else from the environment; else the error says where to put it."""
    model = NeedsKey()
    monkeypatch.setenv("FAKE_MODELS_KEY", "from environment")
    assert model.get_key() == "from environment"
    model.key = "from configuration"
    assert model.get_key() == "from configuration"
    model.key = None
    monkeypatch.delenv("FAKE_MODELS_KEY")
    with pytest.raises(KeyRefused, match=r"needs the key 'fake'.* or set the environment variable FAKE_MODELS_KEY"):
        model.get_key()
    assert WordLengths().get_key() is None


def test_nothing_to_embed_is_no_call():
    """No contents, no call, no load."""
    model = SlowLoading()
    model.loaded.set()
    assert embed_contents(model, []).shape == (0, 16)
    assert model.calls == []


def test_load_twice_is_once():
    """Loading a model that is loaded does nothing."""
    model = SlowLoading()
    model.loaded.set()
    load(model)
    load(model)
    assert model.loads == 1
