"""`datasette embed table`: embed a table from the terminal, by the same engine that the server's worker runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

import click

from ..engine import jobs
from ..engine.access import FileAccess, connect
from ..engine.collections import Collection, Definition, define
from ..engine.errors import EmbedError
from ..engine.tables import source_table
from ..registry import Registry, registry_for
from .files import open_file
from .instance import instance_options, open_instance, prepare
from .interrupts import Interrupts, QuitAtOnce
from .passes import Pass, Taken, take
from .progress import Progress, duration, progress_text

INTERRUPTED = 130  # exit status of a program that Ctrl-C ended
SHOWN_ERRORS = 5  # rows that failed, in the summary
GO_ON = "the same command goes on where it stopped"


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
    with (
        open_instance(config, plugins_dir, database) as datasette,
        open_file(database, prepare(datasette, database)) as access,
    ):
        registry = registry_for(datasette)
        entry = registry.pick(model)
        definition = access.read(lambda conn: _definition(conn, table_name, columns, template, entry.model))
        owner = jobs.new_owner()
        taken = access.write(lambda conn: take(conn, definition, owner, name=collection, alias=entry.short_name))
        began = time.monotonic()
        job = _bring_up_to_date(access, taken, owner, registry, database)
        if job is None:
            ctx.exit(INTERRUPTED)
        _report(access, taken.collection, job, time.monotonic() - began)


def _definition(conn: sqlite3.Connection, table_name: str, columns, template, model) -> Definition:
    if not columns and not template:
        names = ", ".join(source_table(conn, table_name).names)
        raise EmbedError(f"Name the columns to embed, or write a --template. {table_name} has {names}")
    return define(conn, table_name, columns, template, model)


def _bring_up_to_date(access: FileAccess, taken: Taken, owner: str, registry: Registry, path: str) -> jobs.Job | None:
    """The job as it ended, or None where Ctrl-C was first."""
    progress = Progress(taken.collection.name)
    job = taken.job
    try:
        with Interrupts() as interrupts, contextlib.closing(progress):
            _introduce(taken, progress)
            job = Pass(access, owner, registry.model, interrupts, progress).to_the_end(job, taken.is_ours)
            if not (interrupts.asked and job.is_active):
                return job
    except QuitAtOnce:
        _quit(path, job, owner)
    _step_back(access, taken.collection, job)
    return None


def _introduce(taken: Taken, progress: Progress) -> None:
    name = taken.collection.name
    if not taken.is_ours:
        progress.say(f"{name} is being embedded by another process ({taken.job.owner}); this one watches")
    elif taken.is_resumed:
        progress.say(f"{name}: going on after {progress_text(taken.job)}")


def _step_back(access: FileAccess, collection: Collection, job: jobs.Job) -> None:
    """After Ctrl-C: what is ours is paused, not left for a server to begin by itself; another process's goes on."""
    if job.status == jobs.RUNNING:
        click.echo(f"{collection.name} is still being embedded by another process", err=True)
        return
    job = access.write(lambda conn: jobs.act(conn, collection.id, "pause"))
    click.echo(f"Stopped: {progress_text(job)} are done and saved; {GO_ON}", err=True)


def _quit(path: str, job: jobs.Job, owner: str) -> None:
    """The second Ctrl-C: give the lease back if that takes no time, and end without waiting for the model."""
    with contextlib.suppress(sqlite3.Error, EmbedError), contextlib.closing(connect(path)) as conn:
        conn.execute("pragma busy_timeout = 200")  # milliseconds
        jobs.end(conn, job.id, owner, jobs.PAUSED, "Stopped by Ctrl-C")
    click.echo(f"\nStopped at once: the batch in flight is lost, everything before it is saved; {GO_ON}", err=True)
    os._exit(INTERRUPTED)


def _report(access: FileAccess, collection: Collection, job: jobs.Job, seconds: float) -> None:
    if job.status != jobs.FINISHED:
        reason = f": {job.reason}" if job.reason else ""
        hint = f" ({GO_ON})" if job.status == jobs.PAUSED else ""
        raise EmbedError(f"The job of {collection.name} is {job.status} after {progress_text(job)}{reason}{hint}")
    counts = [(job.embedded, "embedded"), (job.reused, "reused"), (job.unchanged, "unchanged"), (job.empty, "empty")]
    parts = [f"{number:,} {name}" for number, name in [*counts, (job.failed, "failed")] if number]
    removed = f"; {job.removed:,} vectors of rows that are gone were removed" if job.removed else ""
    rows = f"{job.rows_done:,} row{'' if job.rows_done == 1 else 's'}"
    click.echo(f"{collection.name}: {rows} in {duration(seconds)}: {', '.join(parts) or 'nothing to embed'}{removed}")
    if job.failed:
        _tell_failures(access, collection, job)


def _tell_failures(access: FileAccess, collection: Collection, job: jobs.Job) -> None:
    rows = access.read(
        lambda conn: conn.execute(
            "select row_key, message from _embed_errors where collection_id = ? and job_id = ? order by rowid limit ?",
            (collection.id, job.id, SHOWN_ERRORS),
        ).fetchall()
    )
    click.echo(f"{job.failed:,} row{'' if job.failed == 1 else 's'} failed:", err=True)
    for key, message in rows:
        click.echo(f"  {key} {message}", err=True)
    if job.failed > len(rows):
        click.echo(f"  and {job.failed - len(rows):,} more: select * from _embed_errors", err=True)
