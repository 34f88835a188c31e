"""Running one pass in a terminal: its progress, Ctrl-C, and what is said at its end."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from typing import NoReturn

import click

from ..engine import jobs
from ..engine.access import FileAccess, connect
from ..engine.errors import Conflict, EmbedError
from ..registry import Registry
from ..wording import progress_text
from .interrupts import Interrupts, QuitAtOnce
from .passes import Pass, Take
from .progress import Progress
from .report import GO_ON, say_failures, summary

INTERRUPTED = 130  # exit status of a program that Ctrl-C ended


def run_pass(ctx: click.Context, access: FileAccess, registry: Registry, path: str, take: Take) -> None:
    """Run the pass that is taken to its end, and say what it came to; EmbedError where it did not finish."""
    began = time.monotonic()
    ended = _bring_up_to_date(access, registry, path, take)
    if ended is None:
        ctx.exit(INTERRUPTED)
    price = registry.price(ended.collection)
    click.echo(summary(ended.collection, ended.job, time.monotonic() - began, price))
    say_failures(access, ended.job)


def _bring_up_to_date(access: FileAccess, registry: Registry, path: str, take: Take) -> Pass | None:
    """The pass that ended, or None where Ctrl-C came first."""
    progress, owner = Progress(), jobs.new_owner()
    try:
        with Interrupts() as interrupts, contextlib.closing(progress):
            current = Pass(access, owner, registry.model, take, interrupts, progress)
            current.to_the_end()
            if not (interrupts.asked and current.job.is_active):
                return current
    except QuitAtOnce:
        quit_at_once(path, owner, lambda conn, job: jobs.end(conn, job, owner, jobs.PAUSED, "Stopped by Ctrl-C"))
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


def quit_at_once(path: str, owner: str, leave: Callable[[sqlite3.Connection, int], None]) -> NoReturn:
    """The second Ctrl-C: leave our jobs to others if that takes no time, and end without waiting for the model."""
    with contextlib.suppress(sqlite3.Error, EmbedError), contextlib.closing(connect(path)) as conn:
        conn.execute("pragma busy_timeout = 200")  # milliseconds
        for (job_id,) in conn.execute("select id from _embed_jobs where owner = ?", (owner,)).fetchall():
            leave(conn, job_id)
    click.echo(f"Stopped at once: the batch in flight is lost, all before it is saved; {GO_ON}", err=True)
    os._exit(INTERRUPTED)
