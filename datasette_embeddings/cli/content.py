"""`datasette embed`: one content to one vector, and the group that the other commands belong to."""

from __future__ import annotations

import base64
import os
import sys

import click

from ..engine import vectors
from ..engine.contents import Content
from ..engine.errors import EmbedError
from ..engine.models import embed_contents
from ..registry import registry_for
from .door import Door
from .instance import instance_options, open_instance

FORMATS = {
    "json": lambda vector: vectors.to_json(vector) + "\n",
    "blob": lambda vector: vector,
    "base64": lambda vector: base64.b64encode(vector).decode() + "\n",
    "hex": lambda vector: vector.hex() + "\n",
}


@click.group(cls=Door, invoke_without_command=True)
@click.option("-m", "--model", help="Id or alias of the model; see `datasette embed models`")
@click.option("-c", "--content", "text", metavar="TEXT", help="The text to embed")
@click.option("-i", "--input", "path", metavar="FILE", help="The file to embed; - is standard input, the default")
@click.option("--binary", is_flag=True, help="Hand the bytes to the model as they are")
@click.option("--query", is_flag=True, help="Embed it as a query, where the model tells queries from documents")
@click.option("-f", "--format", type=click.Choice(list(FORMATS)), default="json", show_default=True)
@instance_options
@click.pass_context
def embed(ctx, model, text, path, binary, query, format, config, plugins_dir):
    """Embed one content, and the tables of SQLite databases.

    Without a subcommand, a text becomes a vector:

    \b
        cat file.txt | datasette embed -m minilm
        datasette embed -m minilm -c "How do I bake bread?"
    """
    if ctx.invoked_subcommand:
        return _refuse_options_before(ctx)
    if text is None and path is None and (sys.stdin is None or sys.stdin.isatty()):
        return click.echo(ctx.get_help())
    content = read_content(text, path, binary)
    with open_instance(config, plugins_dir) as datasette:
        entry = registry_for(datasette).pick(model)
        vector = embed_contents(entry.model, [content], query=query)[0]
    click.echo(FORMATS[format](vectors.encode(vector)), nl=False)


def read_content(text: str | None, path: str | None, binary: bool) -> Content:
    """The content of -c, -i or standard input; EmbedError where there is none, or where it is no text."""
    if text is not None and path is not None:
        raise EmbedError("Give -c or -i, not both")
    # Bytes of the command line that are no UTF-8 come as surrogates: fsencode() gives them back.
    data = os.fsencode(text) if text is not None else read_bytes(path or "-")
    if not data:
        raise EmbedError("There is nothing to embed: the content is empty")
    if binary:
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EmbedError(
            f"The content is not valid UTF-8 (byte {error.start + 1}): write --binary if it is meant to be binary"
        ) from error


def read_bytes(path: str) -> bytes:
    """What a file, or standard input, holds; EmbedError where it cannot be read."""
    try:
        with click.open_file(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise EmbedError(f"{click.format_filename(path)} cannot be read: {error.strerror}") from error


def _refuse_options_before(ctx: click.Context) -> None:
    """Options of one content before a subcommand would be silently lost."""
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
        if given and param.name not in ("config", "plugins_dir"):
            raise click.UsageError(f"Write {param.opts[0]} after `{ctx.invoked_subcommand}`", ctx)
