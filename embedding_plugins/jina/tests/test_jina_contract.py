"""Jina's models keep the contract of model plugins, by the API and on this machine."""

import pytest
from datasette_embed_openai import OpenAIModel

from datasette_embed_jina import RETRIEVAL, JinaAPI, JinaLocal
from datasette_embeddings.testing import ModelContract


class TestAPI(ModelContract):
    """A model behind the API."""

    @pytest.fixture(autouse=True)
    def _server(self, server, monkeypatch):
        monkeypatch.setattr(OpenAIModel, "retry_seconds", 0.1)

    @property
    def model(self):
        """One of each test's own, whose server ends with it."""
        if "_own" not in vars(self):
            self._own = self.make_model()
        return self._own

    def make_model(self):
        return JinaAPI("api", "jina-embeddings-v3", RETRIEVAL)

    def make_broken_model(self):
        model = self.make_model()
        model.base_url = "http://127.0.0.1:1/v1"
        return model


class TestLocal(ModelContract):
    """A v3 that runs here."""

    @pytest.fixture(autouse=True)
    def _folder(self, jina_folder):
        self.folder = jina_folder

    def make_model(self):
        return JinaLocal("local", {"path": str(self.folder), "device": "cpu"})

    def make_broken_model(self):
        return JinaLocal("local", {"path": "/no/such/folder"})
