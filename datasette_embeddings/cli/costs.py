"""Before paying, in a terminal: the limits that a command takes, and what `--dry-run` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..engine.access import FileAccess
from ..engine.collections import Definition
from ..engine.estimate import estimate, survey
from ..engine.jobs import Given, Limits, check_affordable
from ..engine.measures import make_cutter
from ..engine.models import EmbeddingModel
from ..wording import estimate_text

READ_SECONDS = 10.0  # for reading the table whole, or else a sample
COUNT_SECONDS = 10.0  # for counting tokens


def cost_options(command: Callable) -> Callable:
    """Give a command --dry-run, --max-cost and --max-rows."""
    limits = (
        ("--max-rows", "NUMBER", "Pause before the model gets more contents than this; none lifts the limit"),
        ("--max-cost", "DOLLARS", "Pause before more than this is spent; none lifts the limit"),
    )
    for name, metavar, text in limits:
        command = click.option(name, metavar=metavar, callback=_limit, help=text)(command)
    text = "Say what the model would be given, and what that costs; do nothing"
    return click.option("--dry-run", is_flag=True, help=text)(command)


def affordable(model: EmbeddingModel, definition: Definition, *limits: Given) -> Given:
    """The limits together; EmbedError where they cannot be kept."""
    given = {name: value for limit in limits for name, value in limit.items()}
    Limits().changed(given)
    check_affordable(given, model, binary=definition.binary)
    return given


def say_cost(access: FileAccess, definition: Definition, model: EmbeddingModel, *, anew: bool = False) -> None:
    """Print what a job of this definition would come to, `anew` or not; nothing is written."""
    cutter = make_cutter(definition.chunking, model)
    found = access.read(lambda conn: survey(conn, definition, model, cutter, READ_SECONDS, anew=anew))
    click.echo(estimate_text(estimate(found, model, binary=definition.binary, seconds=COUNT_SECONDS)))


def _limit(ctx: click.Context, param: click.Parameter, value: str | None) -> dict[str, Any]:
    """What was typed as {name: number}; "none" lifts the limit, and nothing typed leaves it as it is."""
    if value is None:
        return {}
    if value == "none":
        return {str(param.name): None}
    number = int if param.name == "max_rows" else float
    try:
        return {str(param.name): number(value)}
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number nor none") from None
