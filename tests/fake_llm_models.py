"""Embedding models for LLM in the shapes that its plugins have, and a plugin that registers them there."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import llm
import numpy as np
from fake_models import word_lengths
from llm.plugins import load_plugins, pm


class Plugin:
    """A plugin of LLM's of this name; offers are (model, aliases), or an exception that the hook raises."""

    def __init__(self, name, *offers):
        self.__name__ = name
        self.offers = offers

    @llm.hookimpl
    def register_embedding_models(self, register):
        for offer in self.offers:
            if isinstance(offer, Exception):
                raise offer
            model, aliases = offer
            register(model, aliases=aliases)


@contextmanager
def plugins(*wanted):
    """These plugins registered with LLM, after those that are installed, until the block ends."""
    load_plugins()
    for plugin in wanted:
        pm.register(plugin, plugin.__name__)
    try:
        yield
    finally:
        for plugin in wanted:
            pm.unregister(plugin)


class Toy(llm.EmbeddingModel):
    """Text to the lengths of its words, by a generator, as plugins written for LLM 0.33 and later do."""

    model_id = "toy"

    def __init__(self, model_id="toy", batch_size=None):
        self.model_id, self.batch_size = model_id, batch_size
        self.calls = []

    def embed_batch(self, items, *, key=None):
        self.calls.append(list(items))
        return (word_lengths(item) for item in self.calls[-1])


class OnnxShape(llm.EmbeddingModel):
    """As in llm-embed-onnx: `key` is the name of the weights, which are loaded at the first call; numpy comes back."""

    model_id = "onnx-shape"

    def __init__(self):
        self.key = "bge-micro"
        self.loads = 0
        self._model = None

    def embed_batch(self, texts):
        if self._model is None:
            self.loads += 1
            folder = Path(llm.user_dir()) / self.key
            folder.mkdir(exist_ok=True)
            self._model = np.array([word_lengths(text) for text in [self.key]])
        return np.array([word_lengths(text) for text in list(texts)], dtype=np.float32)


class ClipShape(llm.EmbeddingModel):
    """As in llm-clip: text and binary may be mixed in a batch."""

    model_id = "clip-shape"
    supports_binary = True

    def embed_batch(self, items):
        return [word_lengths(item) if isinstance(item, str) else self._counts(item) for item in items]

    def _counts(self, item):
        return [float(sum(byte >> 4 == high for byte in item)) for high in range(16)]


class Remote(llm.EmbeddingModel):
    """Calls a server that raises `error`, if there is one; `keys` are those that it was given."""

    model_id = "remote"
    needs_key = "toy"
    key_env_var = "TOY_KEY"

    def __init__(self, error=None):
        self.error, self.keys = error, []

    def embed_batch(self, items, *, key=None):
        self.keys.append(key)
        if self.error:
            raise self.error
        return [word_lengths(item) for item in items]


class OlderRemote(Remote):
    """The same as plugins were written before LLM 0.33: the key is an attribute."""

    model_id = "older-remote"

    def embed_batch(self, items):
        return super().embed_batch(items, key=self.get_key())
