"""`datasette embed new-plugin`: the skeleton of a model plugin, whose tests pass."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from string import Template

import click

from ..engine.errors import EmbedError, UnknownModel
from ..registry import PREFIX, registry_for
from .instance import instance_options, open_instance

SKELETON = Path(__file__).parent / "skeleton"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command("new-plugin")
@click.argument("name")
@instance_options
def new_plugin(name, config, plugins_dir):
    """Begin a plugin for a model of your own: a folder datasette-embed-NAME, with tests that pass."""
    name = name.removeprefix(PREFIX)
    names = names_of(name)
    with open_instance(config, plugins_dir) as datasette:
        _refuse_taken(registry_for(datasette), names)
    folder = Path(names["distribution"])
    for path in write_skeleton(folder, names):
        click.echo(f"Wrote {path}")
    click.echo(f'Next: cd {folder} && pip install -e ".[test]" && python -m pytest')


def names_of(name: str) -> dict[str, str]:
    """What the skeleton's files call a model of this name, its plugin and its class."""
    if not NAME.fullmatch(name):
        raise EmbedError(
            f"{name!r} is no name for a plugin: write small letters, digits and single hyphens between them, "
            "a letter first, such as word-lengths"
        )
    identifier = name.replace("-", "_")
    return {
        "name": name,
        "distribution": PREFIX + name,
        "module": f"datasette_embed_{identifier}",
        "entry_point": f"embed_{identifier}",
        "class_name": "".join(part.capitalize() for part in name.split("-")) + "Model",
    }


def write_skeleton(folder: Path, names: dict[str, str]) -> list[Path]:
    """Make the folder and its files; EmbedError where it is there already, or cannot be made."""
    files = {
        "pyproject.toml": "pyproject.toml.txt",
        "README.md": "README.md.txt",
        f"{names['module']}.py": "plugin.py.txt",
        f"tests/test_{names['module'].removeprefix('datasette_')}.py": "test_plugin.py.txt",
    }
    try:
        folder.mkdir()
        (folder / "tests").mkdir()
        for path, template in files.items():
            text = Template((SKELETON / template).read_text(encoding="utf-8")).substitute(names)
            (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise EmbedError(f"{folder} is there already: choose another name, or move it away") from None
    except OSError as error:
        raise EmbedError(f"{folder} cannot be written: {error.strerror}") from error
    return [folder / path for path in files]


def _refuse_taken(registry, names: dict[str, str]) -> None:
    if importlib.util.find_spec(names["module"]):
        raise EmbedError(f"A plugin called {names['distribution']} is installed already: choose another name")
    try:
        taken = registry.find(names["name"])
    except UnknownModel:
        return
    raise EmbedError(f"The plugin {taken.plugin} has a model called {names['name']!r} already: choose another name")
