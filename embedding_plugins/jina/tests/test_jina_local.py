"""Models that run here, by the tiny v3 of conftest.py: tasks, limits, and code that nobody allowed."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import PATIENCE

from datasette_embed_jina import RETRIEVAL, JinaLocal
from datasette_embeddings import ModelUnavailable

np = pytest.importorskip("numpy")

TEXTS = ["rivers", "mills and the towns beside them"]
REMOTE = """
from transformers import BertConfig, BertModel
class TinyConfig(BertConfig): pass
class TinyModel(BertModel): config_class = TinyConfig
"""


@pytest.fixture(scope="module")
def local(jina_folder):
    """local(task=RETRIEVAL, **settings): the tiny v3, not loaded yet."""
    return lambda task=RETRIEVAL, **settings: JinaLocal("v3", {"path": str(jina_folder), **settings}, task)


@pytest.fixture(scope="module")
def v3(local):
    model = local(device="cpu")
    model.embed("warm")
    return model


def by_peft(folder, adapter, texts):
    """The vectors as Jina describes them: that adapter alone, the mean over the tokens, length 1."""
    import torch
    from peft import PeftModel
    from transformers import AutoTokenizer, JinaEmbeddingsV3Model

    model = PeftModel.from_pretrained(JinaEmbeddingsV3Model.from_pretrained(folder), folder / adapter).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])[0]
    mask = tokens["attention_mask"].unsqueeze(-1)
    means = (hidden * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(means).numpy()


@pytest.mark.filterwarnings("ignore")  # peft's own
@pytest.mark.parametrize(
    ("task", "of_contents", "of_queries"),
    [
        (RETRIEVAL, "retrieval_passage", "retrieval_query"),
        ("text-matching", "text_matching", "text_matching"),
        ("separation", "separation", "separation"),
        ("classification", "classification", "classification"),
    ],
)
def test_tasks(local, jina_folder, task, of_contents, of_queries):
    """Contents and queries go through the adapters of their tasks."""
    model = local(task, device="cpu")
    model.embed("warm")
    assert model.embed_batch(TEXTS) == pytest.approx(by_peft(jina_folder, of_contents, TEXTS), abs=1e-5)
    assert model.embed_query_batch(TEXTS) == pytest.approx(by_peft(jina_folder, of_queries, TEXTS), abs=1e-5)


def test_no_task(v3, local):
    """Without a task no adapter is used, and contents and queries are embedded alike."""
    model = local("", device="cpu")
    assert model.embed("rivers") == model.embed_query("rivers")
    assert model.embed("rivers") != pytest.approx(v3.embed("rivers"), abs=1e-3)


def test_prompts(v3, jina_folder, tmp_path):
    """What the model's own files want to stand before a text of a task stands there."""
    from sentence_transformers import SentenceTransformer

    folder = shutil.copytree(jina_folder, tmp_path / "prompted")
    prompts = {"retrieval.query": "find: ", "retrieval.passage": ""}
    SentenceTransformer(str(jina_folder), device="cpu", prompts=prompts).save(str(folder))
    model = JinaLocal("prompted", {"path": str(folder), "device": "cpu"})
    assert model.embed_query("rivers") == pytest.approx(v3.embed_query("find: rivers"), abs=1e-6)
    assert model.embed("rivers") == pytest.approx(v3.embed("rivers"), abs=1e-6)


def test_contents_and_queries_at_once(v3):
    """While one thread embeds contents and another one queries, each gets the adapter that it asked for."""
    contents, queries = v3.embed_batch(TEXTS), v3.embed_query_batch(TEXTS)
    assert np.abs(contents - queries).max() > 1e-3
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call, TEXTS) for _ in range(20) for call in (v3.embed_batch, v3.embed_query_batch)]
        for number, call in enumerate(calls):
            assert call.result(PATIENCE) == pytest.approx(queries if number % 2 else contents, abs=1e-6)


def test_fewer_dimensions(v3, local):
    """A vector that is cut short is of length 1 again."""
    model = local(device="cpu", truncate_dim=8)
    assert model.dimensions == 8
    vector = np.array(model.embed("rivers"))
    whole = np.array(v3.embed("rivers"))[:8]
    assert vector == pytest.approx(whole / np.linalg.norm(whole), abs=1e-6)


def test_the_longest_content(v3):
    """Of a content the first 8,192 tokens count, the two special ones included, and the count says so."""
    assert (v3.max_tokens, v3.count_tokens("x" * 8190)) == (8192, 8192)
    assert v3.embed("x" * 8190) == pytest.approx(v3.embed("x" * 8190 + "y" * 100), abs=1e-6)
    assert v3.embed("x" * 8189) != pytest.approx(v3.embed("x" * 8189 + "y"), abs=1e-6)


def test_it_says_nothing(jina_folder):
    """Loading and embedding write nothing to stdout or stderr, though two adapters are loaded."""
    settings = {"path": str(jina_folder), "device": "cpu"}
    code = f"from datasette_embed_jina import JinaLocal; JinaLocal('v3', {settings!r}).embed('x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_adapter_that_is_not_there(local):
    """A task that the model has no adapter for is an error that names it."""
    with pytest.raises(ModelUnavailable, match=r"v3 could not be loaded: .* has no adapter for the task 'poetry'"):
        local("poetry", device="cpu").embed("x")


def test_without_the_libraries(local, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelUnavailable, match=r'peft is missing.*datasette install "datasette-embed-jina\[local\]"'):
        local().embed("x")


@pytest.fixture
def remote(tmp_path, save_tokenizer):
    """The folder of a model that is made by code beside its weights, as v2 is."""
    from transformers import BertConfig, BertModel

    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    BertModel(BertConfig(vocab_size=103, max_position_embeddings=8192, **layers)).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyModel"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling_tiny.py").write_text(REMOTE)
    return tmp_path


def test_code_that_nobody_allowed(remote):
    """Without permission the model is refused, where transformers would make another one of its weights."""
    with pytest.raises(ModelUnavailable, match=r"^The model v2 could not be loaded: .* trust_remote_code: true"):
        JinaLocal("v2", {"path": str(remote), "device": "cpu"}).embed("x")


def test_code_that_somebody_allowed(remote, tmp_path_factory):
    """With permission the authors' code runs, and knows of no tasks."""
    settings = {"path": str(remote), "device": "cpu", "trust_remote_code": True}
    code = (
        f"from datasette_embed_jina import JinaLocal; model = JinaLocal('v2', {settings!r})\n"
        "assert model.embed('x') == model.embed_query('x')\n"
        "assert type(model._loaded.library[0].model).__name__ == 'TinyModel'\n"
        "assert (model.dimensions, model.max_tokens) == (32, 8192)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path_factory.mktemp("home"))}  # where transformers copies the code
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
