"""Finding the matches of a query in a file and reading their rows. It comes with numpy: import it on first use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import compat
from ..engine.access import FileAccess
from ..engine.collections import Collection, get_collection
from ..engine.contents import find_column
from ..engine.errors import EmbedError
from ..engine.identifiers import quote
from ..engine.models import embed_contents
from ..engine.search import Among, Match, Searcher, one_state, passages, search_both, search_words
from ..engine.search.matches import check_count
from ..engine.search.words import FullText, required_index
from ..engine.tables import SourceTable, source_table
from ..engine.vectors import encode
from ..searching import check_weights, model_of, searcher
from .asked import BOTH, MEANING, WORDS, Asked
from .keys import find_row


@dataclass(frozen=True)
class Ground:
    """What is searched, as far as it is settled before the model is asked."""

    collection: Collection
    source: SourceTable
    columns: tuple[str, ...]  # that are shown
    chosen: bool  # whether somebody named them
    among: Among | None
    index: FullText | None  # for words

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the key's columns."""
        return tuple(key.name for key in self.source.keys)

    @property
    def embedded(self) -> tuple[str, ...]:
        """The columns that contents are made of."""
        return self.collection.recipe(self.source).reads


@dataclass(frozen=True)
class Found:
    """The matches, best first, the values of the rows that they are, and the passages that matched."""

    ground: Ground
    matches: tuple[Match, ...]
    rows: tuple[tuple[Any, ...], ...]
    passages: tuple[str | None, ...]  # None where the row is not in chunks


def find(datasette, path: str, access: FileAccess, asked: Asked) -> Found:
    """The matches of what was asked."""
    check_count(asked.limit)
    database = next(name for name, entry in datasette.databases.items() if entry.path == path)
    ground = access.read(lambda conn: _ground(conn, datasette, database, asked))
    # Not inside one_state(): while a model loads, another program may want to write.
    vector = None if asked.row or asked.mode == WORDS else _vector(datasette, ground.collection, asked)

    def look(conn: sqlite3.Connection) -> Found:
        with one_state(conn):
            searching = searcher(datasette, database, conn, asked.collection)
            matches = _matches(searching, ground, asked, vector)
            pairs = list(_with_rows(conn, ground, matches))
            found = tuple(match for match, _ in pairs)
            texts = passages(conn, ground.collection, ground.source, found)
            return Found(ground, found, tuple(row for _, row in pairs), tuple(texts))

    try:
        return access.read(look)
    except (sqlite3.Error, sqlite3.Warning) as error:
        if ground.among is None or "locked" in str(error):
            raise
        raise _of_where(error) from error


def _ground(conn: sqlite3.Connection, datasette, database: str, asked: Asked) -> Ground:
    collection = get_collection(conn, asked.collection)
    source = source_table(conn, collection.table)
    index = None
    if asked.mode != MEANING:
        index = required_index(conn, source, **compat.full_text(datasette, database, source.name))
    columns, among = _columns(source, asked.columns), _among(conn, source, asked.where)
    return Ground(collection, source, columns, bool(asked.columns), among, index)


def _columns(source: SourceTable, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The columns wanted, each by an option or several between commas; all where none is."""
    rowid = [key.name for key in source.keys if key.name not in source.names]
    known = [*rowid, *source.names]
    lower = {name.lower() for name in known}
    names = [part for name in wanted for part in ([name] if name.lower() in lower else name.split(","))]
    return tuple(dict.fromkeys(find_column(source.name, known, name.strip()) for name in names)) or tuple(known)


def _among(conn: sqlite3.Connection, source: SourceTable, where: str | None) -> Among | None:
    """The rows that meet the condition."""
    if where is None:
        return None
    keys = ", ".join(quote(key.name) for key in source.keys)
    among = Among(f"select {keys} from {quote(source.name)} where ({where}\n)")  # the end of the line ends a comment
    try:
        conn.execute(f"explain {among.sql}").fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _of_where(error) from error
    return among


def _of_where(error: Exception) -> EmbedError:
    return EmbedError(f"SQLite cannot apply --where: {error}")


def _vector(datasette, collection: Collection, asked: Asked) -> bytes:
    model = model_of(datasette, collection).model
    vector = encode(embed_contents(model, [asked.content(model)], query=True)[0])
    check_weights(model, collection)
    return vector


def _matches(searching: Searcher, ground: Ground, asked: Asked, vector: bytes | None) -> list[Match]:
    if vector is None and asked.row:
        key = find_row(searching.conn, ground.source, asked.row)
        matches = searching.similar(key, asked.limit, among=ground.among)
    elif vector is None:
        return search_words(searching, asked.text, asked.limit, among=ground.among, index=ground.index)
    elif asked.mode == BOTH:
        matches = search_both(searching, asked.text, vector, asked.limit, among=ground.among, index=ground.index)
    else:
        matches = searching.nearest(vector, asked.limit, among=ground.among)
    if asked.min_score is None:
        return matches
    return [match for match in matches if match.score is not None and match.score >= asked.min_score]


def _with_rows(
    conn: sqlite3.Connection, ground: Ground, matches: list[Match]
) -> Iterator[tuple[Match, tuple[Any, ...]]]:
    """Each match with its row; a row whose key no Python value stands for cannot be read again, and is left out."""
    where = " and ".join(f"{quote(name)} is ?" for name in ground.keys)
    sql = f"select {', '.join(map(quote, ground.columns))} from {quote(ground.source.name)} where {where}"
    for match in matches:
        row = conn.execute(sql, match.key).fetchone()
        if row is not None:
            yield match, row
