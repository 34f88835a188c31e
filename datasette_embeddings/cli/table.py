"""`datasette embed table`: embed a table from the terminal, by the same engine that the server's worker runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import click

from ..engine.chunking import Chunking
from ..engine.collections import Definition, define
from ..engine.errors import EmbedError
from ..engine.models import EmbeddingModel
from ..engine.tables import source_table
from ..registry import registry_for
from .chunks import chunk_options, chunking_asked
from .costs import affordable, cost_options, say_cost
from .files import open_database
from .instance import instance_options
from .passes import Wish, take
from .running import run_pass


@click.command()
@click.argument("database")
@click.argument("table_name", metavar="TABLE")
@click.argument("columns", nargs=-1)
@click.option("-m", "--model", help="Id or alias of the model; see `datasette embed models`")
@click.option("--template", metavar="TEXT", help="How a content is dressed: {{ title }} is that column's value")
@click.option("--collection", metavar="NAME", help="Name of the collection; by default the table's")
@click.option("--follow/--no-follow", default=None, help="Note changes of the table from now on, or no longer")
@click.option("--retry-failed", is_flag=True, help="Look only at the rows that failed")
@chunk_options
@cost_options
@instance_options
@click.pass_context
def table(ctx, database, table_name, columns, model, template, collection, follow, retry_failed, **options):
    """Embed COLUMNS of TABLE in DATABASE, or bring what was embedded up to date.

    Rows that have not changed are not embedded again. Ctrl-C stops after the batch in flight; the same command
    then goes on where it stopped.

    \b
        datasette embed table data.db notes title body -m minilm
    """
    with open_database(database, options["config"], options["plugins_dir"]) as (datasette, access):
        registry = registry_for(datasette)
        entry = registry.pick(model)
        chunking = chunking_asked(options)
        definition = access.read(lambda conn: _definition(conn, table_name, columns, template, entry.model, **chunking))
        limits = affordable(entry.model, definition, options["max_cost"], options["max_rows"])
        if options["dry_run"]:
            if retry_failed:
                raise EmbedError("--dry-run tells of a pass over every row, and not of --retry-failed")
            return say_cost(access, definition, entry.model)
        wish = Wish(definition, collection, entry.short_name, entry.plugin, follow)
        run_pass(
            ctx, access, registry, database, lambda conn, owner: take(conn, wish, owner, limits, failed=retry_failed)
        )


def _definition(
    conn: sqlite3.Connection,
    table_name: str,
    columns: Sequence[str],
    template: str | None,
    model: EmbeddingModel,
    **chunking: Chunking | None,
) -> Definition:
    if not columns and not template:
        source = source_table(conn, table_name)
        raise EmbedError(
            f"Name the columns to embed, or write a --template; {source.name} has {', '.join(source.names)}"
        )
    return define(conn, table_name, columns, template, model, **chunking)
