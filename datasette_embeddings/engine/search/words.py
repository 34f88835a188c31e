"""Search by words: the full-text index that a table has, found as Datasette finds it."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

from ..errors import EmbedError
from ..identifiers import quote
from ..tables import SourceTable
from . import bm25
from .among import Among
from .matches import Key

MOST_WORDS = 500  # of one query, each once: a page of text has fewer, and FTS4 takes 4,096 at most

_WORD = re.compile(r"[\w\u0300-\u036f]+")  # with the accents that some write as characters of their own
_PLAIN = re.compile(r"[\w\s,.;:!?'\u0300-\u036f-]*")  # words and what stands between them, nothing that FTS reads
_OPTION = r"""\b{}\s*=\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|`([^`]*)`|\[([^\]]*)\]|([^\s,)]+))"""


@dataclass(frozen=True)
class _Index:
    """A full-text table: what it is, and the column of the source that its rowids are."""

    name: str
    version: int  # 3, 4 or 5
    column: str


def find_index(conn: sqlite3.Connection, source: SourceTable) -> str | None:
    """The full-text table of a source table, if it has one and rows by which it can be joined."""
    if source.rowid is None:
        return None
    for name, sql in _full_text_tables(conn):
        if source.name.lower() in (name.lower(), (_option(sql, "content") or "").lower()):
            return name
    return None


def required_index(conn: sqlite3.Connection, source: SourceTable) -> str:
    """The full-text table, or an error that says how to make one."""
    index = find_index(conn, source)
    if index is None:
        raise EmbedError(
            f"{source.name} has no full-text index, so it cannot be searched by words: "
            "sqlite-utils enable-fts makes one"
        )
    return index


def ranked(
    conn: sqlite3.Connection, source: SourceTable, index: str, text: str, limit: int, among: Among | None = None
) -> list[Key]:
    """Keys of the rows that the words are in, best first; what is no valid FTS query is searched word by word."""
    found = _described(conn, source, index)
    *tried, words = _queries(text)
    for query in tried:
        try:
            return _matching(conn, source, found, query, limit, among)
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise
    return _matching(conn, source, found, words, limit, among) if words else []


def _queries(text: str) -> list[str]:
    """What to search for: the text as it is where it may be FTS's own language, and any of its words."""
    words = list(dict.fromkeys(_WORD.findall(text)))[:MOST_WORDS]
    escaped = " OR ".join(f'"{word}"' for word in words)
    return [escaped] if not words or _PLAIN.fullmatch(text) else [text, escaped]


def _matching(
    conn: sqlite3.Connection, source: SourceTable, index: _Index, query: str, limit: int, among: Among | None
) -> list[Key]:
    keys = ", ".join(f"t.{quote(key.name)}" for key in source.keys)
    column = f"t.{quote(index.column)}"
    only = ""
    if among is not None:
        only = f" and {column} in ({among.joined(source, source.name, column, stored=False)})"
    rows = conn.execute(
        f"select {keys} from {quote(index.name)} as i join {quote(source.name)} as t on {column} = i.rowid"
        f" where i.{quote(index.name)} match :embed_query{only}"
        f" order by {_rank(conn, index)}, i.rowid limit :embed_limit",
        {"embed_query": query, "embed_limit": limit, **(among.parameters if among else {})},
    ).fetchall()
    return [tuple(row) for row in rows]


def _rank(conn: sqlite3.Connection, index: _Index) -> str:
    if index.version == 5:
        return "i.rank"
    bm25.register(conn)
    asked, has_lengths = ("pcnalx", 1) if index.version == 4 else ("pcx", 0)
    return f"{bm25.NAME}(matchinfo(i.{quote(index.name)}, '{asked}'), {has_lengths})"


def _described(conn: sqlite3.Connection, source: SourceTable, name: str) -> _Index:
    for known, sql in _full_text_tables(conn):
        if known.lower() == name.lower():
            version = re.search(r"\busing\s+[\"'`\[]?fts(\d)", sql, re.IGNORECASE)
            column = _option(sql, "content_rowid") or source.rowid
            return _Index(known, int(version[1]) if version else 5, str(column))
    raise EmbedError(f"{name} is no full-text table, so {source.name} cannot be searched by words with it")


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
