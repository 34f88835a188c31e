"""Arrows point down: who may import whom, and how long a file may be. ruff checks what is imported lazily."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "datasette_embeddings"
LINES = 300  # a file that comes near becomes a folder with the same name and the same public names

DOORS = {"sql_functions", "views", "cli", "worker"}  # a door may be a module or a folder of modules
ENGINE, MIDDLE, DOOR, HOOKS = range(4)  # from the bottom up; what is neither engine nor door lies between them


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
every_module = pytest.mark.parametrize("module", MODULES)


def imports(module):
    """The modules that this one imports, as absolute names; `from . import x` gives the package's x."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from imported_from(node, package)


def imported_from(node, package):
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    for alias in node.names:
        full = f"{base}.{alias.name}"
        yield full if full in MODULES else base


def layer(module):
    if module == PACKAGE:
        return HOOKS
    part = module.split(".")[1]
    return ENGINE if part == "engine" else DOOR if part in DOORS else MIDDLE


@every_module
def test_arrows_point_down(module):
    """A module imports its own layer and those below."""
    ours = [name for name in imports(module) if name.split(".")[0] == PACKAGE]
    assert [name for name in ours if layer(name) > layer(module)] == []


@every_module
def test_nobody_imports_the_package_root(module):
    """The root collects the public names for others; inside, each is imported from where it is defined."""
    assert PACKAGE not in imports(module)


@every_module
def test_the_engine_does_not_know_datasette(module):
    """The engine imports nothing of Datasette, nor what runs web pages."""
    if layer(module) == ENGINE:
        known = {name.split(".")[0] for name in imports(module)}
        assert known.isdisjoint({"asyncio", "click", "datasette", "httpx", "jinja2", "markupsafe"})


def test_there_is_no_import_cycle():
    """No module needs, however indirectly, a module that needs it."""
    graph = {module: {name for name in imports(module) if name in MODULES and name != module} for module in MODULES}
    TopologicalSorter(graph).prepare()


@every_module
def test_a_file_is_short(module):
    """A file can be read in one sitting."""
    assert len(MODULES[module].read_text().splitlines()) <= LINES


@pytest.mark.parametrize("name", ["base", "common", "core", "helpers", "misc", "utils"])
def test_no_module_is_named_after_nothing(name):
    """A module's name says what is in it."""
    assert [module for module in MODULES if name in module.split(".")] == []
