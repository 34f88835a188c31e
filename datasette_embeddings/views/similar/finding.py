"""Finding the matches of a query and reading their rows, in one state of the file."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from datasette.utils import sqlite_timelimit, table_columns, urlsafe_components

from ... import compat
from ...engine.collections import Collection, list_collections
from ...engine.errors import EmbedError, NotFound
from ...engine.identifiers import quote
from ...engine.tables import SourceTable, source_table
from ...permissions import may_view_table
from ...search_turns import turns_of
from ...searching import check_query, searcher
from ..visit import Visit
from .asked import BOTH, WORDS, Search
from .filtering import Filtering
from .vectors import vector_of

if TYPE_CHECKING:
    from ...engine.search import Among, Match, Searcher
    from ...engine.search.words import FullText

Key = tuple[object, ...]


@dataclass(frozen=True)
class Ground:
    """What is searched: a table, its collections, the one that is asked, and a full-text index if there is one."""

    source: SourceTable
    collections: tuple[Collection, ...]
    collection: Collection
    index: FullText | None
    names: tuple[str, ...]  # of the columns, the rowid first where it is the key
    columns: tuple[str, ...]  # those that are shown


@dataclass(frozen=True)
class Found:
    """The matches and, in the same order, the rows that they are and the passages that matched."""

    matches: tuple[Match, ...]
    rows: tuple[sqlite3.Row, ...]
    passages: tuple[str | None, ...]  # None where the row is not in chunks
    key: Key | None = None  # of the row that was searched by
    vector: bytes | None = None  # of the query, where that was no row and no words alone


async def ground_of(visit: Visit, name: str | None) -> Ground:
    """What a search of this table goes over; NotFound where the table has no such collection."""
    table = str(visit.table)
    configured = compat.full_text(visit.datasette, visit.database.name, table, visit.request)

    def look(conn: sqlite3.Connection) -> Ground:
        from ...engine.search.words import find_index  # on first use: it comes with numpy

        found = tuple(entry for entry in list_collections(conn) if entry.table.lower() == table.lower())
        collection = chosen(found, table, name)
        source, columns = source_table(conn, table), table_columns(conn, table)
        names = ("rowid", *columns) if source.keys[0].name == "rowid" else tuple(columns)
        index = find_index(conn, source, **configured)
        return Ground(source, found, collection, index, names, _shown(visit, source, names))

    ground = await visit.database.execute_fn(look)
    return ground if await _may_see(visit, ground.index) else replace(ground, index=None)


def _shown(visit: Visit, source: SourceTable, names: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that ?_col= and ?_nocol= leave, as on the table page: those of the key always."""
    keys = [key.name for key in source.keys]
    wanted, unwanted = visit.request.args.getlist("_col"), visit.request.args.getlist("_nocol")
    for argument, given, known in (("_col", wanted, set(names)), ("_nocol", unwanted, set(names) - set(keys))):
        for name in given:
            if name not in known:
                raise EmbedError(f"{source.name} has no column {name!r} that {argument} could name")
    order = dict.fromkeys([*keys, *wanted]) if wanted else names
    return tuple(name for name in order if name in names and name not in unwanted)


async def _may_see(visit: Visit, index: FullText | None) -> bool:
    """Whether the actor may see the full-text table, which may hold the words of other tables than this one."""
    return index is None or await may_view_table(visit.datasette, visit.actor, visit.database.name, index.table)


def chosen(collections: tuple[Collection, ...], table: str, name: str | None) -> Collection:
    """The collection of that name; without a name the one that is called as the table, else the first."""
    if not collections:
        raise NotFound(f"The table {table!r} is not embedded, so it cannot be searched by meaning")
    wanted = (name or table).lower()
    for collection in collections:
        if collection.name.lower() == wanted:
            return collection
    if name:
        raise NotFound(f"The table {table!r} has no collection {name!r}")
    return min(collections, key=lambda collection: collection.id)


async def find(visit: Visit, ground: Ground, filtering: Filtering, search: Search) -> Found:
    """The matches of the search among the rows that the filters leave."""
    if search.mode in (WORDS, BOTH) and ground.index is None:
        raise EmbedError(f"{ground.source.name} has no full-text index that you may see to search it by words")
    by_row, text = search.row is not None, check_query(search.q) if search.q is not None else ""
    vector = None if by_row or search.mode == WORDS else await vector_of(visit, ground.collection, search)
    milliseconds = visit.datasette.setting("sql_time_limit_ms")

    def look(conn: sqlite3.Connection) -> Found:
        from ...engine.search import one_state, passages

        with one_state(conn):
            searching = searcher(visit.datasette, visit.database.name, conn, ground.collection.name)
            if search.mode != WORDS and ground.collection.dimensions:
                _ = searching.view  # what is loaded once for everybody is not this search's time
            with sqlite_timelimit(conn, milliseconds):
                key = row_key(conn, ground.source, str(search.row)) if by_row else None
                matches = _matches(searching, ground, search, text, key or vector, filtering.among(ground.source))
                near = [match for match in matches if _is_near(match, search.min_score)]
                texts = passages(conn, ground.collection, ground.source, near)
                return Found(tuple(near), _rows(conn, ground, near), tuple(texts), key, vector)

    try:
        async with turns_of(visit.datasette):
            return await visit.database.execute_fn(look)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _of_sqlite(error, filtering, milliseconds) from error


def _matches(
    searching: Searcher, ground: Ground, search: Search, text: str, by: Key | bytes | None, among: Among | None
) -> list[Match]:
    """The matches by a row's key, by a vector, by the words of the text, or by these and its vector."""
    from ...engine.search import search_both, search_words

    if isinstance(by, tuple):
        return searching.similar(by, search.size, among=among)
    if by is None:
        return search_words(searching, text, search.size, among=among, index=ground.index)
    if search.mode == BOTH:
        return search_both(searching, text, by, search.size, among=among, index=ground.index)
    return searching.nearest(by, search.size, among=among)


def row_key(conn: sqlite3.Connection, source: SourceTable, path: str) -> Key:
    """The key of the row that a path of Datasette's names, as the row has it."""
    parts = urlsafe_components(path)
    names = [key.name for key in source.keys]
    if len(parts) != len(names):
        raise EmbedError(f"The path of a row of {source.name} is its {', '.join(names)}, so {path[:100]!r} is none")
    where = " and ".join(f"{quote(name)} = ?" for name in names)
    sql = f"select {', '.join(map(quote, names))} from {quote(source.name)} where {where}"
    row = conn.execute(sql, parts).fetchone()
    if row is None:
        raise NotFound(f"{source.name} has no row {path[:100]!r}")
    return tuple(row)


def _is_near(match: Match, least: float | None) -> bool:
    return least is None or (match.score is not None and match.score >= least)


def _rows(conn: sqlite3.Connection, ground: Ground, matches: list[Match]) -> tuple[sqlite3.Row, ...]:
    where = " and ".join(f"{quote(key.name)} = ?" for key in ground.source.keys)
    sql = f"select {', '.join(map(quote, ground.columns))} from {quote(ground.source.name)} where {where}"
    cursor = conn.cursor()
    cursor.row_factory = sqlite3.Row
    return tuple(cursor.execute(sql, match.key).fetchone() for match in matches)


def _of_sqlite(error: Exception, filtering: Filtering, milliseconds: int) -> Exception:
    """A sentence for what comes of the filters or of the time; what another program holds up stays as it is."""
    message = str(error)
    if "interrupted" in message:
        return EmbedError(f"The search took longer than the {milliseconds:,} ms that a query may take here")
    if not filtering.clauses or "locked" in message or "busy" in message:
        return error
    return EmbedError(f"SQLite cannot apply the filters: {message}")
