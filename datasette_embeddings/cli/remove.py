"""`datasette embed remove`: a collection, or every trace of us, taken out of a file."""

from __future__ import annotations

import click

from ..engine.access import FileAccess
from ..engine.collections import Collection, delete_collection, get_collection, list_collections, remove_everything
from ..engine.schema import has_schema
from .files import open_database
from .instance import instance_options


@click.command()
@click.argument("database")
@click.argument("collection", required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask")
@instance_options
def remove(database, collection, yes, config, plugins_dir):
    """Remove one COLLECTION from DATABASE, or all that datasette-embed ever stored there."""
    with open_database(database, config, plugins_dir) as (_, access):
        name = click.format_filename(database)
        if not access.read(has_schema):
            return click.echo(f"{name} holds nothing of datasette-embed")
        doomed = [access.read(lambda conn: get_collection(conn, collection))] if collection else _all(access)
        if not yes:
            click.confirm(f"Remove {_listed(doomed)} with all vectors from {name}?", abort=True)
        if collection:
            access.write(lambda conn: delete_collection(conn, collection))
        else:
            access.write(remove_everything)
        click.echo(f"Removed {_listed(doomed)} from {name}")


def _all(access: FileAccess) -> list[Collection]:
    return access.read(list_collections)


def _listed(collections: list[Collection]) -> str:
    if not collections:
        return "the empty tables of datasette-embed"
    plural = "s" if len(collections) > 1 else ""
    return f"the collection{plural} {', '.join(collection.name for collection in collections)}"
