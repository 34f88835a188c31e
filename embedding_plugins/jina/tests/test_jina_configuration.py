"""What the plugin registers under a configuration, and which configurations it refuses."""

import os
import subprocess
import sys
from functools import partial

import datasettes
import pytest

import datasette_embed_jina as plugin
from datasette_embed_jina import LOCAL_V3, RETRIEVAL
from datasette_embeddings import EmbedError

API_V3 = "jina-api/jina-embeddings-v3"

registered = partial(datasettes.registered, plugin)


def test_without_a_configuration():
    """There are the API's v3 and v2, which need a key, and the v3 that runs here."""
    models = registered(None)
    assert {name: (model.dimensions, model.task, aliases) for name, (model, aliases) in models.items()} == {
        API_V3: (1024, RETRIEVAL, ("jina-api-v3",)),
        "jina-api/jina-embeddings-v2-base-en": (768, "", ("jina-api-v2-base",)),
        "jina-api/jina-embeddings-v2-small-en": (512, "", ("jina-api-v2-small",)),
        LOCAL_V3: (1024, RETRIEVAL, ("jina-v3",)),
    }
    assert {model.max_tokens for model, _ in models.values()} == {8192}
    api, local = models[API_V3][0], models[LOCAL_V3][0]
    assert (api.remote, api.needs_key, api.key_env_var) == (True, "jina", "JINA_API_KEY")
    assert (local.remote, local.needs_key) == (False, None)


def test_without_the_libraries(monkeypatch):
    """Where nothing to run models with is installed, there is the API alone."""
    monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: None)
    assert LOCAL_V3 not in registered(None)


def test_more_models_of_the_api():
    """An entry is a further model of the API; what is not said of one that is known is as usual."""
    small = {"name": "jina-embeddings-v3", "id": "jina-256", "aliases": ["j"], "truncate_dim": 256}
    v4 = {"name": "jina-embeddings-v4", "task": "text-matching"}
    models = registered({"api": [small, v4, {"name": "jina-embeddings-v2-base-en", "id": "v2"}]})
    model, aliases = models["jina-256"]
    assert (model.name, model.task, model.dimensions, model.truncate_dim) == (small["name"], RETRIEVAL, 256, 256)
    assert aliases == ("j",)
    model, _ = models["jina-api/jina-embeddings-v4"]
    assert (model.task, model.dimensions, model.truncate_dim) == ("text-matching", None, None)
    model, _ = models["v2"]
    assert (model.task, model.dimensions, model.truncate_dim) == ("", 768, None)


def test_an_entry_in_place_of_a_usual_model():
    """An entry with the id of a model that is there anyway takes its place and keeps its aliases."""
    models = registered(
        {
            "api": [{"name": "jina-embeddings-v3", "truncate_dim": 64}],
            "local": [{"name": LOCAL_V3, "device": "cpu", "task": "separation"}],
        }
    )
    model, aliases = models[API_V3]
    assert (model.truncate_dim, aliases) == (64, ("jina-api-v3",))
    model, aliases = models[LOCAL_V3]
    assert (model.settings, model.task, aliases) == ({"name": LOCAL_V3, "device": "cpu"}, "separation", ("jina-v3",))


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"models": []}, "'models'"),
        ({"api": {}}, "api must be a list"),
        ({"api": ["x"]}, r"api\[0\] must be an object"),
        ({"api": [{"id": "x"}]}, r"api\[0\] needs the name"),
        ({"api": [{"name": "x", "path": "y"}]}, r"api\[0\] has the key 'path'"),
        ({"api": [{"name": "x"}, {"name": "y", "truncate_dim": 0}]}, r"api\[1\]\.truncate_dim must be"),
        ({"api": [{"name": "x", "task": None}]}, r"api\[0\]\.task must be a text"),
        ({"local": [{"id": "x"}]}, r"local\[0\] needs either name"),
        ({"local": [{"path": "/x"}]}, r"local\[0\]\.id"),
        ({"local": [{"name": "x", "dtype": "auto"}]}, r"local\[0\]\.dtype must be float32"),
        ({"local": [{"name": "x", "trust_remote_code": "yes"}]}, r"local\[0\]\.trust_remote_code"),
        ({"local": [{"name": "x", "aliases": "y"}]}, r"local\[0\]\.aliases"),
    ],
)
def test_a_bad_configuration_is_refused(config, names):
    """The error names the plugin and the key."""
    with pytest.raises(EmbedError, match=f"datasette-embed-jina.*{names}"):
        registered(config)


def test_importing_and_registering_is_cheap():
    """Neither torch nor an HTTP client is imported at start."""
    code = (
        "import sys, datasette_embed_jina as p; p.JinaLocal(p.LOCAL_V3, {}); p.JinaAPI('m', 'm', p.RETRIEVAL)\n"
        "heavy = {'httpx', 'peft', 'torch', 'transformers'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_another_plugin_first():
    """Whichever plugin a program imports before Datasette, importing works."""
    parts = ("openai", "sentence-transformers", "jina")
    loaded = ",".join(["datasette-embed", *(f"datasette-embed-{part}" for part in parts)])
    for part in parts:
        code = f"import datasette_embed_{part.replace('-', '_')}"
        environment = {**os.environ, "DATASETTE_LOAD_PLUGINS": loaded}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
