"""Search by meaning: candidates from memory, scored exactly, and no match that its row does not bear out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..collections import Collection
from ..errors import Conflict, NotFound, VectorError
from ..exact import Ids
from ..identifiers import quote
from ..tables import SourceTable, source_table
from ..vectors import decode
from .among import Among
from .caches import Caches, Opener
from .candidates import Candidate, current, in_order, scored
from .matches import Key, Match, check_count
from .views import View

# Codes worth rescoring for ten matches, and for each of many more; docs/search-internals.md has the measurement.
POOL = 320
POOL_EACH = 16
GROWTH = 4


class Searcher:
    """Searches one collection as one connection sees it.

    An SQL function sees one state of the file, that of its statement; whoever else searches keeps `one_state` open.
    """

    def __init__(
        self, conn: sqlite3.Connection, collection: Collection, caches: Caches, database: str, opener: Opener | None
    ) -> None:
        self.conn, self.collection = conn, collection
        self.source: SourceTable = source_table(conn, collection.table)
        self._caches, self._database, self._opener = caches, database, opener
        self._check_key()

    @cached_property
    def view(self) -> View:
        """What there is to be searched."""
        return self._caches.view(self.conn, self.collection, self._database, self._opener)

    def nearest(
        self, query: bytes, k: int = 10, *, among: Among | None = None, leave_out: Iterable[int] = ()
    ) -> list[Match]:
        """The k rows nearest to a query vector, fewer where there are no more; each true of its row as it is now.

        Nothing is near a zero vector, nor is a row whose vector is zero near anything.
        """
        k = check_count(k)
        vector = decode(query)
        if self.collection.dimensions is None:
            return []
        if vector.size != self.collection.dimensions:
            raise VectorError(
                f"The query has {vector.size} dimensions; the vectors of {self.collection.name!r} have "
                f"{self.collection.dimensions}"
            )
        return _Round(self, vector, k, self._ids(among), frozenset(leave_out)).matches()

    def similar(self, key: Key, k: int = 10, *, among: Among | None = None) -> list[Match]:
        """The k rows nearest to a row, itself left out; an error where it has no vector that is true of it."""
        vector_id, vector = self.vector_of(key)
        return self.nearest(vector, k, among=among, leave_out=[vector_id])

    def vector_of(self, key: Key) -> tuple[int, bytes]:
        """A row's vector id and vector."""
        row = self._stored(key)
        name = json.dumps([str(value) for value in key], ensure_ascii=False)[1:-1]
        if row is None:
            raise NotFound(f"The row {name} of {self.source.name} has no vector in {self.collection.name!r}")
        if not current(self.conn, self.collection, self.source, {row[0]: row[1]}):
            raise NotFound(
                f"The row {name} of {self.source.name} is gone, or changed since it was embedded: update the collection"
            )
        return row[0], row[2]

    def scores(self, query: bytes, keys: Iterable[Key]) -> dict[Key, float]:
        """The scores of these rows with a query vector, for those that have a vector that is true of them."""
        stored = {row[0]: (key, row[1]) for key in keys if (row := self._stored(key)) is not None}
        rows = current(self.conn, self.collection, self.source, {place: pair[1] for place, pair in stored.items()})
        found = scored(self.conn, self.collection, self.source, decode(query), rows)
        return {stored[candidate.vector_id][0]: candidate.score for candidate in found}

    def _stored(self, key: Key) -> tuple[int, bytes, bytes] | None:
        where = " and ".join(f"{quote(column.stored)} = ?" for column in self.source.keys)
        sql = f"select vector_id, content_hash, vector from {quote(self.collection.vector_table)} where {where}"
        row = self.conn.execute(sql, key).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def _ids(self, among: Among | None) -> Ids | None:
        """The vector ids of the rows that may be ranked."""
        if among is None:
            return None
        sql = among.joined(self.source, self.collection.vector_table, "t.vector_id", stored=True)
        rows = self.conn.execute(sql, dict(among.parameters)).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def _check_key(self) -> None:
        """A table that was rebuilt with another key has rows that no stored vector can be matched with."""
        columns = self.conn.execute("select name from pragma_table_info(?)", (self.collection.vector_table,))
        if not {key.stored for key in self.source.keys} <= {row[0] for row in columns}:
            raise Conflict(
                f"{self.source.name} has another primary key than when it was embedded: delete the collection "
                f"{self.collection.name!r} and embed the table again"
            )


class _Round:
    """One search: takes candidates in growing numbers until k of them stood the check."""

    def __init__(
        self, searcher: Searcher, query: NDArray[np.float64], k: int, among: Ids | None, leave_out: frozenset[int]
    ) -> None:
        self.searcher, self.query, self.k = searcher, query, k
        self.among, self.leave_out = among, leave_out
        self.scored: dict[int, Candidate] = {}
        self.rows: dict[int, Key | None] = {}  # of those that were checked, by vector id; None where it failed

    def matches(self) -> list[Match]:
        """The best k whose rows still say what was embedded."""
        view = self.searcher.view
        index = view.index
        k = min(self.k, len(index))
        pool = k + len(self.leave_out)
        if not view.is_exact:
            pool = max(POOL, POOL_EACH * pool)
        while True:
            ids = index.nearest(self.query, pool, self.among)
            self._score(ids.tolist())
            all_known = pool >= len(index) or len(ids) < pool
            # Of more than the pool some are there only because float32 cannot tell them from those that are not.
            certain = len(self.scored) if all_known or not view.is_exact else pool - len(self.leave_out)
            matches = self._best(k, certain)
            if len(matches) >= k or all_known:
                return matches
            pool = min(pool * GROWTH, len(index))

    def _score(self, vector_ids: list[int]) -> None:
        wanted = [place for place in vector_ids if place not in self.scored and place not in self.leave_out]
        searcher = self.searcher
        for candidate in scored(searcher.conn, searcher.collection, searcher.source, self.query, wanted):
            self.scored[candidate.vector_id] = candidate

    def _best(self, k: int, certain: int) -> list[Match]:
        order = list(islice(in_order(self.scored.values()), certain))
        matches: list[Match] = []
        for start in range(0, len(order), max(k, 1)):  # most stand the check, so most searches check once
            part = order[start : start + k]
            self._check(part)
            matches += [Match(key, found.score) for found in part if (key := self.rows[found.vector_id]) is not None]
            if len(matches) >= k:
                break
        return matches[:k]

    def _check(self, candidates: list[Candidate]) -> None:
        unchecked = {found.vector_id: found.content_hash for found in candidates if found.vector_id not in self.rows}
        if unchecked:
            rows = current(self.searcher.conn, self.searcher.collection, self.searcher.source, unchecked)
            self.rows.update({place: rows.get(place) for place in unchecked})
