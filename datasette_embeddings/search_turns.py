"""Turns at searching: of the threads that Datasette reads with, one is always left to the pages that only read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

FUNCTIONS = (
    b"embed_search",
    b"embed_similar",
    b"embed_hybrid",
)  # no escapes: a query string leaves letters and _ alone


def turns_of(datasette) -> asyncio.Semaphore:
    """What a page holds while it searches; who waits for it waits in the order of coming, and takes no thread."""
    if not hasattr(datasette, "_embed_search_turns"):
        datasette._embed_search_turns = asyncio.Semaphore(max(1, datasette.setting("num_sql_threads") - 1))
    return datasette._embed_search_turns


def asgi_wrapper(datasette) -> Callable[[Any], Any]:
    """Requests whose SQL searches take turns too: ten at once would keep every thread from every other page."""

    def wrap(app: Any) -> Any:
        async def wrapped(scope: dict, receive: Any, send: Any) -> None:
            asked = scope.get("query_string", b"")
            if not any(name in asked for name in FUNCTIONS):
                return await app(scope, receive, send)
            async with contextlib.AsyncExitStack() as turn:
                await turn.enter_async_context(turns_of(datasette))

                async def answer(message: dict) -> None:
                    await turn.aclose()  # the search is done: a client that reads slowly keeps nobody waiting
                    await send(message)

                await app(scope, receive, answer)

        return wrapped

    return wrap
