"""`datasette embed table`: embed a table from the terminal, by the same engine that the server's worker runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence

import click

from ..engine import jobs
from ..engine.access import FileAccess, connect
from ..engine.collections import Definition, define
from ..engine.errors import Conflict, EmbedError
from ..engine.models import EmbeddingModel
from ..engine.tables import source_table
from ..registry import Registry, registry_for
from ..wording import progress_text
from .files import open_database
from .instance import instance_options
from .interrupts import Interrupts, QuitAtOnce
from .passes import Pass, Wish
from .progress import Progress
from .report import GO_ON, failures, summary

INTERRUPTED = 130  # exit status of a program that Ctrl-C ended


@click.command()
@click.argument("database")
@click.argument("table_name", metavar="TABLE")
@click.argument("columns", nargs=-1)
@click.option("-m", "--model", help="Id or alias of the model; see `datasette embed models`")
@click.option("--template", metavar="TEXT", help="How a content is dressed: {{ title }} is that column's value")
@click.option("--collection", metavar="NAME", help="Name of the collection; by default the table's")
@instance_options
@click.pass_context
def table(ctx, database, table_name, columns, model, template, collection, config, plugins_dir):
    """Embed COLUMNS of TABLE in DATABASE, or bring what was embedded up to date.

    Rows that have not changed are not embedded again. Ctrl-C stops after the batch in flight; the same command
    then goes on where it stopped.

    \b
        datasette embed table data.db notes title body -m minilm
    """
    with open_database(database, config, plugins_dir) as (datasette, access):
        registry = registry_for(datasette)
        entry = registry.pick(model)
        definition = access.read(lambda conn: _definition(conn, table_name, columns, template, entry.model))
        wish = Wish(definition, collection, entry.short_name, entry.plugin)
        began = time.monotonic()
        ended = _bring_up_to_date(access, registry, database, wish)
        if ended is None:
            ctx.exit(INTERRUPTED)
        click.echo(summary(ended.collection, ended.job, time.monotonic() - began))
        if ended.job.failed:
            click.echo(access.read(lambda conn: failures(conn, ended.job)), err=True)


def _definition(
    conn: sqlite3.Connection, table_name: str, columns: Sequence[str], template: str | None, model: EmbeddingModel
) -> Definition:
    if not columns and not template:
        source = source_table(conn, table_name)
        raise EmbedError(
            f"Name the columns to embed, or write a --template; {source.name} has {', '.join(source.names)}"
        )
    return define(conn, table_name, columns, template, model)


def _bring_up_to_date(access: FileAccess, registry: Registry, path: str, wish: Wish) -> Pass | None:
    """The pass that ended, or None where Ctrl-C came first."""
    progress, owner = Progress(), jobs.new_owner()
    try:
        with Interrupts() as interrupts, contextlib.closing(progress):
            current = Pass(access, owner, registry.model, wish, interrupts, progress)
            current.to_the_end()
            if not (interrupts.asked and current.job.is_active):
                return current
    except QuitAtOnce:
        _quit(path, owner)
    _step_back(access, current)
    return None


def _step_back(access: FileAccess, current: Pass) -> None:
    """After Ctrl-C: what was ours is paused, so that no server begins it by itself; what another runs goes on."""
    name = current.collection.name
    if not current.is_ours:
        return click.echo(f"{name} is not watched any more; the other process goes on with it", err=True)
    with contextlib.suppress(Conflict):  # a server has taken it up and finished it meanwhile
        access.write(lambda conn: jobs.act(conn, current.collection.id, "pause"))
    current.look()
    done = progress_text(current.job)
    click.echo(f"{name} is {current.job.status}{f' after {done}' if done else ''}; {GO_ON}", err=True)


def _quit(path: str, owner: str) -> None:
    """The second Ctrl-C: give the lease back if that takes no time, and end without waiting for the model."""
    with contextlib.suppress(sqlite3.Error, EmbedError), contextlib.closing(connect(path)) as conn:
        conn.execute("pragma busy_timeout = 200")  # milliseconds
        for (job_id,) in conn.execute("select id from _embed_jobs where owner = ?", (owner,)).fetchall():
            jobs.end(conn, job_id, owner, jobs.PAUSED, "Stopped by Ctrl-C")
    click.echo(f"Stopped at once: the batch in flight is lost, all before it is saved; {GO_ON}", err=True)
    os._exit(INTERRUPTED)
