"""`datasette embed rebuild`: the packed codes of a collection, made anew from its vectors."""

from __future__ import annotations

import sqlite3
import time

import click

from ..engine.code_table import create_code_table, drop_code_table
from ..engine.code_table import rebuild as pack
from ..engine.collections import Collection, collection_by_id, get_collection, list_collections, new_token
from ..engine.identifiers import quote
from ..engine.transactions import transaction
from ..wording import counted, duration
from .files import open_database
from .instance import instance_options


@click.command()
@click.argument("database")
@click.argument("collection", required=False)
@instance_options
def rebuild(database, collection, config, plugins_dir):
    """Pack the codes of a COLLECTION of DATABASE anew, or those of all its collections.

    They are what a search of many vectors goes by. No model is asked, and no vector changes.
    """
    with open_database(database, config, plugins_dir) as (_, access):
        found = access.read(lambda conn: [get_collection(conn, collection)] if collection else list_collections(conn))
        if not found:
            click.echo(f"{click.format_filename(database)} has no collections")
        for each in found:
            began = time.monotonic()
            vectors = access.write(lambda conn, each=each: _rebuild(conn, each))
            seconds = duration(time.monotonic() - began)
            click.echo(f"{each.name}: the codes of {counted(vectors, 'vector')} packed in {seconds}")


def _rebuild(conn: sqlite3.Connection, collection: Collection) -> int:
    """Make the table of codes and fill it; how many vectors they are of."""
    with transaction(conn):
        collection = collection_by_id(conn, collection.id)  # as it is now that nobody else writes
        token = new_token()
        drop_code_table(conn, collection.codes.table)  # not only emptied: whatever has become of it
        create_code_table(conn, collection.codes.table)
        if collection.dimensions is not None:
            pack(conn, collection.codes, token)
        conn.execute("update _embed_collections set token = ? where id = ?", (token, collection.id))
        return int(conn.execute(f"select count(*) from {quote(collection.vector_table)}").fetchone()[0])
