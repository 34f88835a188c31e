"""EmbeddingModel, the class that a model plugin extends, and the one way that we call it."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .errors import (
    ContentRefused,
    KeyRefused,
    ModelBusy,
    ModelError,
    ModelLoadError,
    ModelResultError,
    raising,
)

if TYPE_CHECKING:
    import numpy as np

    Content = str | bytes
    Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class LoadState:
    """Whether a model is ready, and the lock under which it becomes so."""

    def __init__(self) -> None:
        # Reentrant: an author may call embed() inside load() or embed_batch().
        self.lock = threading.RLock()
        self.ready = False
        self.loading = False


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
        """The key: from the configuration, else the environment; KeyRefused says where to put one."""
        if self.needs_key is None:
            return None
        key = self.key or os.environ.get(self.key_env_var or "")
        if not key:
            variable = f", or set the environment variable {self.key_env_var}" if self.key_env_var else ""
            raise KeyRefused(
                f"The model {self.model_id} needs the key {self.needs_key!r}: put it under "
                f'"keys" in the configuration of the plugin datasette-embed{variable}'
            )
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
    if model._load_state.ready or not _has_load(model):
        return
    with model._load_state.lock:
        if model._load_state.ready or model._load_state.loading:
            return
        model._load_state.loading = True
        try:
            model.load()
        except Exception as error:
            if raising() or isinstance(error, ModelLoadError | KeyRefused | ModelBusy):
                raise
            raise ModelLoadError(f"The model {model.model_id} could not be loaded: {describe(error)}") from error
        finally:
            model._load_state.loading = False
        model._load_state.ready = True


def is_ready(model: EmbeddingModel) -> bool:
    """True once a call can start at once: loaded, or a first batch has succeeded."""
    return model._load_state.ready


def describe(error: BaseException) -> str:
    """An error in one line: its message, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _has_load(model: EmbeddingModel) -> bool:
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
    try:
        results = model.embed_query_batch(contents) if query else model.embed_batch(contents)
        rows = results if hasattr(results, "shape") else list(results)
    except Exception as error:
        if raising() or isinstance(error, ModelError):
            raise
        raise ModelError(f"The model {model.model_id} failed: {describe(error)}") from error
    return checked(model, rows, len(contents))


def checked(model: EmbeddingModel, rows: Any, count: int) -> Matrix:
    """What a model returned, as a (count, dimensions) float32 array, or ModelResultError saying what is wrong."""
    import numpy as np

    name = f"The model {model.model_id}"
    if getattr(rows, "ndim", 2) != 2:
        raise ModelResultError(f"{name} returned an array of {rows.ndim} dimensions where 2 were expected")
    if len(rows) != count:
        raise ModelResultError(f"{name} returned {len(rows)} vectors for {count} contents")
    lengths = {_length(name, row) for row in rows}
    if len(lengths) > 1:
        raise ModelResultError(f"{name} returned vectors of different lengths: {sorted(lengths)}")
    (length,) = lengths or {model.dimensions or 0}
    if length == 0:
        raise ModelResultError(f"{name} returned empty vectors")
    if model.dimensions is not None and length != model.dimensions:
        raise ModelResultError(f"{name} returned vectors of length {length}; it declares {model.dimensions}")
    try:
        with np.errstate(over="ignore"):  # what overflows is not finite, and is refused below
            # A copy: a model may return the same buffer from every call.
            vectors = np.array(rows, dtype=np.float32, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelResultError(f"{name} returned something other than numbers: {describe(error)}") from error
    if vectors.ndim != 2:
        raise ModelResultError(f"{name} returned an array of {vectors.ndim} dimensions where 2 were expected")
    if not np.isfinite(vectors).all():
        bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ModelResultError(f"{name} returned a vector with NaN or infinity (content {bad + 1} of {count})")
    return vectors


def _length(name: str, row: Any) -> int:
    try:
        return len(row)
    except TypeError:
        raise ModelResultError(f"{name} returned {type(row).__name__} where a vector was expected") from None
