"""The database that a command is given: it must be there, and be SQLite; none is ever created."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ..engine.access import FileAccess
from ..engine.errors import EmbedError, NotFound


@contextlib.contextmanager
def open_file(path: str, prepare: Callable[[sqlite3.Connection], None]) -> Iterator[FileAccess]:
    """The way to a database file that exists."""
    name = click.format_filename(path)
    if Path(path).is_dir():
        raise EmbedError(f"{name} is a folder, not a database")
    if not Path(path).exists():
        raise NotFound(f"There is no file {name}")
    try:
        access = FileAccess(path, prepare)
        access.read(lambda conn: conn.execute("select 1 from sqlite_master").fetchone())
    except sqlite3.OperationalError as error:
        raise EmbedError(f"{name} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise EmbedError(f"{name} is not a SQLite database") from error
    with access:
        yield access
