"""The plugin's models keep the contract of model plugins, whatever their server is."""

import pytest

from datasette_embed_openai import OpenAIModel
from datasette_embeddings.testing import ModelContract


class TestOpenAIModel(ModelContract):
    """A model on a server that takes every text."""

    @pytest.fixture(autouse=True)
    def _servers(self, lasting_server, closed_port):
        self.settings = {"name": "mini", "base_url": lasting_server.url, "retry_seconds": 0.01}
        self.nowhere = f"http://127.0.0.1:{closed_port}"

    def make_model(self):
        return OpenAIModel("m", {}, **self.settings)

    def make_broken_model(self):
        return OpenAIModel("m", {}, **{**self.settings, "base_url": self.nowhere})
