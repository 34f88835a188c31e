"""The plugin with wordllama's real weights and with a model2vec folder: what it registers, answers and refuses."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import datasettes
import pytest

import datasette_embed_model2vec as plugin
from datasette_embed_model2vec import WORDLLAMA, Model2Vec, Settings, WordLlama
from datasette_embeddings import EmbedError, ModelUnavailable

np = pytest.importorskip("numpy")
wordllama_installed = pytest.mark.skipif(
    not plugin.packaged_wordllama(), reason="wordllama's weights: pip install wordllama"
)
TEXTS = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.", "", "東京 🎈"]

registered = partial(datasettes.registered, plugin)


@pytest.fixture
def words(folder):
    return Model2Vec("words", Settings(path=str(folder)))


def test_wordllama_is_registered_without_a_configuration():
    """With no configuration there is wordllama, and its length is known before it is loaded."""
    ((model, aliases),) = registered(None).values()
    assert (model.model_id, aliases, model.dimensions) == (WORDLLAMA, ("wordllama",), 256)


@wordllama_installed
def test_importing_and_registering_is_cheap():
    """Importing the plugin imports nothing heavy, and embedding with wordllama imports no torch."""
    code = (
        "import sys, datasette_embed_model2vec as p; m = p.WordLlama(); heavy = {'model2vec', 'tokenizers'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); m.embed('x'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@wordllama_installed
def test_it_says_nothing():
    """Loading, embedding, and starting a subprocess after it write nothing to stdout or stderr."""
    code = (
        "import subprocess, sys, datasette_embed_model2vec as p;"
        "m = p.WordLlama(); m.load(); m.embed_batch(['x'] * 20_000); subprocess.run([sys.executable, '-c', ''])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@wordllama_installed
def test_the_vectors_are_wordllamas_own():
    """They equal what the package's own class gives, that of a text without tokens (zeros) too."""
    import wordllama

    folder = Path(wordllama.__file__).parent
    theirs = wordllama.WordLlama.load(cache_dir=folder, disable_download=True).embed(TEXTS)
    model = WordLlama()
    model.load()
    assert np.abs(model.embed_batch(TEXTS) - theirs).max() < 1e-6
    assert not theirs[3].any()


@wordllama_installed
def test_wordllama_knows_what_is_alike():
    """The two sentences about the weather are nearer to each other than to the third."""
    vectors = np.array([WordLlama().embed(text) for text in TEXTS[:3]])
    weather, other, _ = (vectors @ vectors.T)[np.triu_indices(3, 1)]
    assert weather > 2 * other


def test_a_folder_gives_the_librarys_vectors(words, folder):
    """A content's vector is what model2vec gives for it; a word that the model does not know counts for nothing."""
    from model2vec import StaticModel

    texts = ["Bread and water", "the unknown swifts", "unknown"]
    vectors = np.array(list(words.embed_multi(texts)))
    assert np.array_equal(vectors, StaticModel.from_pretrained(folder).encode(texts))
    assert vectors[1, :13].nonzero()[0].tolist() == [3, 11]
    assert words.dimensions == 13


def test_a_long_text_is_read_to_its_end(words):
    """The word after 600 others, where the library would stop, is in the vector."""
    assert words.embed("bread " * 600 + "oil")[8] == pytest.approx(1 / 601)


def test_truncation(folder):
    """truncate_dim keeps the first dimensions."""
    model = Model2Vec("short", Settings(path=str(folder), truncate_dim=4))
    assert model.embed("bread and oil") == pytest.approx([1 / 3, 0, 0, 0])
    assert model.dimensions == 4


def test_tokens_are_counted_before_the_model_is_loaded(words):
    """As the model reads them, uncut; unknown where no file of the tokenizer is here."""
    assert words.count_tokens("bread and water " * 300) == 900
    assert words.count_tokens("\ud800") == 1
    assert Model2Vec("far", Settings(name="somebody/far")).count_tokens("x") is None


@wordllama_installed
def test_tokens_of_wordllama():
    """Counted as its tokenizer cuts them, without special ones."""
    assert WordLlama().count_tokens("Hello, world!") == 4


def test_configuration_registers_models():
    """Each entry of "models" is a model, by its id or else its name."""
    models = registered({"models": [{"name": "somebody/model", "aliases": ["mine"]}, {"id": "local", "path": "/x"}]})
    model, aliases = models["somebody/model"]
    assert (aliases, model.settings) == (("mine",), Settings(name="somebody/model"))
    assert models["local"][0].settings == Settings(path="/x")
    assert WORDLLAMA in models


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ([], "must be an object"),
        ({"model": []}, "'model'"),
        ({"models": {}}, "models must be a list"),
        ({"models": ["x"]}, r"models\[0\] must be an object"),
        ({"models": [{"id": "x"}]}, r"models\[0\] needs either name"),
        ({"models": [{"name": "x", "path": "/x"}]}, r"models\[0\] needs either name"),
        ({"models": [{"path": "/x"}]}, r"models\[0\]\.id"),
        ({"models": [{"name": "x", "aliases": "y"}]}, r"models\[0\]\.aliases"),
        ({"models": [{"name": "x"}, {"name": "y", "truncate_dim": 0}]}, r"models\[1\]\.truncate_dim"),
        ({"models": [{"name": "x", "colour": 1}]}, "'colour'"),
    ],
)
def test_a_bad_configuration_is_refused(config, names):
    """The error names the plugin and the key."""
    with pytest.raises(EmbedError, match=f"datasette-embed-model2vec.*{names}"):
        registered(config or [0])


def test_a_path_that_is_not_there(tmp_path):
    """The error names the model and the path, and nobody asks the hub for a model of that name."""
    model = Model2Vec("mine", Settings(path=str(tmp_path / "nowhere")))
    with pytest.raises(ModelUnavailable, match=r"nowhere, the path configured for mine, is not a folder"):
        model.embed("x")


def test_wordllama_without_its_package(monkeypatch):
    """The error says what to install."""
    monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="in the package wordllama, which is not installed"):
        WordLlama().embed("x")
    assert WordLlama().count_tokens("x") is None


def test_a_hub_that_cannot_be_reached(monkeypatch):
    """A model that was never downloaded is refused by its name."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = Model2Vec("far", Settings(name="nobody-at-all/no-such-model"))
    with pytest.raises(ModelUnavailable, match="far could not be loaded"):
        model.embed("x")
