"""Jina's embedding models for datasette-embed: by its API, and on this machine."""

from __future__ import annotations

import functools
import importlib.util
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasette import hookimpl

from datasette_embeddings import EmbeddingModel, ModelUnavailable, PluginConfiguration

if TYPE_CHECKING:
    import numpy as np
    from datasette_embed_openai import OpenAIModel
    from datasette_embed_sentence_transformers import SentenceTransformerModel

PLUGIN = "datasette-embed-jina"
CONFIGURATION = PluginConfiguration(PLUGIN)
LOCAL_V3 = "jinaai/jina-embeddings-v3-hf"
API = "jina-api/"  # before the names of the models behind it
RETRIEVAL = "retrieval.passage"
PRESETS = {  # of the API: dimensions, task, alias
    "jina-embeddings-v3": (1024, RETRIEVAL, "jina-api-v3"),
    "jina-embeddings-v2-base-en": (768, "", "jina-api-v2-base"),
    "jina-embeddings-v2-small-en": (512, "", "jina-api-v2-small"),
}
TOKENS = 8192
TOGETHER = 8  # contents that go through a local model at once: of 8,192 tokens each, more would need gigabytes
API_KEYS = ("name", "id", "aliases", "task", "truncate_dim")
SETTINGS = ("name", "path", "device", "dtype", "truncate_dim", "trust_remote_code")  # of sentence-transformers' plugin
LOCAL_KEYS = ("id", "aliases", "task", *SETTINGS)
CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("id", "name", "path", "device"), PluginConfiguration.TEXT),
    "task": ("a text", lambda v: isinstance(v, str)),
    "aliases": PluginConfiguration.TEXTS,
    "dtype": ("float32, bfloat16 or float16", lambda v: v in ("float32", "bfloat16", "float16")),
    "truncate_dim": PluginConfiguration.COUNT,
    "trust_remote_code": ("true or false", lambda v: isinstance(v, bool)),
}


@hookimpl
def register_embedding_models(register, datasette):
    config = datasette.plugin_config(PLUGIN) or {}
    CONFIGURATION.check_keys(config, ("api", "local"), "it")
    models: dict[str, tuple[EmbeddingModel, tuple[str, ...]]] = {
        f"{API}{name}": (JinaAPI(f"{API}{name}", name, task, dimensions), (alias,))
        for name, (dimensions, task, alias) in PRESETS.items()
    }
    if importlib.util.find_spec("datasette_embed_sentence_transformers"):
        models[LOCAL_V3] = (JinaLocal(LOCAL_V3, {"name": LOCAL_V3}), ("jina-v3",))
    for model, aliases in (*_of_the_api(config.get("api", [])), *_local(config.get("local", []))):
        _, usual = models.get(model.model_id, (None, ()))
        models[model.model_id] = (model, usual if aliases is None else tuple(aliases))
    for model, aliases in models.values():
        register(model, aliases=aliases)


def _of_the_api(entries: Any) -> Iterator[tuple[JinaAPI, list[str] | None]]:
    for where, entry in CONFIGURATION.entries(entries, "api", {key: CHECKS[key] for key in API_KEYS}):
        if "name" not in entry:
            raise CONFIGURATION.wrong(where, "needs the name of a model")
        name, truncate_dim = entry["name"], entry.get("truncate_dim")
        usual_dimensions, usual_task, _ = PRESETS.get(name, (None, RETRIEVAL, None))
        task, model_id = entry.get("task", usual_task), entry.get("id", f"{API}{name}")
        yield JinaAPI(model_id, name, task, truncate_dim or usual_dimensions, truncate_dim), entry.get("aliases")


def _local(entries: Any) -> Iterator[tuple[JinaLocal, list[str] | None]]:
    for where, entry in CONFIGURATION.entries(entries, "local", {key: CHECKS[key] for key in LOCAL_KEYS}):
        if ("name" in entry) == ("path" in entry):
            raise CONFIGURATION.wrong(where, "needs either name (on the hub) or path (a folder)")
        if "path" in entry and "id" not in entry:
            raise CONFIGURATION.wrong(f"{where}.id", "is needed where the model is given by its path")
        settings = {key: entry[key] for key in SETTINGS if key in entry}
        yield (
            JinaLocal(entry.get("id", entry.get("name")), settings, entry.get("task", RETRIEVAL)),
            entry.get("aliases"),
        )


def query_task(task: str) -> str:
    """The task of a query where contents have this one: retrieval.query for retrieval.passage, else the same."""
    return task.replace(".passage", ".query")


class JinaAPI(EmbeddingModel):
    """A model behind Jina's API, which is OpenAI's with a few fields more."""

    remote = True
    needs_key, key_env_var = "jina", "JINA_API_KEY"
    base_url = "https://api.jina.ai/v1"
    max_tokens = TOKENS

    def __init__(
        self, model_id: str, name: str, task: str, dimensions: int | None = None, truncate_dim: int | None = None
    ) -> None:
        self.model_id, self.name, self.task = model_id, name, task
        self.dimensions, self.truncate_dim = dimensions, truncate_dim

    def load(self) -> None:
        """Make the HTTP clients; no server is asked."""
        self._documents, self._queries = self._side(self.task), self._side(query_task(self.task))

    def embed_batch(self, contents: list[str]) -> list[np.ndarray]:
        """One float32 row per content, by the task of contents."""
        return self._documents.embed_batch(contents)

    def embed_query_batch(self, contents: list[str]) -> list[np.ndarray]:
        """One float32 row per query, by the task of queries."""
        return self._queries.embed_batch(contents)

    def _side(self, task: str) -> OpenAIModel:
        from datasette_embed_openai import OpenAIModel

        # Unless told to cut a content off, the API refuses one that is too long.
        fields = {"task": task, "dimensions": self.truncate_dim, "truncate": True}
        given = {key: value for key, value in fields.items() if value}
        side = OpenAIModel(self.model_id, given, name=self.name, base_url=self.base_url)
        side.get_key = self.get_key
        side.load()
        return side


class JinaLocal(EmbeddingModel):
    """A model that runs here: v3 with one of its adapters a task, or an older one by its authors' code."""

    max_tokens = TOKENS

    def __init__(self, model_id: str, settings: dict[str, Any], task: str = RETRIEVAL) -> None:
        self.model_id, self.settings, self.task = model_id, settings, task
        self.dimensions = settings.get("truncate_dim", 1024 if model_id == LOCAL_V3 else None)
        self._loaded: SentenceTransformerModel | None = None
        self._asked = threading.local()  # the adapter that this thread's call is for
        self._one_adapter = threading.Lock()

    def load(self) -> None:
        """Load the weights and the adapters; ModelUnavailable where that takes code which nobody allowed."""
        loaded = self._load_library_model()
        self.dimensions = loaded.dimensions
        self.max_tokens = loaded.library.max_seq_length = min(loaded.max_tokens or TOKENS, TOKENS)
        network = loaded.library[0].model
        if network.config.model_type == "jina_embeddings_v3":
            if self.task:
                self._load_adapters(network)
        elif getattr(network.config, "auto_map", None) and not self.settings.get("trust_remote_code"):
            # Without that code transformers makes another network of the weights, and random numbers of the rest.
            raise ModelUnavailable(
                f"{self._source} needs Python code that its authors put next to the weights: "
                "once you have read it, allow it by trust_remote_code: true"
            )
        self._loaded = loaded

    def embed_batch(self, contents: list[str]) -> np.ndarray:
        """One float32 row of length 1 per content, by the task of contents."""
        return self._embed(contents, self.task)

    def embed_query_batch(self, contents: list[str]) -> np.ndarray:
        """One float32 row of length 1 per query, by the task of queries."""
        return self._embed(contents, query_task(self.task))

    def count_tokens(self, content: str) -> int | None:
        """Tokens with the two special ones; None before the model is loaded."""
        return self._loaded.count_tokens(content) if self._loaded else None

    def _embed(self, contents: list[str], task: str) -> np.ndarray:
        from datasette_embed_sentence_transformers import encodable

        library, options = self._loaded.library, {"normalize_embeddings": True, "show_progress_bar": False}
        self._asked.adapter = adapter_of(task)
        prompt = library.prompts.get(task)  # of the model's own files, which may have one for each task
        return library.encode(encodable(contents), prompt=prompt, batch_size=TOGETHER, **options)

    @property
    def _source(self) -> str:
        path = self.settings.get("path")
        return str(Path(path).expanduser()) if path else self.settings.get("name", self.model_id)

    def _load_library_model(self) -> SentenceTransformerModel:
        try:
            import peft  # noqa: F401
            from datasette_embed_sentence_transformers import SentenceTransformerModel, Settings
        except ImportError as error:
            raise ModelUnavailable(
                f'{error.name} is missing, which it needs to run here: datasette install "{PLUGIN}[local]"'
            ) from error
        # float32, unless the configuration says otherwise: what bfloat16 does to these models was not measured.
        model = SentenceTransformerModel(self.model_id, Settings(**{"dtype": "float32", **self.settings}))
        model.load()
        return model

    def _load_adapters(self, network: Any) -> None:
        from datasette_embed_sentence_transformers import hub_answers

        offline = not Path(self._source).is_dir() and not hub_answers()
        for task in dict.fromkeys((self.task, query_task(self.task))):
            adapter = adapter_of(task)
            try:
                with _silence():
                    folder = {"subfolder": adapter}
                    network.load_adapter(
                        self._source, adapter_name=adapter, adapter_kwargs=folder, local_files_only=offline
                    )
            except (OSError, ValueError) as error:
                raise ModelUnavailable(f"{self._source} has no adapter for the task {task!r} ({error})") from error
        network.forward = self._with_adapter(network, network.forward)

    def _with_adapter(self, network: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The network's forward pass with the adapter that is asked for: queries take turns with a job's batches."""

        @functools.wraps(forward)
        def switched(*args: Any, **kwargs: Any) -> Any:
            with self._one_adapter:
                network.set_adapter(self._asked.adapter)
                return forward(*args, **kwargs)

        return switched


def adapter_of(task: str) -> str:
    """The adapter of a task, as its folder is called."""
    return task.replace(".", "_").replace("-", "_")


@contextmanager
def _silence() -> Iterator[None]:
    """For a second adapter: the libraries report the weights of the first as missing, and warn that there are two."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
