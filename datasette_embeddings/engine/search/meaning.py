"""Search by meaning: candidates from memory, scored exactly, and no match that its row does not bear out."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from ..collections import Collection
from ..errors import Conflict, NotFound, VectorError
from ..exact import Ids, Ranked, nth_largest
from ..identifiers import quote
from ..tables import SourceTable, source_table
from ..vector_table import row_vectors
from ..vectors import decode, mean_direction
from .among import Among
from .caches import Caches, Opener
from .candidates import Candidate, Scored, current, found_chunks, in_order, scored
from .matches import FoundChunk, Key, Match, check_count
from .prospects import FIRST, highest_scores
from .views import View

# Codes worth scoring for ten matches, and for each of many more; docs/search-internals.md has the measurement.
POOL = 400
POOL_EACH = 20
GROWTH = 4
LISTED = 5  # chunks of one row


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
        """The k rows nearest to a row, itself left out; an error where it has no vector that is true of it.

        A row of several chunks is compared by their mean direction, with the best chunk of each other row.
        """
        stored = self._stored(key)
        name = json.dumps([str(value) for value in key], ensure_ascii=False)[1:-1]
        if not stored:
            raise NotFound(f"The row {name} of {self.source.name} has no vector in {self.collection.name!r}")
        if not self._true([stored]):
            raise NotFound(
                f"The row {name} of {self.source.name} is gone, or changed since it was embedded: update the collection"
            )
        direction = mean_direction(row_vectors(self.conn, self.collection.vector_table, self.source, key))
        return self.nearest(direction, k, among=among, leave_out=[vector_id for vector_id, _ in stored])

    def best_chunks(self, query: bytes, keys: Iterable[Key]) -> dict[Key, Match]:
        """These rows as matches of a query vector, as far as they have vectors that are true of them."""
        stored = {key: vectors for key in keys if (vectors := self._stored(key))}
        true = self._true(stored.values())
        rows = {vector_id: key for key, vectors in stored.items() if vectors[0][0] in true for vector_id, _ in vectors}
        chunks: defaultdict[Key, list[Candidate]] = defaultdict(list)
        scores = scored(self.conn, self.collection, decode(query), rows)
        for found in in_order(self.conn, self.collection, self.source, scores, len(scores)):
            chunks[rows[found.vector_id]].append(found)
        return {match.key: match for match in self.matches({key: found[:1] for key, found in chunks.items()})}

    def matches(self, rows: Mapping[Key, Sequence[Candidate]]) -> list[Match]:
        """The matches of rows by their nearest chunks, best first."""
        listed = {key: chunks[:LISTED] for key, chunks in rows.items()}
        parts: dict[int, FoundChunk] = {}
        if self.collection.definition.chunking:
            parts = found_chunks(self.conn, self.collection, chain(*listed.values()))
        return [
            Match(key, found[0].score, chunks=tuple(parts[each.vector_id] for each in found if each.vector_id in parts))
            for key, found in listed.items()
        ]

    def _stored(self, key: Key) -> list[tuple[int, str]]:
        """The ids of the row's vectors, each with the hash of the content that the row had, in hexadecimal."""
        where = " and ".join(f"{quote(column.stored)} = ?" for column in self.source.keys)
        sql = (
            "select vector_id, hex(coalesce(row_hash, content_hash))"
            f" from {quote(self.collection.vector_table)} where {where} order by chunk"
        )
        return self.conn.execute(sql, key).fetchall()

    def _true(self, rows: Iterable[Sequence[tuple[int, str]]]) -> dict[int, Key]:
        """Those rows of which _stored() is true, by the id of their first vector."""
        return current(self.conn, self.collection, self.source, dict(vectors[0] for vectors in rows))

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
        self.scored: dict[int, Scored] = {}
        # Of those that were checked, by stored key and hash; None where the row is another by now.
        self.rows: dict[tuple[Key, str], Key | None] = {}

    def matches(self) -> list[Match]:
        """The best k whose rows still say what was embedded."""
        view = self.searcher.view
        index = view.index
        k = min(self.k, len(index))
        pool = (k if view.is_exact else max(POOL, POOL_EACH * k)) + len(self.leave_out)
        while True:
            found = index.nearest(self.query, pool, self.among)
            all_known = pool >= len(index) or len(found.ids) < pool
            if view.is_exact or all_known:
                self._score(found.ids.tolist())
                # Of more than the pool some are there only because float32 cannot tell them from those that are not.
                matches = self._best(k, len(self.scored) if all_known else pool - len(self.leave_out))
            else:
                matches = self._best_by_estimates(found, k)
            if len(matches) >= k or all_known:
                return matches
            pool = min(pool * GROWTH, len(index))

    def _best_by_estimates(self, found: Ranked, k: int) -> list[Match]:
        """The best k of these, without scoring those that are none of them by all that their estimates say."""
        ids = found.ids.tolist()
        known = int(FIRST * len(ids))
        self._score(ids[:known])
        places = [place for place, each in enumerate(ids[:known]) if each in self.scored]
        scores = np.array([self.scored[ids[place]][0] for place in places])
        highest = highest_scores(found.scores, found.scores[places], scores)
        wanted = int(np.count_nonzero(highest >= nth_largest(scores, k)))
        while True:
            self._score(ids[known:wanted])
            known = max(known, wanted)
            matches = self._best(k, len(self.scored))
            least = (matches[-1].score or 0.0) if len(matches) >= k else -np.inf
            wanted = int(np.count_nonzero(highest >= least))
            if wanted <= known:
                return matches

    def _score(self, vector_ids: list[int]) -> None:
        wanted = [place for place in vector_ids if place not in self.scored and place not in self.leave_out]
        searcher = self.searcher
        self.scored.update(scored(searcher.conn, searcher.collection, self.query, wanted))

    def _best(self, k: int, certain: int) -> list[Match]:
        chunks: dict[Key, list[Candidate]] = {}
        for found, key in self._checked(k, certain):
            chunks.setdefault(key, []).append(found)
            if len(chunks) == k:
                break
        return self.searcher.matches(chunks)

    def _checked(self, k: int, certain: int) -> Iterator[tuple[Candidate, Key]]:
        """The candidates that stand the check, best first, each with its row's key."""
        searcher = self.searcher
        ordered = in_order(searcher.conn, searcher.collection, searcher.source, self.scored, k)
        order = islice(ordered, certain)
        while part := list(islice(order, k)):  # most stand it, so most searches check once
            self._check(part)
            for found in part:
                if (key := self.rows[found.key, found.row_hash]) is not None:
                    yield found, key

    def _check(self, candidates: list[Candidate]) -> None:
        places = {(found.key, found.row_hash): found.vector_id for found in candidates}
        unchecked = {vector_id: row for row, vector_id in places.items() if row not in self.rows}
        if unchecked:
            searcher, hashes = self.searcher, {vector_id: row[1] for vector_id, row in unchecked.items()}
            rows = current(searcher.conn, searcher.collection, searcher.source, hashes)
            self.rows.update({row: rows.get(vector_id) for vector_id, row in unchecked.items()})
