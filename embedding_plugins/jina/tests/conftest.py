"""A v3 of two layers and random weights with its adapters, saved as Jina's is; and a server in place of Jina's."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import datasette_embed_jina as plugin

ADAPTERS = ("retrieval_query", "retrieval_passage", "separation", "classification", "text_matching")
LETTERS = {**{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}, **{chr(n): n - 28 for n in range(32, 127)}}
KEY = "jina_0123456789abcdef"


@pytest.fixture(scope="session")
def save_tokenizer():
    """save_tokenizer(folder): a tokenizer whose tokens are letters."""

    def save(folder):
        from tokenizers import Tokenizer, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        tokenizer = Tokenizer(models.WordLevel(LETTERS, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        special = [("<s>", 0), ("</s>", 2)]
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=special)
        names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=8194, **names).save_pretrained(folder)

    return save


@pytest.fixture(scope="session")
def jina_folder(tmp_path_factory, save_tokenizer):
    """The folder of the tiny v3: the libraries' own code reads it, as it would read the published one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

    folder = tmp_path_factory.mktemp("jina")
    save_tokenizer(folder)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    JinaEmbeddingsV3Model(JinaEmbeddingsV3Config(vocab_size=len(LETTERS), **layers)).save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft asks transformers for what will have another name
        for adapter in ADAPTERS:
            lora = LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
            get_peft_model(JinaEmbeddingsV3Model.from_pretrained(folder), lora).save_pretrained(folder / adapter)
    return folder


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        status, headers, answer = self.server.answer(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args):
        """Say nothing."""


def vectors(body):
    """Another vector for each text and each task, as long as was asked for."""
    texts = [f"{body.get('task')} {text}" for text in body["input"]]
    numbers = [[byte / 128 - 1 for byte in hashlib.sha256(text.encode()).digest()] for text in texts]
    data = [{"index": n, "embedding": each[: body.get("dimensions")]} for n, each in enumerate(numbers)]
    return 200, {}, {"data": data}


@pytest.fixture
def server(monkeypatch):
    """The server; `requests` has (path, authorization, body) of each, and `answer(body)` may be replaced."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests, server.answer = [], vectors
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setattr(plugin.JinaAPI, "base_url", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("JINA_API_KEY", KEY)
        yield server
        server.shutdown()
        thread.join(10)
