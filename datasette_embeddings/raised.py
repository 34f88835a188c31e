"""Raising instead of reporting, for plugin authors: an error leaves the server's event loop with its traceback."""

from __future__ import annotations

import asyncio


class Stopped(SystemExit):
    """Ends the server: the only kind of exception that an event loop and the command line both let pass."""


def remember_loop(datasette) -> None:
    """Keep the loop that the server runs on: SQL functions run on other threads."""
    datasette._embed_loop = asyncio.get_running_loop()


def raise_in_server(datasette, error: Exception) -> None:
    """Raise the error where `python -i -m datasette` shows it and `pdb.pm()` finds the frame that it came from."""
    loop = getattr(datasette, "_embed_loop", None)
    if loop is not None and not loop.is_closed():
        loop.call_soon_threadsafe(_raise, error)


def _raise(error: Exception) -> None:
    raise Stopped(f"{type(error).__name__}: {error}").with_traceback(error.__traceback__) from error
