"""EmbeddingModel, the class that a model plugin extends, and the one way that we call it."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .errors import (
    ContentRefused,
    KeyRefused,
    ModelBusy,
    ModelError,
    ModelLoadError,
    ModelResultError,
    ModelUnavailable,
    describe,
    raising,
)
from .keys import KeyStore, shows_key, without_keys
from .results import checked

if TYPE_CHECKING:
    from .results import Matrix

    Content = str | bytes


class LoadState:
    """Whether a model is ready, and the lock under which it becomes so."""

    def __init__(self) -> None:
        # Reentrant: an author may call embed() inside load() or embed_batch().
        self.lock = threading.RLock()
        self.ready = False
        self.loading = False
        self.keys: set[str] = set()  # that the model was given: no error may tell one
        self.fault: str | None = None  # what kept it from working the last time, and will again


class EmbeddingModel(ABC):
    """A model: turns contents (str or bytes) into vectors. Only `model_id` and `embed_batch` are required.

    Models are called from several threads. The class attributes are the whole configuration.
    """

    model_id: str
    supports_text: bool = True
    supports_binary: bool = False
    dimensions: int | None = None  # numbers in a vector, where known before the first call
    batch_size: int | None = None  # the most contents that one embed_batch() call may get
    needs_key: str | None = None  # the name of the key, such as "openai"
    key_env_var: str | None = None  # the environment variable that may hold it
    remote: bool = False  # calls another server: SQL may use it only where the configuration says so
    max_tokens: int | None = None  # what is longer is cut off by the model itself
    price_per_million_tokens: float | None = None  # in US dollars; None: free, or not known
    key: str | None = None  # set from the plugin configuration's "keys"

    _load_state: LoadState
    _registered_name: str | None = None
    _key_store: KeyStore | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> EmbeddingModel:
        # Not in __init__: plugin authors write their own and need not call ours.
        self = super().__new__(cls)
        self._load_state = LoadState()
        return self

    def load(self) -> None:
        """Load what is heavy. Called once, under a lock, before the first batch."""

    @abstractmethod
    def embed_batch(self, contents: list[Any]) -> Any:
        """Return one vector per content, in order: lists, a generator, numpy rows or one 2-D array."""

    def embed_query_batch(self, contents: list[Any]) -> Any:
        """What a query goes through; override it where the model embeds queries in another way."""
        return self.embed_batch(contents)

    def count_tokens(self, content: str) -> int | None:
        """How many of the model's own tokens this text has, or None where the model cannot say."""
        return None

    def get_key(self) -> str | None:
        """The key: from the configuration, else from datasette-secrets, else from the environment; else KeyRefused."""
        if self.needs_key is None:
            return None
        store = self._key_store
        key = self.key or (store and store.find()) or os.environ.get(self.key_env_var or "")
        if not key:
            raise KeyRefused(
                f"The model {self.model_id} needs the key {self.needs_key!r}: put it {', or '.join(_places(self))}"
            )
        self._load_state.keys.add(key)
        return key

    def embed(self, content: Content) -> list[float]:
        """One content's vector, checked."""
        return next(self.embed_multi([content]))

    def embed_query(self, content: Content) -> list[float]:
        """One query's vector, checked."""
        return [float(x) for x in embed_contents(self, [content], query=True)[0]]

    def embed_multi(self, contents: Iterable[Content]) -> Iterator[list[float]]:
        """The contents' vectors, checked, in order."""
        for row in embed_contents(self, list(contents)):
            yield [float(x) for x in row]

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.model_id}"


def registered_name(model: EmbeddingModel) -> str:
    """The name that collections keep of a model: its id, or `<plugin>/<id>` where another model has that."""
    return model._registered_name or model.model_id


def register_as(model: EmbeddingModel, name: str) -> None:
    """Give a model another name than its id; what it tells its own server stays the id."""
    model._registered_name = name


def keep_key_in(model: EmbeddingModel, store: KeyStore) -> None:
    """Give a model another place where its key may be."""
    model._key_store = store


def embed_contents(model: EmbeddingModel, contents: Sequence[Content], *, query: bool = False) -> Matrix:
    """Vectors of the contents as an (n, dimensions) float32 array, every promise of the model checked.

    Raises ContentRefused, ModelLoadError, ModelResultError, or ModelError with the model's own error as its cause.
    """
    import numpy as np

    _check_kinds(model, contents)
    load(model)
    step = max(1, model.batch_size or len(contents))
    parts = [_call(model, list(contents[start : start + step]), query) for start in range(0, len(contents), step)]
    if len({part.shape[1] for part in parts}) > 1:
        raise ModelResultError(f"The model {model.model_id} returned vectors of different lengths")
    return np.concatenate(parts) if parts else np.empty((0, model.dimensions or 0), dtype=np.float32)


def load(model: EmbeddingModel) -> None:
    """Load the model unless it is loaded; another thread that is loading it is waited for."""
    if model._load_state.ready or not has_load(model):
        return
    with model._load_state.lock:
        if model._load_state.ready or model._load_state.loading:
            return
        model._load_state.loading = True
        try:
            with telling(model, ModelLoadError, "could not be loaded", (ModelLoadError, KeyRefused, ModelBusy)):
                model.load()
        finally:
            model._load_state.loading = False
        model._load_state.ready, model._load_state.fault = True, None


def is_ready(model: EmbeddingModel) -> bool:
    """True once a call can start at once: loaded, or a first batch has succeeded."""
    return model._load_state.ready


def lasting_fault(model: EmbeddingModel) -> str | None:
    """What kept the model from working the last time, where that was more than one content: a ModelUnavailable."""
    return model._load_state.fault


def has_load(model: EmbeddingModel) -> bool:
    """Whether it is loaded by load(), and not by its first batch."""
    return type(model).load is not EmbeddingModel.load


def _check_kinds(model: EmbeddingModel, contents: Sequence[Content]) -> None:
    for content in contents:
        if isinstance(content, str):
            if not model.supports_text:
                raise ContentRefused(f"The model {model.model_id} does not take text, only binary content")
        elif not isinstance(content, bytes):
            raise ContentRefused(f"A content must be str or bytes, not {type(content).__name__}")
        elif not model.supports_binary:
            raise ContentRefused(f"The model {model.model_id} does not take binary content, only text")


def _call(model: EmbeddingModel, contents: list[Content], query: bool) -> Matrix:
    state = model._load_state
    if state.ready:
        return _call_once(model, contents, query)
    with state.lock:  # it loads inside embed_batch(): one call at a time until one has succeeded
        vectors = _call_once(model, contents, query)
        state.ready = True
        return vectors


def _call_once(model: EmbeddingModel, contents: list[Content], query: bool) -> Matrix:
    with telling(model, ModelError, "failed"):
        results = model.embed_query_batch(contents) if query else model.embed_batch(contents)
        rows = results if hasattr(results, "shape") else list(results)
        vectors = checked(f"The model {model.model_id}", rows, len(contents), model.dimensions)
    model._load_state.fault = None
    return vectors


@contextmanager
def telling(
    model: EmbeddingModel, kind: type[ModelError], what: str, passing: tuple[type[ModelError], ...] = (ModelError,)
) -> Iterator[None]:
    """What the model's own code raises in this block becomes an error of this kind, or passes; neither shows a key."""
    try:
        yield
    except Exception as error:
        if raising():
            raise
        keys, passes = _keys(model), isinstance(error, passing)
        leaking = shows_key(error, keys)
        told = error if passes else kind(f"The model {model.model_id} {what}: {describe(error)}")
        if leaking:
            told.args = (without_keys(str(told), keys),)
        _note(model, told)
        if passes and not leaking:
            raise
        raise told from (None if leaking else error)


def _note(model: EmbeddingModel, error: Exception) -> None:
    if isinstance(error, KeyRefused) and model._key_store:
        model._key_store.forget()
    if isinstance(error, ModelUnavailable):
        model._load_state.fault = str(error)


def _keys(model: EmbeddingModel) -> set[str]:
    """Every key that the model may have put into an error."""
    keys = {*model._load_state.keys, model.key, os.environ.get(model.key_env_var or "")}
    with suppress(Exception):  # a model may have a way of its own to a key
        keys.add(model.get_key())
    return {key for key in keys if isinstance(key, str)}


def _places(model: EmbeddingModel) -> list[str]:
    """Where a person may put the model's key, as it goes on after "put it"."""
    places = ['under "keys" in the configuration of the plugin datasette-embed']
    if model._key_store and model._key_store.place:
        places.append(model._key_store.place)
    if model.key_env_var:
        places.append(f"set the environment variable {model.key_env_var}")
    return places
