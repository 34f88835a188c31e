"""`datasette embed sync`: what a server's worker does for a file, in one round for cron, or in round after round."""

from __future__ import annotations

import click

from ..engine import jobs
from ..registry import registry_for
from .files import open_database
from .instance import instance_options
from .interrupts import Interrupts, QuitAtOnce
from .rounds import Rounds
from .running import INTERRUPTED, quit_at_once


@click.command()
@click.argument("database")
@click.argument("collection", required=False)
@click.option("--watch", is_flag=True, help="Go on with whatever changes, until Ctrl-C")
@click.option("--retry-failed", is_flag=True, help="Try all rows again that failed, not only those whose time has come")
@instance_options
@click.pass_context
def sync(ctx, database, collection, watch, retry_failed, config, plugins_dir):
    """Bring the collections of DATABASE up to date, or one COLLECTION.

    Of a collection whose table is followed, the rows that changed are embedded; of any other, every row is compared
    with its vector. What somebody paused or cancelled is left alone.

    \b
        datasette embed sync data.db
    """
    with open_database(database, config, plugins_dir) as (datasette, access), Interrupts() as interrupts:
        rounds = Rounds(access, registry_for(datasette), collection, interrupts, retry_failed=retry_failed)
        try:
            rounds.once()
            if watch:
                rounds.on_and_on()
        except QuitAtOnce:
            quit_at_once(database, rounds.owner, lambda conn, job_id: jobs.release(conn, job_id, rounds.owner))
    if interrupts.asked and not watch:
        ctx.exit(INTERRUPTED)
    if rounds.has_failed and not watch:
        ctx.exit(1)
