"""The commands under `datasette embed`."""

from __future__ import annotations

from . import content, models, remove, status, table


def register(cli):
    """Add the group to Datasette's own commands."""
    for command in (models.models, table.table, status.status, remove.remove):
        content.embed.add_command(command)
    cli.add_command(content.embed)
