"""Build a database from real text that every machine has: the docstrings of Python's standard library.

    python demo/docstrings.py demo.db

One table, docstrings(id, module, name, signature, doc). The same Python always builds the same rows.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import pkgutil
import re
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

# What opens a window or a browser, prints on import, or is no library.
SKIPPED = {"antigravity", "distutils", "idlelib", "lib2to3", "this", "tkinter", "turtle", "turtledemo"}
SKIPPED |= {"nt", "posix"}  # both are documented as os
SKIPPED_PARTS = {"__main__", "_bundled", "encodings", "idle_test", "test", "tests"}


class Row(NamedTuple):
    """One docstring, and what it belongs to."""

    module: str
    name: str
    signature: str | None
    doc: str


def main(path: str) -> None:
    """Write the database, which appears under its name only once it is whole."""
    unfinished = path + "-unfinished"
    with contextlib.suppress(FileNotFoundError):
        os.remove(unfinished)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # to look at what is deprecated is enough for a warning
        rows = list(unique(row for module in modules() for row in rows_of(module)))
    with contextlib.closing(sqlite3.connect(unfinished)) as conn, conn:
        conn.execute(
            "create table docstrings (id integer primary key, module text, name text, signature text, doc text)"
        )
        conn.executemany("insert into docstrings (module, name, signature, doc) values (?, ?, ?, ?)", rows)
    os.replace(unfinished, path)
    print(f"{path}: {len(rows):,} docstrings of Python {sys.version.split()[0]}")


def modules() -> Iterator[ModuleType]:
    """Every public module of the standard library that can be imported here, in the order of their names."""
    for name in sorted(sys.stdlib_module_names - SKIPPED):
        if not name.startswith("_"):
            yield from with_submodules(name)


def with_submodules(name: str) -> Iterator[ModuleType]:
    """The module, and below a package its public modules."""
    module = import_quietly(name)
    if module is None:
        return
    yield module
    for found in sorted(pkgutil.iter_modules(getattr(module, "__path__", [])), key=lambda found: found.name):
        if not found.name.startswith("_") and found.name not in SKIPPED_PARTS and name not in SKIPPED_PARTS:
            yield from with_submodules(f"{name}.{found.name}")


def import_quietly(name: str) -> ModuleType | None:
    """The module, or None where this machine lacks it; what it prints is lost."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit):
            return None


def rows_of(module: ModuleType) -> Iterator[Row]:
    """The docstrings of a module, its functions and its classes with their methods."""
    if doc := clean(module):
        yield Row(module.__name__, module.__name__, None, doc)
    for name, member in public(vars(module)):
        if not (inspect.isclass(member) or inspect.isroutine(member)):
            continue
        if not is_home(module, name, member):
            continue
        if doc := clean(member):
            yield Row(module.__name__, name, signature(member), doc)
        if inspect.isclass(member):
            yield from methods(module.__name__, name, member)


def methods(module: str, name: str, owner: type) -> Iterator[Row]:
    """The docstrings that stand in this class itself, not in one that it extends."""
    for method, member in public(vars(owner)):
        if doc := clean(member):
            yield Row(module, f"{name}.{method}", signature(getattr(owner, method, None)), doc)


def is_home(module: ModuleType, name: str, member: object) -> bool:
    """True where this module defines the member, or is where the public finds what a private module defines."""
    defined = getattr(member, "__module__", None) or module.__name__
    if defined in (module.__name__, "_" + module.__name__):
        return True
    top = defined.partition(".")[0]
    return name in getattr(module, "__all__", ()) and (top.startswith("_") or top in SKIPPED)


def public(members: dict[str, object]) -> list[tuple[str, object]]:
    """The members without an underscore, by name."""
    return sorted((item for item in list(members.items()) if not item[0].startswith("_")), key=lambda item: item[0])


def clean(member: object) -> str | None:
    """Its docstring without indentation, or None; an instance's is its class's, and says nothing of it."""
    doc = getattr(member, "__doc__", None)
    if not isinstance(doc, str) or not doc.strip():
        return None
    is_own = inspect.ismodule(member) or inspect.isclass(member) or doc != type(member).__doc__
    return inspect.cleandoc(doc) if is_own and not doc.startswith("Alias for field number") else None


def signature(member: object) -> str | None:
    """Its arguments as text; a default that is no plain value is left as three dots."""
    try:
        found = inspect.signature(member)  # type: ignore[arg-type]
        parameters = [parameter.replace(default=plain(parameter.default)) for parameter in found.parameters.values()]
        return re.sub(r" at 0x[0-9a-f]+", "", str(found.replace(parameters=parameters)))
    except Exception:  # what a module written in C says of its arguments need not be Python
        return None


def plain(default: object) -> object:
    """The default itself, or dots for what tells of this machine: environment, paths, memory addresses."""
    if default is inspect.Parameter.empty or default is None or isinstance(default, bool | int | float | bytes):
        return default
    return default if isinstance(default, str) and not os.path.isabs(default) else Dots()


class Dots:
    """Stands in a signature for a default that is not shown."""

    def __repr__(self) -> str:
        return "..."


def unique(rows: Iterator[Row]) -> Iterator[Row]:
    """Each docstring of one name once, in the first module that has it."""
    seen = set()
    for row in rows:
        if (row.name, row.doc) not in seen:
            seen.add((row.name, row.doc))
            yield row


if __name__ == "__main__":
    main(*sys.argv[1:])
