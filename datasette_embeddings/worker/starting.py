"""The start of a server and its end: the registry first, then the worker, which stops with it."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import logging

from .. import compat
from ..engine.errors import EmbedError, raising
from ..raised import remember_loop
from ..registry import registry_for
from .jobs import worker_for

logger = logging.getLogger("datasette_embeddings")

OTHER = "datasette-embeddings"  # another project's distribution, whose import package has the name of ours


def asgi_wrapper(datasette):
    """Start the worker with the server and stop it with the server, the same way on both Datasette lines."""

    def wrap(app):
        async def wrapped(scope, receive, send):
            remember_loop(datasette)
            if scope["type"] != "lifespan":
                return await app(scope, receive, send)

            async def watched():
                message = await receive()
                if message["type"] == "lifespan.startup":
                    worker_for(datasette).start()
                    gc.freeze()  # what is there by now is for good: to look through it stops all requests for 50 ms
                elif message["type"] == "lifespan.shutdown":
                    await worker_for(datasette).close()
                return message

            await app(scope, watched, send)

        return wrapped

    return wrap


def startup(datasette) -> None:
    """Build the registry before the first request: what is wrong with models or configuration ends the start."""
    _warn_of_the_other()
    try:
        registry_for(datasette)
    except EmbedError as error:
        if raising():
            raise
        raise compat.CannotStart(str(error)) from error
    for name in compat.published_keys(datasette):
        raise compat.CannotStart(
            f"The key {name!r} stands in the metadata, which Datasette 0.65 shows to everybody at /-/metadata.json: "
            'write {"$env": "…"} there, with the name of an environment variable that holds it'
        )


def _warn_of_the_other() -> None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution(OTHER)
        logger.warning(
            "%s is installed too, and it and datasette-embed overwrite each other's files: "
            "run `pip uninstall %s datasette-embed`, then install the one you want again",
            OTHER,
            OTHER,
        )
