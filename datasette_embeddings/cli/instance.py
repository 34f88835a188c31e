"""The Datasette that a command looks through: what a server started with the same options would have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from datasette.utils import BadMetadataError, parse_metadata

from .. import compat
from ..engine.errors import EmbedError, describe, raising


def instance_options(command: Callable) -> Callable:
    """Give a command --config and --plugins-dir; what stands before the subcommand's name holds for it too."""
    for name, kind, text in (
        ("--plugins-dir", click.Path(exists=True, file_okay=False), "Load plugins, and their models, from this folder"),
        ("--config", click.Path(exists=True, dir_okay=False), "Datasette's configuration file (0.65: its metadata)"),
    ):
        command = click.option(name, type=kind, callback=_or_the_groups, help=text)(command)
    return command


@contextlib.contextmanager
def open_instance(config: str | None, plugins_dir: str | None, *files: str) -> Iterator:
    """A Datasette over these files, closed at the end; it serves nothing."""
    content = _read(config) if config else None
    try:
        datasette = compat.new_datasette(files, config=content, plugins_dir=plugins_dir)
    except Exception as error:  # a plugin of that folder may raise anything
        if raising():
            raise
        raise EmbedError(f"Datasette could not be set up: {describe(error)}") from error
    try:
        yield datasette
    finally:
        compat.close(datasette)


def _read(path: str) -> dict:
    try:
        content = parse_metadata(Path(path).read_text(encoding="utf-8"))
    except (BadMetadataError, UnicodeDecodeError):
        content = ()
    if content is None:  # an empty file
        return {}
    if not isinstance(content, dict):
        raise EmbedError(f"{path} is no configuration: an object in JSON or YAML was expected")
    return content


def _or_the_groups(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return value or (ctx.parent.params.get(param.name) if ctx.parent else None)
