"""all-mpnet-base-v2 through the plugin: a second real model, twice as wide. `make test-large` fetches and runs it."""

import hashlib
import os
from pathlib import Path

import pytest

from datasette_embed_sentence_transformers import ConfiguredModel, Settings
from datasette_embeddings.testing import ModelContract

np = pytest.importorskip("numpy")

FOLDER = os.environ.get("MPNET_FOLDER")
# As their authors published the weights.
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
SETTINGS = Settings(path=FOLDER, device="cpu", dtype="float32")

pytestmark = [pytest.mark.large, pytest.mark.skipif(not FOLDER, reason="too large for every day: make test-large")]


class TestMpnet(ModelContract):
    """The contract of model plugins."""

    def make_model(self):
        return ConfiguredModel("mpnet", SETTINGS)


@pytest.fixture(scope="module")
def mpnet():
    model = ConfiguredModel("mpnet", SETTINGS)
    model.embed("warm")
    return model


def test_the_weights_are_the_published_ones():
    """The five packages together hold the published file, byte for byte."""
    with open(Path(FOLDER) / "model.safetensors", "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == SHA256


def test_what_it_declares(mpnet):
    """768 dimensions, 384 tokens, vectors of length 1, and tokens counted with the two special ones."""
    assert (mpnet.dimensions, mpnet.max_tokens) == (768, 384)
    assert np.linalg.norm(mpnet.embed("rivers")) == pytest.approx(1, abs=1e-5)
    assert mpnet.count_tokens("This is an example sentence") == 7


def test_golden_vectors(mpnet):
    """Two vectors begin and end as the example of the model's card prints them."""
    vectors = np.array(list(mpnet.embed_multi(["This is an example sentence", "Each sentence is converted"])))
    expected = [
        [0.0225, -0.0783, -0.0230, -0.0083, 0.0265, -0.0020],
        [0.0417, 0.0011, -0.0155, -0.0218, -0.0636, -0.0088],
    ]
    assert vectors[:, [0, 1, 2, -3, -2, -1]] == pytest.approx(np.array(expected), abs=6e-5)


def test_it_is_the_librarys_model(mpnet):
    """The vectors are those of sentence-transformers by itself, and the two about the weather are alike."""
    from sentence_transformers import SentenceTransformer

    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.", "rivers " * 1000]
    vectors = np.array(list(mpnet.embed_multi(texts)))
    alone = SentenceTransformer(FOLDER, device="cpu").encode(texts, show_progress_bar=False)
    assert (vectors * alone).sum(axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert (vectors @ vectors.T)[[0, 0, 1], [1, 2, 2]] == pytest.approx([0.6817, 0.0492, 0.0421], abs=5e-4)
