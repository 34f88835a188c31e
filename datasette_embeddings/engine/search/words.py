"""Search by words: the full-text index that a table has, found as Datasette finds it."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, replace

from ..errors import EmbedError
from ..identifiers import quote
from ..tables import ROWID_NAMES, SourceTable
from . import bm25
from .among import Among
from .matches import Key

MOST_WORDS = 500  # of one query, each once: a page of text has fewer, and FTS4 takes 4,096 at most

_WORD = re.compile(r"[\w\u0300-\u036f]+")  # with the accents that some write as characters of their own
_PLAIN = re.compile(r"[\w\s,.;:!?'\u0300-\u036f-]*")  # words and what stands between them, nothing that FTS reads
_OPTION = r"""\b{}\s*=\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|`([^`]*)`|\[([^\]]*)\]|([^\s,)]+))"""


@dataclass(frozen=True)
class FullText:
    """A full-text table and, where somebody says so, the column of the source that its rowids are."""

    table: str
    column: str | None = None


@dataclass(frozen=True)
class Reading:
    """How a full-text index reads a query."""

    table: str
    version: int  # 3, 4 or 5
    column: str  # of the source, that the index's rowids are
    query: str | None  # in the index's own language; None where there is no word to search for


def find_index(
    conn: sqlite3.Connection, source: SourceTable, table: str | None = None, column: str | None = None
) -> FullText | None:
    """The full-text table of a source table: that which is named, else its own if it can be joined by its rowids."""
    if table is not None:
        return FullText(table, column)
    if source.rowid is None and column is None:
        return None
    for name, sql in _full_text_tables(conn):
        if source.name.lower() in (name.lower(), (_option(sql, "content") or "").lower()):
            return FullText(name, column)
    return None


def required_index(
    conn: sqlite3.Connection, source: SourceTable, table: str | None = None, column: str | None = None
) -> FullText:
    """What find_index() finds, or an error that says how to make one."""
    index = find_index(conn, source, table, column)
    if index is None:
        raise EmbedError(
            f"{source.name} has no full-text index, so it cannot be searched by words: "
            "sqlite-utils enable-fts makes one"
        )
    return index


def ranked(
    conn: sqlite3.Connection, source: SourceTable, index: FullText, text: str, limit: int, among: Among | None = None
) -> list[Key]:
    """Keys of the rows that the words are in, best first; what is no valid FTS query is searched word by word."""
    reading = read_query(conn, source, index, text)
    return [] if reading.query is None else _matching(conn, source, reading, limit, among)


def read_query(conn: sqlite3.Connection, source: SourceTable, index: FullText, text: str) -> Reading:
    """What is searched for: the text as it is where that is FTS's own language, else any of its words."""
    reading = _described(conn, source, index)
    words = list(dict.fromkeys(_WORD.findall(text)))[:MOST_WORDS]
    escaped = " OR ".join(f'"{word}"' for word in words) or None
    if not words or _PLAIN.fullmatch(text) or not _is_syntax(conn, reading.table, text):
        return replace(reading, query=escaped)
    return replace(reading, query=text)


def _is_syntax(conn: sqlite3.Connection, table: str, text: str) -> bool:
    try:
        conn.execute(f"select 1 from {quote(table)} as i where i.{quote(table)} match ? limit 1", (text,)).fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise
        return False
    return True


def _matching(
    conn: sqlite3.Connection, source: SourceTable, index: Reading, limit: int, among: Among | None
) -> list[Key]:
    keys = ", ".join(f"t.{quote(key.name)}" for key in source.keys)
    column = f"t.{quote(index.column)}"
    only = ""
    if among is not None:
        only = f" and {column} in ({among.joined(source, source.name, column, stored=False)})"
    rows = conn.execute(
        f"select {keys} from {quote(index.table)} as i join {quote(source.name)} as t on {column} = i.rowid"
        f" where i.{quote(index.table)} match :embed_query{only}"
        f" order by {_rank(conn, index)}, i.rowid limit :embed_limit",
        {"embed_query": index.query, "embed_limit": limit, **(among.parameters if among else {})},
    ).fetchall()
    return [tuple(row) for row in rows]


def _rank(conn: sqlite3.Connection, index: Reading) -> str:
    if index.version == 5:
        return "i.rank"
    bm25.register(conn)
    asked, has_lengths = ("pcnalx", 1) if index.version == 4 else ("pcx", 0)
    return f"{bm25.NAME}(matchinfo(i.{quote(index.table)}, '{asked}'), {has_lengths})"


def _described(conn: sqlite3.Connection, source: SourceTable, index: FullText) -> Reading:
    for name, sql in _full_text_tables(conn):
        if name.lower() == index.table.lower():
            version = re.search(r"\busing\s+[\"'`\[]?fts(\d)", sql, re.IGNORECASE)
            column = index.column or _option(sql, "content_rowid") or source.rowid or ROWID_NAMES[0]
            _check_column(source, name, column)
            return Reading(name, int(version[1]) if version else 5, column, None)
    raise EmbedError(f"{index.table} is no full-text table, so {source.name} cannot be searched by words with it")


def _check_column(source: SourceTable, index: str, column: str) -> None:
    known = [name.lower() for name in source.names]
    if column.lower() not in (known if source.rowid is None else [*known, *ROWID_NAMES]):
        raise EmbedError(f"{source.name} has no column {column!r} by which its full-text table {index} could be joined")


def _full_text_tables(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = conn.execute(
        "select name, sql from sqlite_master where type = 'table' and sql like 'create virtual table%using%fts%'"
    )
    return [(row[0], row[1]) for row in rows]


def _option(sql: str, name: str) -> str | None:
    """The value of an option of `create virtual table`, however it is quoted."""
    found = re.search(_OPTION.format(name), sql, re.IGNORECASE)
    if found is None:
        return None
    double, single, *others = found.groups()
    if double is not None:
        return str(double.replace('""', '"'))
    return str(single.replace("''", "'")) if single is not None else next(value for value in others if value)
