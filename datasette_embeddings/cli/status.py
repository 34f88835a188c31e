"""`datasette embed status`: the collections of a file, and how far each one is."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import asdict
from typing import NamedTuple

import click

from ..engine.chunking import AUTOMATIC
from ..engine.collections import Collection, list_collections
from ..engine.errors import EmbedError, ReadOnlyDatabase
from ..engine.follow.attending import mend_all
from ..engine.follow.standing import Standing, standing
from ..engine.jobs import Job, latest_job
from ..engine.status import RowCounts, count
from ..wording import counted, following_text, long_texts, progress_text
from .files import open_database
from .instance import instance_options
from .progress import one_line

_COUNTS = ("total", "embedded", "pending", "failed", "empty")


class Found(NamedTuple):
    """One collection, as it stands."""

    collection: Collection
    job: Job | None
    rows: RowCounts | str  # or why they cannot be counted
    standing: Standing | None


@click.command()
@click.argument("database")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array")
@instance_options
def status(database, as_json, config, plugins_dir):
    """Show the collections of DATABASE: rows, jobs, reasons."""
    with open_database(database, config, plugins_dir) as (_, access):
        with contextlib.suppress(sqlite3.OperationalError, ReadOnlyDatabase):  # what cannot be mended is told
            access.write(mend_all)
        found = access.read(_look)
    if as_json:
        click.echo(json.dumps([_as_json(*each) for each in found], indent=2, ensure_ascii=False))
    elif not found:
        click.echo(f"{click.format_filename(database)} has no collections")
    else:
        click.echo("\n".join(_lines(*each) for each in found))


def _look(conn: sqlite3.Connection) -> list[Found]:
    found = []
    for collection in list_collections(conn):
        job = latest_job(conn, collection.id)
        try:
            rows: RowCounts | str = count(conn, collection, job)
        except EmbedError as error:  # its table was dropped, say: the others are shown all the same
            rows = str(error)
        found.append(Found(collection, job, rows, standing(conn, collection)))
    return found


def _as_json(collection: Collection, job: Job | None, rows: RowCounts | str, standing: Standing | None) -> dict:
    definition = collection.definition
    return {
        "collection": {
            "name": collection.name,
            "table": collection.table,
            "columns": list(definition.columns),
            "template": definition.template,
            "chunking": definition.chunking.as_json() if definition.chunking else None,
            "model": collection.model,
            "dimensions": collection.dimensions,
            "created": collection.created,
            "follow": collection.follow,
        },
        "waiting": None if standing is None else asdict(standing.waiting),
        "remark": None if standing is None else standing.remark,
        "rows": None if isinstance(rows, str) else {**{name: getattr(rows, name) for name in _COUNTS}},
        "exact": None if isinstance(rows, str) else rows.exact,
        "problem": rows if isinstance(rows, str) else None,
        "job": {**asdict(job), "seconds_left": job.seconds_left} if job else None,
    }


def _lines(collection: Collection, job: Job | None, rows: RowCounts | str, standing: Standing | None) -> str:
    definition = collection.definition
    what = f"template {definition.template!r}" if definition.template else ", ".join(definition.columns)
    cut = long_texts(definition, None)
    lines = [
        collection.name,
        f"  {collection.table}: {what}, by {collection.model}",
        *([f"  long texts: {cut}"] if cut and definition.chunking != AUTOMATIC else []),
        f"  {rows if isinstance(rows, str) else _counted(rows)}",
        f"  {_job_line(job)}",
        *([] if standing is None else [f"  {following_text(standing)}"]),
    ]
    return "\n".join(map(one_line, lines))


def _counted(rows: RowCounts) -> str:
    parts = [f"{rows.embedded:,} of {counted(rows.total, 'row')} embedded"]
    for name in ("pending", "failed", "empty"):
        if number := getattr(rows, name):
            parts.append(f"{number:,} {name}")
    return ", ".join(parts)


def _job_line(job: Job | None) -> str:
    """The job in one line: its status, how far it is, and why it stopped."""
    if job is None:
        return "no job yet"
    line = f"job {job.id} {job.status}"
    if job.ended is None and job.rows_total is not None:
        line += f": {progress_text(job)}"
    line = f"{line}: {job.reason}" if job.reason else line
    return f"{line}. {job.cause}" if job.cause else line
