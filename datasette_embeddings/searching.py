"""Searching the collections of a Datasette instance: its shared caches, its models, its connections."""

from __future__ import annotations

import functools
import sqlite3
from typing import TYPE_CHECKING

from . import compat
from .engine.collections import Collection, get_collection
from .engine.errors import EmbedError, ModelError, UnknownModel
from .engine.fingerprint import check, fingerprint
from .engine.models import EmbeddingModel, is_ready
from .registry import RegisteredModel, registry_for

if TYPE_CHECKING:
    from .engine.search import Caches, Searcher

# engine.search comes with numpy, so it is imported by those who search and not at the start.

LONGEST_QUERY = 100_000  # characters: far more than any model reads


def searcher(datasette, database: str, conn: sqlite3.Connection, collection: str) -> Searcher:
    """A searcher of the collection as this connection sees it; NotFound where the database has none of that name.

    Whoever is not an SQL function calls it, and searches, inside `engine.search.one_state(conn)`.
    """
    from .engine.search import Searcher

    opened = datasette.get_database(database)
    # To open a database in memory once more, while a statement reads it, waits for that very statement: SQLite's shared
    # cache has one lock for all its connections.
    opener = None if opened.is_memory else functools.partial(compat.connect, datasette, opened)
    return Searcher(conn, get_collection(conn, collection), caches_for(datasette), database, opener)


def caches_for(datasette) -> Caches:
    """The views that all searches of this instance share."""
    from .engine.search import Caches

    if not hasattr(datasette, "_embed_caches"):
        caches = Caches(registry_for(datasette).config.search_memory_mb * 1_000_000)
        datasette.__dict__.setdefault("_embed_caches", caches)  # in one step: several threads may come first
    return datasette._embed_caches


def model_of(datasette, collection: Collection) -> RegisteredModel:
    """The model that embeds a collection's queries, or an error that says which plugin is missing."""
    try:
        return registry_for(datasette).find(collection.model)
    except UnknownModel as error:
        plugin = f" It came with the plugin {collection.plugin}." if collection.plugin else ""
        raise UnknownModel(
            f"The model {collection.model} of the collection {collection.name!r} is not installed, so its rows can be "
            f"searched by row and not by text.{plugin}"
        ) from error


def check_weights(model: EmbeddingModel, collection: Collection) -> None:
    """ModelUnavailable where a model that has just embedded a query has other weights than the collection's vectors."""
    if not is_ready(model):
        return  # the query's vector was remembered
    try:
        made = fingerprint(model)
    except ModelError:  # its server is busy just now
        return
    check(collection, made)


def check_query(text: str) -> str:
    """A text query, or an error that says why it is none."""
    if not text.strip():
        raise EmbedError("The query is empty: say what the rows should be about")
    if len(text) > LONGEST_QUERY:
        raise EmbedError(f"The query has {len(text):,} characters; at most {LONGEST_QUERY:,} are searched for")
    return text.encode("utf-8", "replace").decode()  # a lone surrogate, which JSON can hold, is no text for SQLite
