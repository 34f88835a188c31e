"""Search by words: the full-text index that a table has, found as sqlite-utils and Datasette find it."""

from __future__ import annotations

import re
import sqlite3

import sqlite_utils

from ..errors import EmbedError
from ..identifiers import quote
from ..tables import SourceTable
from .among import Among
from .matches import Key

_WORD = re.compile(r"\w+")
_PLAIN = re.compile(r"[\w\s,.;:!?'-]*")  # words and what stands between them, nothing that FTS gives a meaning to


def find_index(conn: sqlite3.Connection, source: SourceTable) -> str | None:
    """The full-text table of a source table, if it has one and rows by which it can be joined."""
    if source.rowid is None:
        return None
    # Neither its plugins nor its pragma may touch a connection that is not ours.
    found = sqlite_utils.Database(conn, recursive_triggers=False, execute_plugins=False).table(source.name).detect_fts()
    return str(found) if found else None


def ranked(
    conn: sqlite3.Connection, source: SourceTable, index: str, text: str, limit: int, among: Among | None = None
) -> list[Key]:
    """Keys of the rows that the words are in, best first; what is no valid FTS query is searched word by word."""
    for query in _queries(text):
        try:
            return _matching(conn, source, index, query, limit, among)
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise
    return []


def _queries(text: str) -> list[str]:
    words = " OR ".join(f'"{word}"' for word in _WORD.findall(text))
    if not words:
        return []
    return [words] if _PLAIN.fullmatch(text) else [text, words]


def _matching(
    conn: sqlite3.Connection, source: SourceTable, index: str, query: str, limit: int, among: Among | None
) -> list[Key]:
    keys = ", ".join(f"t.{quote(key.name)}" for key in source.keys)
    rank = "i.rank" if _is_fts5(conn, index) else _bm25(conn, index)
    only = ""
    if among is not None:
        only = f" and {_rowid(source)} in ({among.joined(source, source.name, _rowid(source), stored=False)})"
    rows = conn.execute(
        f"select {keys} from {quote(index)} as i join {quote(source.name)} as t on {_rowid(source)} = i.rowid"
        f" where {quote(index)} match :embed_query{only} order by {rank}, i.rowid limit :embed_limit",
        {"embed_query": query, "embed_limit": limit, **(among.parameters if among else {})},
    ).fetchall()
    return [tuple(row) for row in rows]


def _rowid(source: SourceTable) -> str:
    return f"t.{quote(str(source.rowid))}"


def _is_fts5(conn: sqlite3.Connection, index: str) -> bool:
    sql = conn.execute("select sql from sqlite_master where name = ?", (index,)).fetchone()[0]
    return re.search(r"\busing\s+fts5\b", sql, re.IGNORECASE) is not None


def _bm25(conn: sqlite3.Connection, index: str) -> str:
    """FTS4 has no ranking of its own: sqlite-utils brings one."""
    sqlite_utils.Database(conn, recursive_triggers=False, execute_plugins=False).register_fts4_bm25()
    return f"rank_bm25(matchinfo({quote(index)}, 'pcnalx'))"


def required_index(conn: sqlite3.Connection, source: SourceTable) -> str:
    """The full-text table, or an error that says how to make one."""
    index = find_index(conn, source)
    if index is None:
        raise EmbedError(
            f"{source.name} has no full-text index, so it cannot be searched by words: "
            f"sqlite-utils enable-fts makes one"
        )
    return index
