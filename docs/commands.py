"""The tables of options in docs/command-line.md, from the commands themselves. Run by `make docs`."""

from __future__ import annotations

import click
from datasette.cli import cli


def options(*names: str) -> str:
    """The options of `datasette NAMES` as a Markdown table."""
    command = cli
    for name in names:
        command = command.commands[name]
    rows = [_row(param) for param in command.params if isinstance(param, click.Option)]
    return "\n".join(["| option | what it does |", "|---|---|", *rows])


def _row(option: click.Option) -> str:
    spelled = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    choices = getattr(option.type, "choices", None)
    text = option.help or ""
    if option.show_default and not choices:
        text += f"; {option.default} unless given"
    if choices:
        listed = " or ".join(f"`{choice}`" for choice in choices)
        text = f"{listed}; `{option.default}` unless given" if option.show_default else f"{listed}. {text}"
    return f"| {spelled} | {text.replace('|', chr(92) + '|')} |"
