"""Queries made vectors: off the threads of the databases, and without waiting long for a model that loads."""

from __future__ import annotations

import asyncio

from datasette import Forbidden

from ...engine.collections import Collection
from ...engine.contents import Content
from ...engine.errors import EmbedError, ModelUnavailable
from ...engine.models import embed_contents, is_ready
from ...engine.vectors import encode
from ...loading import QUERY, loading, remembered_for
from ...permissions import may_embed_table
from ...registry import RegisteredModel, registry_for
from ...searching import check_query, check_weights, model_of
from ..visit import Visit
from .asked import Search

LOAD_SECONDS = 5.0  # a person waits so long for a page; a model may take a minute
QUERY_SECONDS = 30.0


class StillLoading(EmbedError):
    """A model that is not ready yet, and will be."""

    status = 503


async def vector_of(visit: Visit, collection: Collection, search: Search) -> bytes:
    """The vector of a query that is no row."""
    if search.vector is not None:
        return encode(search.vector)
    registered = model_of(visit.datasette, collection)
    await _check_cost(visit, registered)
    content = check_query(search.q) if search.q is not None else search.image
    vector = await _embedded(visit.datasette, registered, content)
    await asyncio.to_thread(check_weights, registered.model, collection)
    return vector


async def can_ask(visit: Visit, collection: Collection, *, binary: bool = False) -> bool:
    """Whether the actor can search the collection by text, or by an image: the model is there and takes it."""
    try:
        registered = model_of(visit.datasette, collection)
    except EmbedError:
        return False
    model = registered.model
    return (model.supports_binary if binary else model.supports_text) and await _may_ask(visit, registered)


async def _may_ask(visit: Visit, registered: RegisteredModel) -> bool:
    """Whether the actor may have the model embed a query: who asks a model that costs must be one who may embed."""
    model = registered.model
    if not (model.needs_key or model.remote) or registry_for(visit.datasette).config.public_search:
        return True
    return await may_embed_table(visit.datasette, visit.actor, visit.database.name, str(visit.table))


async def _check_cost(visit: Visit, registered: RegisteredModel) -> None:
    if not await _may_ask(visit, registered):
        raise Forbidden(
            f"You may not search {visit.table!r} by text: its model {registered.name} needs a key or another server, "
            "so that takes the permission embed-table. Searching by row is free"
        )


async def _embedded(datasette, registered: RegisteredModel, content: Content) -> bytes:
    model, remembered = registered.model, remembered_for(datasette)
    if (vector := remembered.get(model, content, QUERY)) is not None:
        return vector
    if not is_ready(model) and not (model.remote or model.needs_key):
        await _loaded(datasette, registered, content)
        if (vector := remembered.get(model, content, QUERY)) is not None:  # it may have loaded by this very content
            return vector
    try:
        made = asyncio.to_thread(embed_contents, model, [content], query=True)
        vectors = await asyncio.wait_for(made, QUERY_SECONDS)
    except asyncio.TimeoutError:
        raise ModelUnavailable(f"The model {registered.name} did not answer within {QUERY_SECONDS:g} seconds") from None
    vector = encode(vectors[0])
    remembered.put(model, content, QUERY, vector)
    return vector


async def _loaded(datasette, registered: RegisteredModel, content: Content) -> None:
    load = asyncio.wrap_future(loading(datasette, registered.model, content, QUERY))
    try:
        await asyncio.wait_for(asyncio.shield(load), LOAD_SECONDS)  # others wait for the same load
    except asyncio.TimeoutError:
        raise StillLoading(f"The model {registered.name} is loading: try again in a moment") from None
