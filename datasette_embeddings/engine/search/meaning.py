"""Search by meaning: candidates from memory, scored in float64 from the stored vectors, checked against their rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..collections import Collection
from ..contents import content_hash
from ..errors import NotFound, VectorError
from ..exact import Ids, cosines
from ..identifiers import quote
from ..rows import reader, selected
from ..tables import SourceTable, source_table
from ..vectors import decode
from .among import Among
from .caches import Caches, Opener
from .matches import Key, Match, check_count, sort_key
from .views import View

POOL = 320  # codes worth rescoring for ten matches; docs/search-internals.md has the measurement
GROWTH = 4


@dataclass(frozen=True)
class _Scored:
    """A candidate with its true score."""

    vector_id: int
    key: Key
    content_hash: bytes
    score: float


class Searcher:
    """Searches one collection as one connection sees it."""

    def __init__(
        self, conn: sqlite3.Connection, collection: Collection, caches: Caches, database: str, opener: Opener
    ) -> None:
        self.conn, self.collection = conn, collection
        self.source: SourceTable = source_table(conn, collection.table)
        self._caches, self._database, self._opener = caches, database, opener

    @cached_property
    def view(self) -> View:
        """What there is to be searched."""
        return self._caches.view(self.conn, self.collection, self._database, self._opener)

    def nearest(
        self, query: bytes, k: int = 10, *, among: Among | None = None, leave_out: Iterable[int] = ()
    ) -> list[Match]:
        """The k rows nearest to a query vector, fewer where there are no more; each true of its row as it is now."""
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
        own = self.vector_of(key)
        return self.nearest(own[1], k, among=among, leave_out=[own[0]])

    def vector_of(self, key: Key) -> tuple[int, bytes]:
        """A row's vector id and vector."""
        where = " and ".join(f"{quote(column.stored)} = ?" for column in self.source.keys)
        row = self.conn.execute(
            f"select vector_id, vector from {quote(self.collection.vector_table)} where {where}", key
        ).fetchone()
        name = json.dumps([str(value) for value in key], ensure_ascii=False)[1:-1]
        if row is None:
            raise NotFound(f"The row {name} of {self.source.name} has no vector in {self.collection.name!r}")
        if not self.current([row[0]]):
            raise NotFound(
                f"The row {name} of {self.source.name} is gone, or changed since it was embedded: update the collection"
            )
        return row[0], row[1]

    def scores(self, query: bytes, keys: Iterable[Key]) -> dict[Key, float]:
        """The scores of these rows with a query vector, for those that have a vector that is true of them."""
        where = " and ".join(f"{quote(column.stored)} = ?" for column in self.source.keys)
        sql = f"select vector_id from {quote(self.collection.vector_table)} where {where}"
        ids = [row[0] for key in keys for row in self.conn.execute(sql, key)]
        current = self.current(ids)
        found = self.scored(decode(query), [vector_id for vector_id in ids if vector_id in current])
        return {candidate.key: candidate.score for candidate in found}

    def _ids(self, among: Among | None) -> Ids | None:
        """The vector ids of the rows that may be ranked."""
        if among is None:
            return None
        sql = among.joined(self.source, self.collection.vector_table, "t.vector_id", stored=True)
        rows = self.conn.execute(sql, dict(among.parameters)).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def current(self, vector_ids: list[int]) -> set[int]:
        """Those of the vector ids whose row is there and still says what was embedded."""
        rows = reader(self.source, self.collection)
        values = ", ".join(["v.vector_id", "v.content_hash", *selected(rows.recipe)])
        found = self.conn.execute(
            f"select {values} from {quote(self.collection.vector_table)} as v"
            f" cross join {quote(self.source.name)} as t on {self.source.joined('t', 'v')}"
            " where v.vector_id in (select value from json_each(?))",
            (json.dumps(vector_ids),),
        )
        current = set()
        for row in found:
            content = rows.recipe.content(row[2:])
            if content is not None and content_hash(content) == row[1]:
                current.add(row[0])
        return current

    def scored(self, query: NDArray[np.float64], vector_ids: list[int]) -> list[_Scored]:
        """These candidates with their float64 scores."""
        keys = ", ".join(quote(column.stored) for column in self.source.keys)
        rows = self.conn.execute(
            f"select vector_id, content_hash, vector, {keys} from {quote(self.collection.vector_table)}"
            " where vector_id in (select value from json_each(?))",
            (json.dumps(vector_ids),),
        ).fetchall()
        scores = cosines(query, [row[2] for row in rows])
        return [
            _Scored(row[0], tuple(row[3:]), row[1], float(score))
            for row, score in zip(rows, scores, strict=True)
            if not np.isnan(score)
        ]


class _Round:
    """One search: takes candidates in growing numbers until k of them stood the check."""

    def __init__(
        self, searcher: Searcher, query: NDArray[np.float64], k: int, among: Ids | None, leave_out: frozenset[int]
    ) -> None:
        self.searcher, self.query, self.k = searcher, query, k
        self.among, self.leave_out = among, leave_out
        self.scored: dict[int, _Scored] = {}
        self.checked: dict[int, bool] = {}

    def matches(self) -> list[Match]:
        """The best k whose rows still say what was embedded."""
        index = self.searcher.view.index
        k = min(self.k, len(index))
        pool = k + len(self.leave_out)
        if not self.searcher.view.is_exact:
            pool = max(POOL, GROWTH * pool)
        while True:
            ids = index.nearest(self.query, pool, self.among)
            self._score([int(vector_id) for vector_id in ids if int(vector_id) not in self.scored])
            matches = self._best(k)
            if len(matches) >= k or pool >= len(index) or len(ids) < pool:
                return matches
            pool = min(pool * GROWTH, len(index))

    def _score(self, vector_ids: list[int]) -> None:
        wanted = [vector_id for vector_id in vector_ids if vector_id not in self.leave_out]
        self.scored.update({found.vector_id: found for found in self.searcher.scored(self.query, wanted)})

    def _best(self, k: int) -> list[Match]:
        order = sorted(self.scored.values(), key=lambda found: sort_key(found.score, found.key))
        matches: list[Match] = []
        start = 0
        while len(matches) < k and start < len(order):
            part = order[start : start + k]  # most stand the check, so most searches check once
            start += len(part)
            self._check([found.vector_id for found in part])
            matches += [Match(found.key, found.score) for found in part if self.checked[found.vector_id]]
        return matches[:k]

    def _check(self, vector_ids: list[int]) -> None:
        unchecked = [vector_id for vector_id in vector_ids if vector_id not in self.checked]
        if unchecked:
            current = self.searcher.current(unchecked)
            self.checked.update({vector_id: vector_id in current for vector_id in unchecked})
