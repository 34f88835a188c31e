"""A match: a row that was found, with its score; and row keys as people write them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import EmbedError
from ..rows import from_json, to_json
from ..tables import SourceTable

Key = tuple[object, ...]

MOST = 10**9  # matches: who asks for more means all rows, and ten times as many are still an SQLite integer


class FoundChunk(NamedTuple):
    """A part of a row's text with its own score."""

    number: int
    start: int  # characters in the row's joined columns
    end: int
    score: float


@dataclass(frozen=True)
class Match:
    """A row found, best first; `score` is the cosine with the query, None where the row has no vector."""

    key: Key
    score: float | None
    ranks: Mapping[str, int] = field(default_factory=dict)  # by ranking, from 1, where rankings are fused
    chunks: tuple[FoundChunk, ...] = ()  # best first, those nearer than the last match; none of a row that is whole

    @property
    def chunk(self) -> FoundChunk | None:
        """The chunk that the score is of."""
        return self.chunks[0] if self.chunks else None

    def as_json(self, source: SourceTable) -> dict[str, object]:
        """The match as SQL and the pages give it: its key columns by name, then ours."""
        values = [to_json(value) for value in self.key]
        named = {key.stored: value for key, value in zip(source.keys, values, strict=True)}
        ranks = {"ranks": dict(self.ranks)} if self.ranks else {}
        return {**named, "key": values, "score": self.score, **self.chunks_json(), **ranks}

    def chunks_json(self, passage: str | None = None) -> dict[str, object]:
        """The chunk that matched, with its text if that is given, and best first all of the row that are near."""
        if self.chunk is None:
            return {}
        number, start, end, _ = self.chunk
        text = {} if passage is None else {"text": passage}
        chunk = {"number": number, "start": start, "end": end, **text}
        return {"chunk": chunk, "chunks": [each._asdict() for each in self.chunks]}


def sort_key(match_score: float, key: Key) -> tuple[float, tuple[tuple[int, object], ...]]:
    """Best first; equal scores in SQLite's order of their keys: numbers, texts, binary."""
    return (-match_score, tuple(_place(value) for value in key))


def parse_key(source: SourceTable, given: object) -> Key:
    """A row key: the value itself where the key has one column, a JSON array where it has several."""
    if len(source.keys) == 1:
        return (given,)
    try:
        values = parse_json(given)
        if not isinstance(values, list) or len(values) != len(source.keys):
            raise ValueError
        return tuple(parse_part(value) for value in values)
    except ValueError:
        columns = ", ".join(key.stored for key in source.keys)
        raise EmbedError(f"The key of {source.name} is a JSON array of {columns}, not {str(given)[:100]!r}") from None


def parse_json(text: object) -> object:
    """What a JSON text says; None where it is none that SQLite too can read."""
    try:
        return json.loads(text, parse_constant=_refuse) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def parse_part(given: object) -> object:
    """One column's value out of a row key in JSON, or ValueError."""
    try:
        value = from_json(given)
        if isinstance(value, str):
            value.encode()  # a lone surrogate is no text for SQLite
    except (KeyError, TypeError):
        raise ValueError from None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(str(value))  # as SQLite reads it: inf where it is beyond a float too
    if value is not None and not isinstance(value, str | int | float | bytes):
        raise ValueError
    return value


def check_count(k: object) -> int:
    """How many matches are asked for."""
    if isinstance(k, float) and math.isfinite(k) and k == int(k):
        k = int(k)
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise EmbedError(f"The number of matches must be a whole number from 1 on, not {k!r}")
    return min(k, MOST)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _place(value: object) -> tuple[int, object]:
    if value is None:
        return (0, 0)
    if isinstance(value, int | float):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, value)
