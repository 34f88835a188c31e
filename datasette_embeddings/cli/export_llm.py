"""`datasette embed export-llm`: a collection copied into a file of LLM's, for `llm similar`."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import click

from ..engine.access import FileAccess, connect
from ..engine.collections import Collection, get_collection
from ..engine.errors import Conflict, EmbedError, ReadOnlyDatabase
from ..engine.llm.exporting import Target, export_collection
from ..engine.llm.tally import Tally
from .files import check_file, open_database
from .instance import instance_options
from .moved import left_out, progress, summary


@click.command("export-llm")
@click.argument("database")
@click.argument("collection")
@click.argument("file")
@click.option("--name", help="What LLM is to call the collection; by default what it is called here")
@click.option("--replace", is_flag=True, help="Put it in the place of what LLM has under that name")
@click.option("--store", is_flag=True, help="Copy the contents too, as `llm embed-multi --store` does")
@instance_options
def export_llm(database, collection, file, name, replace, store, config, plugins_dir):
    """Copy the vectors of a COLLECTION of DATABASE into FILE, where `llm similar -d FILE` finds by them.

    \b
        datasette embed export-llm data.db notes embeddings.db
        llm similar notes -c "how do I begin?" -d embeddings.db
    """
    began = time.monotonic()
    with open_database(database, config, plugins_dir) as (_, access):
        found = access.read(lambda conn: get_collection(conn, collection))
        target = Target(name or found.name, replace, store)
        with _opened(database, file) as conn:
            tally = _export(access, found, conn, target, click.format_filename(file))
    click.echo(summary(found.name, "exported", tally, time.monotonic() - began))
    if tally.left_out:
        click.echo(left_out(tally, "row"), err=True)


@contextlib.contextmanager
def _opened(database: str, path: str) -> Iterator[sqlite3.Connection]:
    name = click.format_filename(path)
    if Path(path).exists():
        check_file(path)
        if Path(path).samefile(database):
            raise EmbedError(f"{name} is the database itself: LLM's tables belong in another file")
    elif not Path(path).absolute().parent.is_dir():
        raise EmbedError(f"There is no folder for {name}")
    with contextlib.closing(connect(path, create=True)) as conn:
        yield conn


def _export(access: FileAccess, collection: Collection, file: sqlite3.Connection, target: Target, name: str) -> Tally:
    try:
        with progress(collection.name) as shown:
            return access.read(lambda conn: export_collection(conn, collection, file, target, shown.count))
    except ReadOnlyDatabase as error:
        raise ReadOnlyDatabase(f"{name} cannot be written") from error
    except Conflict as error:
        raise Conflict(f"Nothing was written to {name}. {error}") from error
