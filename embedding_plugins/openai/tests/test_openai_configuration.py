"""What the plugin registers: OpenAI's own models, and those that the configuration names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import datasette_embed_openai as plugin
from datasette_embeddings import EmbedError, KeyRefused
from datasette_embeddings.registry import registry_for

PLUGIN = "datasette-embed-openai"
ROOT = Path(plugin.__file__).parent
ADDRESS = "http://localhost:8080/v1"


@pytest.fixture
def registered(make_datasette):
    """registered(config): the registry with the plugin's models under this configuration."""

    def registry(config=None):
        return registry_for(make_datasette(plugins=[plugin], config={"plugins": {PLUGIN: config}} if config else None))

    return registry


@pytest.mark.parametrize(
    ("model_id", "aliases", "dimensions", "price"),
    [
        ("text-embedding-3-small", ("3-small",), 1536, 0.02),
        ("text-embedding-3-small-512", ("3-small-512",), 512, 0.02),
        ("text-embedding-3-large", ("3-large",), 3072, 0.13),
        ("text-embedding-3-large-1024", ("3-large-1024",), 1024, 0.13),
        ("text-embedding-3-large-256", ("3-large-256",), 256, 0.13),
        ("text-embedding-ada-002", ("ada-002", "ada"), 1536, 0.10),
    ],
)
def test_openais_own_models(registered, model_id, aliases, dimensions, price):
    """They are there without a configuration, with what is known of them before the first call."""
    entry = registered().find(aliases[0])
    model = entry.model
    assert (entry.name, entry.aliases, entry.sql) == (model_id, aliases, False)
    assert (model.dimensions, model.price_per_million_tokens, model.max_tokens) == (dimensions, price, 8192)
    assert (model.needs_key, model.key_env_var, model.remote) == ("openai", "OPENAI_API_KEY", True)


@pytest.mark.parametrize(
    ("model_id", "asked"),
    [
        ("text-embedding-3-small", {"model": "text-embedding-3-small"}),
        ("text-embedding-3-large-256", {"model": "text-embedding-3-large", "dimensions": 256}),
        ("text-embedding-ada-002", {"model": "text-embedding-ada-002"}),
    ],
)
def test_only_a_shortened_vector_is_asked_for(registered, server, monkeypatch, model_id, asked):
    """A model's own length is not asked for: text-embedding-ada-002 would refuse that."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setattr(plugin.OpenAIModel, "base_url", server.url)
    model = registered().model(model_id)
    with pytest.raises(EmbedError, match="length"):  # for the server's vectors have 32 numbers
        model.embed("bread")
    (request,) = server.requests
    assert {key: request.body[key] for key in ("model", "dimensions") if key in request.body} == asked
    assert request.headers["Authorization"] == "Bearer sk-of-openai"


def test_a_configured_model(registered):
    """Every key of its entry is heeded, and its id is its name unless it has one."""
    entry = {"name": "BAAI/bge-m3", "base_url": [ADDRESS, "http://localhost:8081/v1"], "aliases": ["bge"]}
    entry |= {"dimensions": 256, "max_tokens": 512, "request_contents": 8, "request_tokens": 4000, "concurrency": 2}
    entry |= {"timeout": 5, "retry_seconds": 1.5, "query_prompt": "q: ", "document_prompt": "d: "}
    model = registered({"models": [entry, {**entry, "id": "other", "aliases": []}]}).model("bge")
    assert {key: getattr(model, key) for key in entry} == entry
    assert (model.model_id, model.needs_key, model.remote) == ("BAAI/bge-m3", None, True)


def test_a_server_of_ones_own_needs_no_key_but_is_remote(registered):
    """SQL may not call it, unless the configuration of datasette-embed says so."""
    registry = registered({"models": [{"name": "mini", "base_url": ADDRESS}]})
    assert registry.model("mini").get_key() is None
    assert registry.find("mini").sql is False


@pytest.mark.parametrize(
    ("entry", "needs_key"),
    [
        ({"base_url": ADDRESS, "needs_key": "mine", "key_env_var": "MY_KEY"}, "mine"),
        ({"base_url": ADDRESS, "key_env_var": "MY_KEY"}, "mini"),
        ({}, "openai"),
    ],
)
def test_which_key_a_model_needs(registered, entry, needs_key, monkeypatch):
    """The one that its entry names, its own if that names only a variable, OpenAI's if it has no address."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(KeyRefused, match=f"needs the key '{needs_key}'.*variable {entry.get('key_env_var', 'OPENAI')}"):
        registered({"models": [{"name": "mini", **entry}]}).model("mini").get_key()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([0], "it must be an object$"),
        ({"model": []}, "it has the key 'model', which is not one of models"),
        ({"models": {}}, "models must be a list$"),
        ({"models": ["x"]}, r"models\[0\] must be an object$"),
        ({"models": [{"id": "x"}]}, r"models\[0\] needs name"),
        ({"models": [{"name": "x"}, {"name": ""}]}, r"models\[1\]\.name must be a text"),
        ({"models": [{"name": "x", "colour": 1}]}, r"models\[0\] has the key 'colour', which is not one of id, name"),
        ({"models": [{"name": "x", "aliases": "y"}]}, r"models\[0\]\.aliases must be a list of texts"),
        ({"models": [{"name": "x", "dimensions": True}]}, r"models\[0\]\.dimensions must be a whole number above 0"),
        ({"models": [{"name": "x", "concurrency": 0}]}, r"models\[0\]\.concurrency must be a whole number above 0"),
        ({"models": [{"name": "x", "timeout": "1"}]}, r"models\[0\]\.timeout must be a number above 0"),
        ({"models": [{"name": "x", "base_url": []}]}, r"models\[0\]\.base_url must be an http\(s\) address"),
        ({"models": [{"name": "x", "base_url": [ADDRESS, 1]}]}, r"models\[0\]\.base_url must be"),
        ({"models": [{"name": "x", "base_url": "localhost:8080"}]}, r"models\[0\]\.base_url must be"),
        ({"models": [{"name": "x", "base_url": "http://host/v1?version=1"}]}, r"models\[0\]\.base_url must be"),
        ({"models": [{"name": "x", "base_url": "https://:8080/v1"}]}, r"models\[0\]\.base_url must be"),
        ({"models": [{"name": "x"}, {"name": "x"}]}, "registers two models named 'x'"),
        ({"models": [{"name": "text-embedding-3-small"}]}, "registers two models named 'text-embedding-3-small'"),
    ],
)
def test_a_bad_configuration_is_refused(registered, config, message):
    """The error names the plugin and the key."""
    with pytest.raises(EmbedError, match=f"{message}") as caught:
        registered(config)
    assert "openai" in str(caught.value)


def test_a_refused_address_is_not_quoted(registered):
    """It may hold a password."""
    with pytest.raises(EmbedError, match="base_url") as caught:
        registered({"models": [{"name": "x", "base_url": "htp://me:secret@host/v1"}]})
    assert "secret" not in str(caught.value)
    with pytest.raises(EmbedError, match=r"must be an object$") as caught:
        registered({"models": ["https://me:secret@host/v1"]})
    assert "secret" not in str(caught.value)


def test_the_examples_of_the_readme(registered):
    """Each is a configuration that the plugin takes."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    models = [len(registered(yaml.safe_load(block)["plugins"][PLUGIN]).models) for block in blocks]
    assert models == [1 + len(plugin.PRESETS), 6 + len(plugin.PRESETS)]


def test_importing_and_registering_is_cheap():
    """Datasette imports every plugin at each start: no HTTP client comes with this one."""
    code = (
        "import sys; sys._called_from_test = True; import datasette.plugins; before = set(sys.modules);"
        "import datasette_embed_openai as p; p.OpenAIModel('x', {}, name='x');"
        "print(sorted({'httpx', 'httpcore', 'numpy'} & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
