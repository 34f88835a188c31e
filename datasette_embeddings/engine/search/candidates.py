"""Candidates of a search: scored in float64 from the stored vectors, then checked against their rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..collections import Collection
from ..contents import content_hash
from ..exact import cosines
from ..identifiers import quote
from ..rows import reader, selected
from ..tables import SourceTable
from .matches import FoundChunk, Key, sort_key

BATCH = 2_000  # candidates read at a time: 3 MB at 384 dimensions, so that no k takes all memory


class Candidate(NamedTuple):
    """A stored vector with its true score."""

    vector_id: int
    key: Key  # as stored; the row may spell it otherwise where the key ignores case
    row_hash: bytes  # of the content that the row had when it was embedded
    chunk: int
    score: float


Scored = tuple[float, tuple[Any, ...]]  # a score, and what was read: a Candidate for each would take a millisecond


def scored(
    conn: sqlite3.Connection,
    collection: Collection,
    source: SourceTable,
    query: NDArray[np.float64],
    vector_ids: Iterable[int],
) -> dict[int, Scored]:
    """These vectors with their scores, by vector id; a zero vector has none and is left out."""
    keys = ", ".join(quote(column.stored) for column in source.keys)
    sql = (
        f"select vector, vector_id, coalesce(row_hash, content_hash), chunk, {keys}"
        f" from {quote(collection.vector_table)} where vector_id in (select value from json_each(?))"
    )
    found: dict[int, Scored] = {}
    for part in _parts(vector_ids):
        rows = conn.execute(sql, (json.dumps(part),)).fetchall()
        scores = cosines(query, [row[0] for row in rows]).tolist()
        # NaN is not equal to itself
        found.update((row[1], (score, row[1:])) for row, score in zip(rows, scores, strict=True) if score == score)
    return found


def in_order(found: Iterable[Scored]) -> Iterator[Candidate]:
    """Best first, those of equal scores in order of their keys and chunks."""
    score = itemgetter(0)
    for _, equal in groupby(sorted(found, key=score, reverse=True), key=score):
        tied = [
            Candidate(vector_id, tuple(key), row_hash, chunk, score)
            for score, (vector_id, row_hash, chunk, *key) in equal
        ]
        yield from (
            tied if len(tied) == 1 else sorted(tied, key=lambda found: (*sort_key(found.score, found.key), found.chunk))
        )


def current(
    conn: sqlite3.Connection, collection: Collection, source: SourceTable, hashes: Mapping[int, bytes]
) -> dict[int, Key]:
    """Those of the vectors, given by id with the hash of their row's content, whose row still has that content.

    By vector id, the row's key as the row has it now.
    """
    rows = reader(source, collection)
    keys = [f"t.{quote(column.name)}" for column in source.keys]
    sql = (
        f"select {', '.join(['v.vector_id', *keys, *selected(rows.recipe)])}"
        f" from {quote(collection.vector_table)} as v"
        f" cross join {quote(source.name)} as t on {source.joined('t', 'v')}"
        " where v.vector_id in (select value from json_each(?))"
    )
    found: dict[int, Key] = {}
    end = 1 + len(keys)
    for part in _parts(hashes):
        for row in conn.execute(sql, (json.dumps(part),)):
            content = rows.recipe.content(row[end:])
            if content is not None and content_hash(content) == hashes[row[0]]:
                found[row[0]] = tuple(row[1:end])
    return found


def found_chunks(
    conn: sqlite3.Connection, collection: Collection, candidates: Iterable[Candidate]
) -> dict[int, FoundChunk]:
    """Those of the candidates that are a part of their row, by vector id."""
    scores = {found.vector_id: found.score for found in candidates}
    sql = (
        f"select vector_id, chunk, chunk_start, chunk_end from {quote(collection.vector_table)}"
        " where vector_id in (select value from json_each(?)) and row_hash is not null"
    )
    rows = (row for part in _parts(scores) for row in conn.execute(sql, (json.dumps(part),)))
    return {place: FoundChunk(number, start, end, scores[place]) for place, number, start, end in rows}


def _parts(vector_ids: Iterable[int]) -> Iterator[list[int]]:
    ids = iter(vector_ids)
    while part := list(islice(ids, BATCH)):
        yield part
