"""The commands under `datasette embed`."""

from __future__ import annotations

from . import change, content, models, rebuild, remove, search, status, table


def register(cli):
    """Add the group to Datasette's own commands."""
    searching = (search.search, search.similar)
    for command in (
        models.models,
        table.table,
        change.change,
        *searching,
        status.status,
        rebuild.rebuild,
        remove.remove,
    ):
        content.embed.add_command(command)
    cli.add_command(content.embed)
