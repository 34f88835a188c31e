"""wordllama and a model of model2vec keep the contract of model plugins."""

import pytest

from datasette_embed_model2vec import Model2Vec, Settings, WordLlama, packaged_wordllama
from datasette_embeddings.testing import ModelContract


@pytest.mark.skipif(not packaged_wordllama(), reason="wordllama's weights: pip install wordllama")
class TestWordLlama(ModelContract):
    """The model that comes with the plugin."""

    def make_model(self):
        return WordLlama()


class TestModel2Vec(ModelContract):
    """One that the configuration names by its folder."""

    texts = ("Bread and water", "When swifts sleep, the swifts fly", "oil the chain " * 20)

    @pytest.fixture(autouse=True)
    def saved(self, folder):
        type(self).folder = str(folder)

    def make_model(self):
        return Model2Vec("words", Settings(path=self.folder))

    def make_broken_model(self):
        return Model2Vec("words", Settings(path="/no/such/folder"))
