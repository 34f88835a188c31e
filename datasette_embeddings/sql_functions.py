"""The SQL functions on every connection that Datasette prepares: embed() and the arithmetic of vectors."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import logging
import sqlite3
from collections.abc import Callable

from .engine import vectors
from .engine.collections import list_collections
from .engine.contents import Content, content_hash
from .engine.errors import EmbedError, raising
from .engine.models import EmbeddingModel, embed_contents, is_ready, registered_name
from .engine.vector_table import find_vector
from .loading import DOCUMENT, QUERY, is_same_side, loading, remembered_for
from .raised import raise_in_server
from .registry import RegisteredModel, registry_for
from .sql_search import SearchFunctions

logger = logging.getLogger("datasette_embeddings")


def prepare_connection(conn: sqlite3.Connection, database: str, datasette) -> None:
    """Register every function."""
    embedding = _Embedding(conn, datasette)
    searching = SearchFunctions(conn, datasette, database, lambda name, text: embedding.embed(name, text, QUERY))
    scalars: list[tuple[str, int, Callable]] = [
        ("embed", 2, _interruptible(conn, embedding.embed)),
        ("embed", 3, _interruptible(conn, embedding.embed)),
        ("embed_models", 0, embedding.models),
        ("embed_cosine", 2, _null_for_null(vectors.cosine)),
        ("embed_dot", 2, _null_for_null(vectors.dot)),
        ("embed_l2", 2, _null_for_null(vectors.l2)),
        ("embed_decode", 1, _null_for_null(vectors.to_json)),
        ("embed_encode", 1, _null_for_null(vectors.from_json)),
        ("embed_dimensions", 1, _null_for_null(lambda vector: vectors.decode(vector).size)),
        ("embed_normalize", 1, _null_for_null(vectors.normalized)),
    ]
    for name, function in (
        ("embed_search", searching.search),
        ("embed_similar", searching.similar),
        ("embed_hybrid", searching.hybrid),
    ):
        scalars += [(name, arguments, _interruptible(conn, function)) for arguments in (2, 3, 4)]
    for name, arguments, function in scalars:
        conn.create_function(name, arguments, _reported(datasette, name, function), deterministic=True)

    class Average(vectors.Average):
        def step(self, blob: object) -> None:
            _reported(datasette, "embed_average", super().step)(blob)

    conn.create_aggregate("embed_average", 1, Average)


class _Embedding:
    """embed() on one connection: stored vectors first, then those made lately, then the model."""

    def __init__(self, conn: sqlite3.Connection, datasette) -> None:
        self.conn, self.datasette = conn, datasette

    def embed(self, name: object, content: object, side: str = DOCUMENT) -> bytes | None:
        """The vector of a content by this model; NULL for NULL."""
        if not isinstance(name, str):
            raise EmbedError(f"The first argument of embed() is a model's id or alias, not {name!r}")
        entry = registry_for(self.datasette).find(name)
        if side not in (QUERY, DOCUMENT):
            raise EmbedError(f"The third argument of embed() is 'query' or 'document', not {side!r}")
        if content is None:
            return None
        _check_allowed(entry)
        return self._vector(entry.model, self._as_content(content), side)

    def models(self) -> str:
        """The models that SQL may use, as JSON."""
        registered = registry_for(self.datasette).models
        return json.dumps(
            [
                {"model_id": entry.name, "aliases": list(entry.aliases), "dimensions": entry.model.dimensions}
                for entry in registered
                if entry.sql
            ]
        )

    def _as_content(self, content: object) -> Content:
        if isinstance(content, str | bytes):
            return content
        return self.conn.execute("select cast(? as text)", (content,)).fetchone()[0]

    def _vector(self, model: EmbeddingModel, content: Content, side: str) -> bytes | None:
        if side == DOCUMENT or is_same_side(model):
            stored = self._stored(model, content_hash(content))
            if stored is not None:
                return stored
        remembered = remembered_for(self.datasette)
        vector = remembered.get(model, content, side)
        if vector is not None or not self._is_ready_in_time(model, content, side):
            return vector
        vector = remembered.get(model, content, side)  # a model may have loaded by embedding this very content
        if vector is None:
            vector = vectors.encode(embed_contents(model, [content], query=side == QUERY)[0])
            remembered.put(model, content, side, vector)
        return vector

    def _stored(self, model: EmbeddingModel, digest: bytes) -> bytes | None:
        """A vector of this content that one of this file's collections holds."""
        for collection in list_collections(self.conn):
            is_ours = collection.model == registered_name(model)
            if (
                is_ours
                and model.dimensions in (None, collection.dimensions)
                and (vector := find_vector(self.conn, collection.vector_table, digest))
            ):
                return vector
        return None

    def _is_ready_in_time(self, model: EmbeddingModel, content: Content, side: str) -> bool:
        """Wait for a model that is not loaded as long as a query may take; then let SQLite interrupt the query."""
        if is_ready(model):
            return True
        limit = self.datasette.setting("sql_time_limit_ms") / 1000
        try:
            loading(self.datasette, model, content, side).result(timeout=limit)
        except concurrent.futures.TimeoutError:
            self.conn.interrupt()  # Datasette says "SQL query took too long"; an exception would hide that
            return False
        return True


def _check_allowed(entry: RegisteredModel) -> None:
    if not entry.sql:
        raise EmbedError(
            f"The model {entry.name} needs a key or another server, and whoever may type SQL would spend it: "
            "name it under sql_models in the configuration of datasette-embed to allow that"
        )


def _interruptible(conn: sqlite3.Connection, function: Callable) -> Callable:
    """A time limit that strikes inside a query of ours ends the whole query as too long, not as an error of ours."""

    @functools.wraps(function)
    def wrapped(*arguments: object) -> object:
        try:
            return function(*arguments)
        except sqlite3.OperationalError as error:
            if str(error) != "interrupted":
                raise
            conn.interrupt()
            return None

    return wrapped


def _null_for_null(function: Callable) -> Callable:
    @functools.wraps(function)
    def wrapped(*arguments: object) -> object:
        return None if any(argument is None for argument in arguments) else function(*arguments)

    return wrapped


def _reported(datasette, name: str, function: Callable) -> Callable:
    """SQLite tells the person only that a function raised: the log gets the sentence."""

    @functools.wraps(function)
    def wrapped(*arguments: object) -> object:
        try:
            return function(*arguments)
        except Exception as error:
            if raising():
                raise_in_server(datasette, error)
            elif isinstance(error, EmbedError):
                logger.warning("%s(): %s", name, error)
            raise

    return wrapped
