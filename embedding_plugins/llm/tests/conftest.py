"""LLM with a folder of its own, and a Datasette that has its models."""

from __future__ import annotations

import json
from contextlib import ExitStack

import fake_llm_models
import pytest

import datasette_embed_llm
from datasette_embeddings.registry import registry_for


@pytest.fixture(autouse=True)
def user_path(tmp_path, monkeypatch):
    """The folder where LLM keeps its keys and aliases; it knows MiniLM's local weights by no name yet, and no key."""
    folder = tmp_path / "llm"
    folder.mkdir()
    (folder / "sentence-transformers.json").write_text("[]")
    monkeypatch.setenv("LLM_USER_PATH", str(folder))
    for variable in ("OPENAI_API_KEY", "TOY_KEY", "DATASETTE_EMBED_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def keys(user_path):
    """keys(**keys): what `llm keys set` would have stored."""
    return lambda **stored: (user_path / "keys.json").write_text(json.dumps(stored))


@pytest.fixture
def registry(make_datasette):
    """registry(*llm_models, plugins=(), models=(), keys={}): the registry of a Datasette with these models of LLM's.

    Further `plugins` of LLM's are `fake_llm_models.Plugin`s; `models` are Datasette's own.
    """
    with ExitStack() as stack:

        def make(*llm_models, plugins=(), models=(), keys=None):
            toy = fake_llm_models.Plugin("toy-plugin", *((model, ()) for model in llm_models))
            stack.enter_context(fake_llm_models.plugins(toy, *plugins))
            config = {"plugins": {"datasette-embed": {"keys": keys or {}}}}
            return registry_for(make_datasette(models=models, plugins=[datasette_embed_llm], config=config))

        yield make
