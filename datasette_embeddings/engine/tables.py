"""What SQLite says of a source table: its columns, its key, and how its rows are walked."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from .errors import CannotEmbed, NotFound
from .identifiers import quote

# Columns of the vectors table, and members of a match: a key column of such a name is stored as key_<name>.
RESERVED = {
    *("chunk", "chunk_start", "chunk_end", "content_hash", "row_hash", "vector", "vector_id"),
    *("score", "key", "ranks", "chunks"),
}
ROWID_NAMES = ("rowid", "_rowid_", "oid")
SAMPLE = 100  # values looked at to tell whether a column holds binary


@dataclass(frozen=True)
class Column:
    """A column as declared; `hidden` ones belong to virtual tables."""

    name: str
    type: str
    primary: int  # its place in the primary key, from 1; 0 outside it
    generated: bool = False


@dataclass(frozen=True)
class KeyColumn:
    """One part of a row key: where it is read, and under which name, type and collation it is stored."""

    name: str  # the expression's name in the source: a column, or the rowid
    stored: str
    type: str
    collation: str


@dataclass(frozen=True)
class SourceTable:
    """A table that can be embedded."""

    name: str
    columns: tuple[Column, ...]
    keys: tuple[KeyColumn, ...]
    rowid: str | None  # the name under which the rowid is read; None for WITHOUT ROWID
    stable: bool  # False where VACUUM may renumber what the walk goes by

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def has_key(self) -> bool:
        """False where the rowid must do, although VACUUM may renumber it."""
        return any(column.primary for column in self.columns)

    @property
    def walk(self) -> tuple[str, ...]:
        """What the rows are walked by: the rowid, else the key's columns."""
        return (self.rowid,) if self.rowid else tuple(key.name for key in self.keys)

    def joined(self, row: str, vector: str) -> str:
        """SQL that is true where a row of the table (alias `row`) has this vector (alias `vector`)."""
        return " and ".join(
            f"{row}.{quote(key.name)} = {vector}.{quote(key.stored)} collate {quote(key.collation)}"
            for key in self.keys
        )

    def matched(self, row: str, match: str) -> str:
        """SQL that is true where a row of the table (alias `row`) is that of a match in JSON (alias `match`)."""
        return " and ".join(
            f"{row}.{quote(key.name)} = json_extract({match}.value, '$.key[{place}]')"
            for place, key in enumerate(self.keys)
        )


def source_table(conn: sqlite3.Connection, name: str) -> SourceTable:
    """Read the table's shape; NotFound, or CannotEmbed with the reason."""
    spelled = _table_name(conn, name)
    columns = _columns(conn, spelled)
    primary = sorted((column for column in columns if column.primary), key=lambda column: column.primary)
    index = _primary_index(conn, spelled)
    rowid = _rowid_name(conn, spelled, columns)
    if rowid is None and len(primary) == 1 and index is None:
        rowid = primary[0].name  # an INTEGER PRIMARY KEY reads the rowid under any circumstance
    if rowid is None and _has_rowid(conn, spelled):
        raise CannotEmbed(
            f"{spelled} cannot be embedded: its columns named rowid, _rowid_ and oid hide the rowid of its rows"
        )
    is_alias = len(primary) == 1 and index is None
    keys = _keys(conn, spelled, primary, index) if primary else (KeyColumn(str(rowid), "rowid", "integer", "BINARY"),)
    return SourceTable(spelled, columns, keys, rowid, stable=is_alias or rowid is None)


def binary_columns(conn: sqlite3.Connection, table: SourceTable, names: tuple[str, ...]) -> list[str]:
    """Those of the columns that hold binary: their first values tell, or their declaration where there are none."""
    declared = {column.name: column.type for column in table.columns}
    return [name for name in names if _is_binary(conn, table.name, name, declared[name])]


def _is_binary(conn: sqlite3.Connection, table: str, column: str, declared: str) -> bool:
    rows = conn.execute(
        f"select typeof({quote(column)}) from {quote(table)} where {quote(column)} is not null limit {SAMPLE}"
    ).fetchall()
    return any(row[0] == "blob" for row in rows) if rows else "BLOB" in declared.upper()


def _table_name(conn: sqlite3.Connection, name: str) -> str:
    found = conn.execute(
        "select name, type from sqlite_master where name = ? collate nocase and type in ('table', 'view')", (name,)
    ).fetchone()
    if found is None:
        raise NotFound(f"There is no table {name!r} in this database")
    if found[1] == "view":
        raise CannotEmbed(
            f"{found[0]} is a view: its rows have no key of their own by which a vector could be kept with its row, "
            "so views cannot be embedded yet. Embed the table that it reads"
        )
    if str(found[0]).lower().startswith("_embed_"):
        raise CannotEmbed(f"{found[0]} belongs to datasette-embed itself")
    return str(found[0])


def _columns(conn: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    # table_xinfo: generated columns (hidden 2 and 3) are columns too; hidden ones of virtual tables (1) are not.
    rows = conn.execute("select name, type, pk, hidden from pragma_table_xinfo(?)", (table,)).fetchall()
    return tuple(Column(row[0], row[1] or "", row[2], row[3] > 1) for row in rows if row[3] != 1)


def _primary_index(conn: sqlite3.Connection, table: str) -> str | None:
    """The index of the primary key; an INTEGER PRIMARY KEY, which is the rowid itself, has none."""
    row = conn.execute("select name from pragma_index_list(?) where origin = 'pk'", (table,)).fetchone()
    return row[0] if row else None


def _keys(conn: sqlite3.Connection, table: str, primary: list[Column], index: str | None) -> tuple[KeyColumn, ...]:
    collations = dict(
        conn.execute("select name, coll from pragma_index_xinfo(?) where key", (index,)).fetchall() if index else []
    )
    strict = _is_strict(conn, table)
    keys: list[KeyColumn] = []
    for column in primary:
        # ANY means "as it is" in a STRICT table, but NUMERIC affinity in ours: '007' would become 7.
        declared = "" if strict and column.type.upper() == "ANY" else column.type
        stored = _stored_name(column.name, [column.name for column in primary], [key.stored for key in keys])
        keys.append(KeyColumn(column.name, stored, declared, collations.get(column.name, "BINARY")))
    return tuple(keys)


def _stored_name(name: str, primary: list[str], taken: list[str]) -> str:
    stored = name
    others = {other.lower() for other in (*primary, *taken) if other != name}
    while stored.lower() in RESERVED or stored.lower() in others:
        stored = f"key_{stored}"
    return stored


def _is_strict(conn: sqlite3.Connection, table: str) -> bool:
    try:
        row = conn.execute("select strict from pragma_table_list(?) where schema = 'main'", (table,)).fetchone()
    except sqlite3.OperationalError:  # SQLite before 3.37 knows neither the pragma nor STRICT
        return False
    return bool(row and row[0])


def _rowid_name(conn: sqlite3.Connection, table: str, columns: tuple[Column, ...]) -> str | None:
    taken = {column.name.lower() for column in columns}
    free = [name for name in ROWID_NAMES if name not in taken]
    return free[0] if free and _has_rowid(conn, table) else None


def _has_rowid(conn: sqlite3.Connection, table: str) -> bool:
    """False for WITHOUT ROWID, whose primary key's index ends in columns and not in the rowid (cid -1)."""
    index = _primary_index(conn, table)
    if index is None:
        return True
    return bool(conn.execute("select count(*) from pragma_index_xinfo(?) where cid = -1", (index,)).fetchone()[0])
