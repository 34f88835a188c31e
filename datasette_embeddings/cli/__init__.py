"""The commands under `datasette embed`."""

from __future__ import annotations

from . import change, content, export_llm, import_llm, models, new_plugin, rebuild, remove, search, status, sync, table

COMMANDS = (
    models.models,
    table.table,
    change.change,
    search.search,
    search.similar,
    status.status,
    sync.sync,
    export_llm.export_llm,
    import_llm.import_llm,
    rebuild.rebuild,
    remove.remove,
    new_plugin.new_plugin,
)


def register(cli):
    """Add the group to Datasette's own commands."""
    for command in COMMANDS:
        content.embed.add_command(command)
    cli.add_command(content.embed)
