"""Models that load in the background, once, however many wait for them; and the vectors that were made lately."""

from __future__ import annotations

import concurrent.futures
import threading
from collections import OrderedDict

from .engine.contents import Content, content_hash
from .engine.models import EmbeddingModel, embed_contents, is_ready, load, registered_name
from .engine.vectors import encode

REMEMBERED = 500  # vectors: under 1 MB at 384 dimensions
QUERY, DOCUMENT = "query", "document"

_loading_lock = threading.Lock()


def loading(datasette, model: EmbeddingModel, content: Content, side: str) -> concurrent.futures.Future:
    """The one load of this model that is under way, begun if there is none.

    A model that loads inside embed_batch() is given the content for it, and its vector is remembered.
    """
    with _loading_lock:
        under_way = datasette.__dict__.setdefault("_embed_loading", {})
        future = under_way.get(registered_name(model))
        if future is None or (future.done() and not is_ready(model)):
            future = under_way[registered_name(model)] = concurrent.futures.Future()
            arguments = (datasette, model, content, side, future)
            # A daemon thread: a load may take a minute, and the process must be free to end.
            threading.Thread(target=_load, args=arguments, name="embed-load", daemon=True).start()
        return future


def _load(datasette, model: EmbeddingModel, content: Content, side: str, future: concurrent.futures.Future) -> None:
    try:
        load(model)
        if not is_ready(model):
            vector = encode(embed_contents(model, [content], query=side == QUERY)[0])
            remembered_for(datasette).put(model, content, side, vector)
        future.set_result(None)
    except BaseException as error:
        future.set_exception(error)


def is_same_side(model: EmbeddingModel) -> bool:
    """True where the model makes the same vector of a query as of a document."""
    return type(model).embed_query_batch is EmbeddingModel.embed_query_batch


class Remembered:
    """The last vectors that were made one by one, for all connections and pages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vectors: OrderedDict[tuple, bytes] = OrderedDict()

    def get(self, model: EmbeddingModel, content: Content, side: str) -> bytes | None:
        """The vector of this content, or None."""
        place = _place(model, content, side)
        with self._lock:
            if place in self._vectors:
                self._vectors.move_to_end(place)
            return self._vectors.get(place)

    def put(self, model: EmbeddingModel, content: Content, side: str, vector: bytes) -> None:
        """Remember it, and forget the one that was used least lately where there are too many."""
        with self._lock:
            self._vectors[_place(model, content, side)] = vector
            while len(self._vectors) > REMEMBERED:
                self._vectors.popitem(last=False)


def remembered_for(datasette) -> Remembered:
    """The vectors that all connections and pages of this instance share."""
    if not hasattr(datasette, "_embed_remembered"):
        datasette.__dict__.setdefault("_embed_remembered", Remembered())  # in one step: several threads may come first
    return datasette._embed_remembered


def _place(model: EmbeddingModel, content: Content, side: str) -> tuple:
    return registered_name(model), DOCUMENT if is_same_side(model) else side, content_hash(content)
