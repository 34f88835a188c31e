"""`datasette embed search` and `similar`: the rows of a collection that are nearest to a text, a file or a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from .asked import MEANING, MODES, Asked, check, data_of
from .files import open_database
from .instance import instance_options
from .matches import FORMATS

if TYPE_CHECKING:
    from .finding import Found


def result_options(command: Callable) -> Callable:
    """Give a command the options that say which matches are wanted, and how they are shown."""
    for option in (
        click.option("-c", "--columns", multiple=True, metavar="NAMES", help="Show these columns: a,b or -c a -c b"),
        click.option("--min-score", type=float, metavar="SCORE", help="Only matches with at least this score"),
        click.option("--where", metavar="SQL", help="Search only rows that meet this condition on their table"),
        click.option("-f", "--format", type=click.Choice(list(FORMATS)), default="table", show_default=True),
        click.option(
            "-n", "--limit", type=int, default=10, show_default=True, metavar="N", help="How many matches at most"
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("database")
@click.argument("collection")
@click.argument("text", required=False)
@click.option("--row", multiple=True, metavar="KEY", help="Search for rows like the row of this key")
@click.option("-i", "--input", "path", metavar="FILE", help="Search for what this file holds; - is standard input")
@click.option("--mode", type=click.Choice(MODES), default=MEANING, show_default=True)
@result_options
@instance_options
def search(database, collection, text, row, path, mode, limit, format, where, min_score, columns, config, plugins_dir):
    """Search a COLLECTION of DATABASE for a TEXT, a file, or rows like a row.

    \b
        datasette embed search data.db notes "how do I bake bread?" -n 5
        datasette embed search data.db notes "bread" --mode both --where "year > 1900"
        datasette embed search data.db notes --row 17 -f json
    """
    asked = Asked(collection, data_of(text, row, path), row, mode, limit, where, columns, min_score)
    _answer(database, check(asked), format, config, plugins_dir)


@click.command()
@click.argument("database")
@click.argument("collection")
@click.argument("key", nargs=-1, required=True)
@result_options
@instance_options
def similar(database, collection, key, limit, format, where, min_score, columns, config, plugins_dir):
    """Show the rows of a COLLECTION of DATABASE that are like the row of this KEY.

    \b
        datasette embed similar data.db notes 17
    """
    asked = Asked(collection, None, key, MEANING, limit, where, columns, min_score)
    _answer(database, check(asked), format, config, plugins_dir)


def _answer(path: str, asked: Asked, format: str, config: str | None, plugins_dir: str | None) -> None:
    from .finding import find  # noqa: PLC0415 (on first use: it comes with numpy)

    with open_database(path, config, plugins_dir) as (datasette, access):
        found = find(datasette, path, access, asked)
    click.echo(FORMATS[format](found), nl=False)
    if not found.matches:
        click.echo(_nothing(found, asked), err=True)


def _nothing(found: Found, asked: Asked) -> str:
    """Why there is nothing to show."""
    collection = found.ground.collection
    if collection.dimensions is None:
        return f"{collection.name} has no vectors yet: datasette embed status shows how far it is"
    limits = [
        f"where {asked.where}" if asked.where else "",
        f"with a score of at least {asked.min_score:g}" if asked.min_score is not None else "",
    ]
    return " ".join(["No matches in", collection.name, *filter(None, limits)])
