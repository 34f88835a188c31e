"""The embedding models of LLM's plugins in Datasette, and those of Datasette's plugins in LLM."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import os
import threading
from collections import defaultdict
from importlib.metadata import entry_points
from typing import Any

from pluggy import HookimplMarker

# The markers alone: LLM imports this module at each of its commands and Datasette at each start, and neither of them
# should wait for the other to be imported.
for_datasette, for_llm = HookimplMarker("datasette"), HookimplMarker("llm")
logger = logging.getLogger(__name__)
# LLM calls its models from one thread, and its plugins rely on it: llm-sentence-transformers switches the logging of
# the whole process off around each batch, and two batches at once would leave it off.
one_at_a_time = threading.Lock()
BATCH = 100  # contents that LLM hands to a model at most where the model does not say


@for_datasette
def register_embedding_models(register):
    from datasette_embeddings import EmbeddingModel

    class LLMModel(FromLLM, EmbeddingModel):
        """A model of LLM's as Datasette calls it."""

    for model, aliases in models_of_llm():
        register(LLMModel(model), aliases=aliases, fallback=True)


class LLMPlugin:
    """What LLM loads as its plugin: a class, because a module has one name for the hook of both."""

    @staticmethod
    @for_llm(tryfirst=True)  # of two models with one name LLM takes the later: its own win, as ours do in Datasette
    def register_embedding_models(register):
        from llm import EmbeddingModel

        class DatasetteModel(ToLLM, EmbeddingModel):
            """A model of Datasette's as LLM calls it."""

        try:
            entries = models_of_datasette(os.environ.get("DATASETTE_EMBED_CONFIG"))
        except Exception as error:  # LLM's own models must go on working
            return logger.warning("LLM does without the models of Datasette's plugins: %s", one_line(error))
        for entry in entries:
            register(DatasetteModel(entry.model, entry.name), aliases=(*entry.aliases, f"datasette/{entry.name}"))


class FromLLM:
    """An embedding model of LLM's with the methods of one of ours; the two classes meet where ours is imported."""

    def __init__(self, model: Any) -> None:
        self.model_id = model.model_id
        self.supports_text, self.supports_binary = model.supports_text, model.supports_binary
        self.batch_size = model.batch_size or BATCH
        self.needs_key, self.key_env_var = model.needs_key, model.key_env_var
        self._model = model
        self._takes_key = takes_key(model)

    def embed_batch(self, contents: list[Any]) -> list[Any]:
        """The vectors of LLM's model; the faults of one that needs a key are told apart."""
        contents = [encodable(content) for content in contents]
        if self.needs_key is None:
            with one_at_a_time:
                return list(self._embed(contents, None))
        key = self.get_key()
        try:
            return list(self._embed(contents, key))
        except Exception as error:
            raise fault(self.model_id, error) from error

    def get_key(self) -> str | None:
        """The key: from the configuration, else from `llm keys`, else from where ours are; or KeyRefused."""
        from datasette_embeddings import KeyRefused

        if self.needs_key is not None and self.key is None and (key := stored_key(self.needs_key)):
            return key
        try:
            return super().get_key()
        except KeyRefused as error:
            raise KeyRefused(f"{error}, or run `llm keys set {self.needs_key}`") from None

    def _embed(self, contents: list[Any], key: str | None) -> Any:
        if self._takes_key:
            return self._model.embed_batch(contents, key=key)
        if key is not None:  # and only then: llm-embed-onnx keeps the name of its weights in `key`
            self._model.key = key
        return self._model.embed_batch(contents)


class ToLLM:
    """A model of Datasette's with the methods of one of LLM's; the two classes meet where LLM's is imported."""

    def __init__(self, model: Any, name: str) -> None:
        self.model_id = name
        self.supports_text, self.supports_binary = model.supports_text, model.supports_binary
        self.batch_size, self.needs_key, self.key_env_var = model.batch_size, model.needs_key, model.key_env_var
        self._model = model

    def embed_batch(self, items: Any, *, key: str | None = None) -> Any:
        """A generator of the vectors, checked as in Datasette."""
        if key is not None:
            self._model.key = key
        return self._model.embed_multi(items)

    def get_key(self, explicit_key: str | None = None) -> str | None:
        """The key: what `--key` says, else from `llm keys`, else what Datasette would use; or KeyRefused."""
        import llm

        if self.needs_key is None:
            return None
        return llm.get_key(explicit_key or self.key, self.needs_key) or self._model.get_key()


def models_of_llm() -> list[tuple[Any, list[str]]]:
    """LLM's models with their aliases, as LLM itself resolves them: of two with one name it takes the later."""
    from llm.plugins import pm

    load_plugins_of_llm()
    of_the_user, by_name = aliases_of_the_user(), {}

    def register(model: Any, aliases: Any = None) -> None:
        names = (*(aliases or ()), *of_the_user[model.model_id], model.model_id)
        by_name.update(dict.fromkeys(names, model))

    for hook in reversed(pm.hook.register_embedding_models.get_hookimpls()):
        if hook.plugin is LLMPlugin:  # it would ask us in turn
            continue
        try:
            hook.function(register=register)
        except Exception as error:
            logger.warning(
                "The LLM plugin %s could not register its embedding models: %s", hook.plugin_name, one_line(error)
            )
    return [
        (model, [alias for alias, other in by_name.items() if other is model and alias != name])
        for name, model in by_name.items()
        if name == model.model_id
    ]


def load_plugins_of_llm() -> None:
    """Load them one by one: LLM would stop at one that is broken, and load none of those after it."""
    from llm import plugins

    if plugins.LLM_LOAD_PLUGINS is None:
        for entry in entry_points(group="llm"):
            try:
                plugins.pm.load_setuptools_entrypoints("llm", name=entry.name)
            except Exception as error:
                plugins.pm.set_blocked(entry.name)
                logger.warning("The LLM plugin %s could not be loaded: %s", entry.dist.name, one_line(error))
    plugins.load_plugins()


def aliases_of_the_user() -> defaultdict[str, list[str]]:
    """What `llm aliases set` keeps, by model id."""
    import llm

    aliases = defaultdict(list)
    try:
        path = llm.user_dir() / "aliases.json"
        for alias, model_id in json.loads(path.read_text()).items() if path.exists() else ():
            aliases[model_id].append(alias)
    except (OSError, ValueError) as error:
        logger.warning("The aliases that LLM keeps could not be read: %s", one_line(error))
    return aliases


def stored_key(name: str) -> str | None:
    """What `llm keys set` keeps under this name; KeyRefused where that cannot be read."""
    import llm

    from datasette_embeddings import KeyRefused

    try:
        return llm.load_keys().get(name)
    except (OSError, ValueError) as error:
        raise KeyRefused(f"The keys that LLM keeps could not be read: {one_line(error)}") from error


@functools.cache  # LLM asks again for each model that it looks up, and would have the weights loaded again
def models_of_datasette(config: str | None) -> list[Any]:
    """The models of the installed plugins, none of them LLM's, as this configuration file of Datasette's has them."""
    from datasette_embeddings.cli.instance import open_instance
    from datasette_embeddings.registry import registry_for

    with open_instance(config, None) as datasette:
        return [entry for entry in registry_for(datasette).models if not isinstance(entry.model, FromLLM)]


def takes_key(model: Any) -> bool:
    """Whether its embed_batch() takes `key=`, as it may from LLM 0.33 on."""
    try:
        inspect.signature(model.embed_batch).bind([], key=None)
    except (TypeError, ValueError):
        return False
    return True


def encodable(content: Any) -> Any:
    """The content with U+FFFD for each lone surrogate, which is no text to a tokenizer."""
    if isinstance(content, bytes) or content.isascii():
        return content
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def fault(model_id: str, error: Exception) -> Exception:
    """Our error for one of a model that calls a server: the key refused, a fault that passes, or any other."""
    from datasette_embeddings import KeyRefused, ModelBusy, ModelError

    message = f"The model {model_id} failed: {one_line(error)}"
    status, headers = answer(error)
    if status in (401, 403):
        return KeyRefused(message)
    if status is None and is_of_the_network(error):
        return ModelBusy(message)
    if status == 429 or (status or 0) >= 500:
        wait = headers.get("retry-after") or ""
        return ModelBusy(message, float(wait) if wait.isdecimal() else None)
    return ModelError(message)


def answer(error: Any) -> tuple[int | None, Any]:
    """The status and the headers of a server's answer, where the error is about one: of openai, httpx or requests."""
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None), getattr(response, "headers", {})


def is_of_the_network(error: BaseException) -> bool:
    """Whether an OSError lies at the root, as with every HTTP client where no connection comes about."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return isinstance(error, OSError)


def one_line(error: Exception) -> str:
    """What an error says, or its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
