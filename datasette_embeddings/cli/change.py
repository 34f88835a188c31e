"""`datasette embed change`: a collection by another model or template, while the old vectors go on serving."""

from __future__ import annotations

import sqlite3

import click

from ..engine import jobs
from ..engine.access import FileAccess
from ..engine.changing import accept_change, begin_change, cancel_change, changed, successor_of
from ..engine.collections import Collection, Definition, get_collection
from ..engine.errors import Conflict
from ..engine.transactions import transaction
from ..registry import RegisteredModel, registry_for
from .chunks import chunk_options, chunking_asked
from .costs import affordable, cost_options, say_cost
from .files import open_database
from .instance import instance_options
from .passes import go_on
from .running import run_pass


@click.command()
@click.argument("database")
@click.argument("collection")
@click.argument("columns", nargs=-1)
@click.option("-m", "--model", help="Id or alias of the model; by default the present one")
@click.option("--template", metavar="TEXT", help="How a content is dressed; --template '' takes the template away")
@click.option("--anew", is_flag=True, help="Embed every row again: the model has other weights than it had")
@click.option("--cancel", is_flag=True, help="Give the change up; the collection stays as it is")
@click.option("--accept", is_flag=True, help="Take the change though some rows failed in it")
@chunk_options
@cost_options
@instance_options
@click.pass_context
def change(ctx, database, collection, columns, model, template, anew, cancel, accept, **options):
    """Embed COLLECTION in another way: by another model, template or chunks, or by other COLUMNS.

    What is not said stays as it is. The old vectors serve until the new ones are complete, and then the new ones take
    their place in one step. Ctrl-C stops after the batch in flight; the same command goes on.

    \b
        datasette embed change data.db notes -m mpnet
    """
    with open_database(database, options["config"], options["plugins_dir"]) as (datasette, access):
        if cancel or accept:
            settle = cancel_change if cancel else accept_change
            access.write(lambda conn: settle(conn, get_collection(conn, collection)))
            click.echo(f"{collection}: the change is {'given up' if cancel else 'made'}")
            return
        registry = registry_for(datasette)
        present = access.read(lambda conn: get_collection(conn, collection))
        entry = registry.find(model or present.model)
        chunking = chunking_asked(options)
        wanted = access.read(lambda conn: changed(conn, present, entry.model, columns, template, **chunking))
        limits = affordable(entry.model, wanted, options["max_cost"], options["max_rows"])
        if options["dry_run"]:
            return say_cost(access, wanted, entry.model, anew=anew)
        wish = (present, wanted, entry, anew, limits)
        run_pass(ctx, access, registry, database, lambda conn, owner: _take(conn, owner, *wish))
        _tell(access, present)


def _take(
    conn: sqlite3.Connection,
    owner: str,
    present: Collection,
    wanted: Definition,
    entry: RegisteredModel,
    anew: bool,
    limits: jobs.Given,
) -> tuple[Collection, jobs.Job, bool]:
    with transaction(conn):
        successor = successor_of(conn, present)
        if successor is None:
            successor = begin_change(conn, present.name, wanted, plugin=entry.plugin, anew=anew)
        elif successor.definition != wanted:
            raise Conflict(f"{present.name!r} is being changed in another way: --cancel gives that up")
        return go_on(conn, successor, owner, limits)


def _tell(access: FileAccess, present: Collection) -> None:
    """What became of the collection after a pass to the end."""
    if access.read(lambda conn: successor_of(conn, present)) is None:
        return click.echo(f"{present.name}: the new vectors have taken the place of the old ones")
    click.echo(
        f"{present.name} is served by its old vectors still, because rows failed: run the same command again once "
        "that is mended, or --accept the change without them, or --cancel it",
        err=True,
    )
