"""Candidates of a search: scored in float64 from the stored vectors, then checked against their rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..collections import Collection
from ..contents import content_hash
from ..exact import cosines
from ..identifiers import quote
from ..rows import reader, selected
from ..tables import SourceTable
from .matches import FoundChunk, Key, sort_key
from .stored import read_stored

BATCH = 2_000  # candidates read at a time: 3 MB at 384 dimensions, so that no k takes all memory


class Candidate(NamedTuple):
    """A stored vector with its true score."""

    vector_id: int
    key: Key  # as stored; the row may spell it otherwise where the key ignores case
    chunk: int
    score: float
    row_hash: str  # hexadecimal, of the content that the row had when it was embedded


Scored = tuple[float, str]  # a vector's score, and the hash of its row in hexadecimal


def scored(
    conn: sqlite3.Connection, collection: Collection, query: NDArray[np.float64], vector_ids: Iterable[int]
) -> dict[int, Scored]:
    """These vectors with their scores, by vector id; a zero vector has none and is left out."""
    found: dict[int, Scored] = {}
    for part in _parts(vector_ids):
        stored = read_stored(conn, collection, part, len(query))
        rows = zip(stored.ids, cosines(query, stored.vectors).tolist(), stored.hashes, strict=True)
        # NaN is not equal to itself
        found.update((vector_id, (score, row_hash)) for vector_id, score, row_hash in rows if score == score)
    return found


def in_order(
    conn: sqlite3.Connection, collection: Collection, source: SourceTable, found: Mapping[int, Scored], at_once: int
) -> Iterator[Candidate]:
    """Best first, those of equal scores in order of their keys and chunks; the keys are read for `at_once` or more."""
    ranked = sorted(found, key=lambda vector_id: found[vector_id][0], reverse=True)
    equal = (list(group) for _, group in groupby(ranked, key=lambda vector_id: found[vector_id][0]))
    for part in _of_size(equal, at_once):
        places = _places(conn, collection, source, chain.from_iterable(part))
        for group in part:
            yield from _tied([Candidate(each, *places[each], *found[each]) for each in group if each in places])


def _places(
    conn: sqlite3.Connection, collection: Collection, source: SourceTable, vector_ids: Iterable[int]
) -> dict[int, tuple[Key, int]]:
    """The stored key and the chunk of each of these vectors that is there."""
    keys = ", ".join(quote(column.stored) for column in source.keys)
    sql = (
        f"select vector_id, chunk, {keys} from {quote(collection.vector_table)}"
        " where vector_id in (select value from json_each(?))"
    )
    rows = (row for part in _parts(vector_ids) for row in conn.execute(sql, (json.dumps(part),)))
    return {vector_id: (tuple(key), chunk) for vector_id, chunk, *key in rows}


def _tied(candidates: list[Candidate]) -> list[Candidate]:
    if len(candidates) > 1:
        candidates.sort(key=lambda found: (*sort_key(found.score, found.key), found.chunk))
    return candidates


def _of_size(groups: Iterable[list[int]], size: int) -> Iterator[list[list[int]]]:
    """The groups in parts, each with `size` members or more but the last."""
    part: list[list[int]] = []
    members = 0
    for group in groups:
        part.append(group)
        members += len(group)
        if members >= size:
            yield part
            part, members = [], 0
    if part:
        yield part


def current(
    conn: sqlite3.Connection, collection: Collection, source: SourceTable, hashes: Mapping[int, str]
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
            if content is not None and content_hash(content).hex().upper() == hashes[row[0]]:
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
