"""How long texts are cut, as it is typed: the options of `table` and `change`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..engine.chunking import UNITS, Chunking, chunking_of
from ..engine.errors import EmbedError

_OPTIONS = ("chunk_size", "chunk_unit", "chunk_overlap")


def chunk_options(command: Callable) -> Callable:
    """Give a command --chunk-size, --chunk-unit, --chunk-overlap and --no-chunking."""
    for option in (
        click.option("--no-chunking", is_flag=True, help="Cut no texts: the model reads the beginning of long ones"),
        click.option("--chunk-overlap", type=int, metavar="N", help="How much of it each repeats; by default a tenth"),
        click.option("--chunk-unit", type=click.Choice(UNITS), help="What the size counts; by default tokens"),
        click.option("--chunk-size", type=int, metavar="N", help="Cut long texts into chunks of so many at most"),
    ):
        command = option(command)
    return command


def chunking_asked(options: dict[str, Any]) -> dict[str, Chunking | None]:
    """How texts are cut, for define() and changed(), as far as it was said."""
    given = {name.removeprefix("chunk_"): options[name] for name in _OPTIONS if options[name] is not None}
    if options["no_chunking"]:
        if given:
            raise EmbedError("--no-chunking cuts no texts, so there is no size, unit or overlap of chunks")
        return {"chunking": None}
    return {"chunking": chunking_of(given)} if given else {}
