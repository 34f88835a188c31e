"""The door between the commands and a person: an error of ours is one sentence on stderr, and exit status 1."""

from __future__ import annotations

import sqlite3

import click

from ..engine.errors import EmbedError, raising


class Door(click.Group):
    """A group whose commands may raise: every one of them runs inside invoke()."""

    def invoke(self, ctx):
        """Run the command; with DATASETTE_EMBED_RAISE_ERRORS set, what it raises comes through for a debugger."""
        try:
            return super().invoke(ctx)
        except (EmbedError, sqlite3.Error, UnicodeEncodeError) as error:
            if raising():
                raise
            raise click.ClickException(sentence(error)) from error


def sentence(error: Exception) -> str:
    """What a person reads of an error."""
    if isinstance(error, sqlite3.Error):
        return f"SQLite says: {error}"
    if isinstance(error, UnicodeEncodeError):
        if error.encoding.startswith("utf"):  # bytes of the command line that are no UTF-8 come as surrogates
            return f"This is not valid UTF-8: {error.object!a}"
        character = error.object[error.start]
        return f"The output's encoding, {error.encoding}, has no {character!a}: PYTHONIOENCODING=utf-8 gives it one"
    return str(error)
