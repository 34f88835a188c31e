"""The SQL functions that search: embed_search(), embed_similar() and embed_hybrid()."""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Callable

from . import compat
from .engine.collections import get_collection
from .engine.errors import EmbedError
from .searching import check_query, check_weights, model_of, searcher

REMEMBERED = 16  # answers a connection keeps: a join asks for the same one again and again
REMEMBERED_SIZE = 4_000_000  # characters of all of them together; the last is kept whatever its size

# What a query gets whose time is up. Not NULL, of which json_each() makes no row: SQLite ends a query that was told to
# stop only when it goes on to another row, and one without rows would pass for an answer.
UNFINISHED = "[null]"

EmbedQuery = Callable[[str, str], bytes | None]  # model name, text; None where the time is up


class _TimeIsUp(EmbedError):
    """The model is not ready in the time that a query may take."""


class SearchFunctions:
    """The functions on one connection."""

    def __init__(self, conn: sqlite3.Connection, datasette, database: str, embed_query: EmbedQuery) -> None:
        self.conn, self.datasette, self.database = conn, datasette, database
        self.embed_query = embed_query
        self._answers: OrderedDict[tuple, str] = OrderedDict()

    def search(self, collection: str, query: str | bytes | None, k: int = 10, among: str | None = None) -> str | None:
        """embed_search(): matches of a text or a vector as JSON, best first."""
        return self._answer("search", collection, query, k, among)

    def similar(self, collection: str, row_key: object, k: int = 10, among: str | None = None) -> str | None:
        """embed_similar(): matches of a row, itself left out."""
        return self._answer("similar", collection, row_key, k, among)

    def hybrid(self, collection: str, query: str | None, k: int = 10, among: str | None = None) -> str | None:
        """embed_hybrid(): matches of a text by meaning and by words."""
        return self._answer("hybrid", collection, query, k, among)

    def _answer(self, kind: str, collection: str, query: object, k: int, among: str | None) -> str | None:
        if query is None:
            return None
        try:
            if self.conn.in_transaction:
                # Nothing tells the state before a rollback from that after it, so nothing is remembered.
                return self._search(kind, collection, query, k, among)
            place = (kind, collection, type(query), query, k, among, self._state(collection))
            if place not in self._answers:
                self._remember(place, self._search(kind, collection, query, k, among))
            return self._answers[place]
        except sqlite3.OperationalError as error:
            # A write must not store what is no answer: it gets the error.
            if "interrupted" not in str(error) or self.conn.in_transaction:
                raise
        except _TimeIsUp:
            if self.conn.in_transaction:
                raise
        self.conn.interrupt()  # Datasette says "SQL query took too long"; an exception would hide that
        return UNFINISHED

    def _state(self, collection: str) -> tuple:
        """Differs whenever anything may have changed: a commit of another connection, or a write by this one."""
        pragmas = ("data_version", "schema_version")  # VACUUM, which renumbers rowids, counts as no change of a row
        read = [self.conn.execute(f"pragma {name}").fetchone()[0] for name in pragmas]
        return get_collection(self.conn, str(collection)).token, *read, self.conn.total_changes

    def _remember(self, place: tuple, answer: str) -> None:
        self._answers[place] = answer
        while len(self._answers) > 1 and (
            len(self._answers) > REMEMBERED or sum(map(len, self._answers.values())) > REMEMBERED_SIZE
        ):
            self._answers.popitem(last=False)

    def _search(self, kind: str, name: str, query: object, k: int, among: str | None) -> str:
        # On first use: it comes with numpy.
        from .engine.search import listed, parse_key, search_both
        from .engine.search.words import required_index

        search = searcher(self.datasette, self.database, self.conn, str(name))
        only = None if among is None else listed(search.source, among)
        if kind == "similar":
            matches = search.similar(parse_key(search.source, query), k, among=only)
        else:
            vector = query if isinstance(query, bytes) else self._vector(search.collection, query)
            if kind == "search":
                matches = search.nearest(vector, k, among=only)
            elif isinstance(query, str):
                configured = compat.full_text(self.datasette, self.database, search.source.name)
                index = required_index(self.conn, search.source, **configured)
                matches = search_both(search, query, vector, k, among=only, index=index)
            else:
                raise EmbedError("embed_hybrid() takes a text: words are searched for too")
        return json.dumps([match.as_json(search.source) for match in matches], ensure_ascii=False)

    def _vector(self, collection, query: object) -> bytes:
        if not isinstance(query, str):
            raise EmbedError(f"A query is a text or a vector, not {query!r}")
        registered = model_of(self.datasette, collection)
        vector = self.embed_query(registered.name, check_query(query))
        if vector is None:
            raise _TimeIsUp(f"The model {collection.model} is still being loaded")
        check_weights(registered.model, collection)
        return vector
