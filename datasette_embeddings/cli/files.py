"""The database that a command is given: it must be there, and be SQLite; none is ever created."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from datasette.plugins import pm

from ..engine.access import FileAccess, connect
from ..engine.errors import EmbedError, NotFound
from ..engine.schema import migrate
from .instance import open_instance


@contextlib.contextmanager
def open_database(path: str, config: str | None, plugins_dir: str | None) -> Iterator[tuple[Any, FileAccess]]:
    """A Datasette over the file, and connections of our own to it, which no setting of a server limits."""
    check_file(path)

    def prepare(conn: sqlite3.Connection) -> None:
        # As Datasette's own: a key column may need a plugin's collation, a generated column its function.
        pm.hook.prepare_connection(conn=conn, database=Path(path).stem, datasette=datasette)

    with open_instance(config, plugins_dir, path) as datasette, FileAccess(path, prepare) as access:
        with contextlib.suppress(sqlite3.OperationalError):  # read-only or locked: whoever reads it says what is wrong
            access.write(migrate)
        yield datasette, access


def check_file(path: str) -> None:
    """EmbedError unless there is a SQLite database that can be read."""
    name = click.format_filename(path)
    if Path(path).is_dir():
        raise EmbedError(f"{name} is a folder, not a database")
    if not Path(path).exists():
        raise NotFound(f"There is no file {name}")
    try:
        with contextlib.closing(connect(path)) as conn:
            conn.execute("select 1 from sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if _is_wal(path) and ("readonly" in str(error) or "unable to open" in str(error)):
            raise EmbedError(
                f"{name} is in WAL mode, and its folder cannot be written, so SQLite cannot even read it: "
                "`pragma journal_mode = delete` on a copy helps"
            ) from error
        raise EmbedError(f"{name} cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise EmbedError(f"{name} is not a SQLite database") from error


def _is_wal(path: str) -> bool:
    """What the file's header says: version 2 to write and to read it."""
    with open(path, "rb") as file:
        return file.read(20)[18:] == b"\x02\x02"
