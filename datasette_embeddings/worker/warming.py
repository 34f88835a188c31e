"""Loading the models of the collections that are there, so that the first query need not wait."""

from __future__ import annotations

import contextlib
import logging
import sqlite3

from .. import compat
from ..engine.collections import every_collection
from ..engine.errors import EmbedError, raising
from ..engine.models import EmbeddingModel, embed_contents, is_ready, load
from ..engine.prices import price_of
from ..raised import raise_in_server
from ..registry import registry_for
from .threads import in_daemon_thread

logger = logging.getLogger("datasette_embeddings")


async def warm_all(datasette) -> None:
    """Load them in the background, one after another."""
    registry = registry_for(datasette)
    names = set()
    for database in compat.databases(datasette):
        with contextlib.suppress(sqlite3.Error, EmbedError):
            names |= {collection.model for collection in await database.execute_fn(every_collection)}
    for name in sorted(names):
        try:
            model = registry.model(name)
            await in_daemon_thread(lambda model=model: warm(model), "embed-warm")
        except Exception as error:
            if raising():
                raise_in_server(datasette, error)
            logger.warning("%s", error)


def warm(model: EmbeddingModel) -> None:
    """Make a model ready; one that loads inside embed_batch() gets a word to embed, unless that might cost."""
    load(model)
    if not is_ready(model) and model.supports_text and not (model.needs_key or model.remote or price_of(model)):
        embed_contents(model, ["warm"])
