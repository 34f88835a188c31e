"""What docs/command-line.md must say."""

from pathlib import Path

import click
import pytest
from datasette.cli import cli

EMBED = cli.commands["embed"]
TEXT = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
every_command = pytest.mark.parametrize("command", [EMBED, *EMBED.commands.values()], ids=lambda command: command.name)


@every_command
def test_every_command_is_documented(command):
    """Each has a section of its own, with its options."""
    name = "embed" if command is EMBED else f"embed {command.name}"
    assert f"\n## `datasette {name}" in TEXT


@every_command
def test_every_command_sees_what_a_server_sees(command):
    """Each takes --config and --plugins-dir, in their long forms only."""
    found = {option for param in command.params if isinstance(param, click.Option) for option in param.opts}
    assert {"--config", "--plugins-dir"} <= found
    assert [param.opts for param in command.params if param.name in ("config", "plugins_dir")] == [
        ["--config"],
        ["--plugins-dir"],
    ]
