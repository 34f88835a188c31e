"""What a person sees before embedding: how much there is, the first content, and what the model would cut off."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from .contents import Content, Recipe
from .cutting import Cutter
from .errors import EmbedError
from .identifiers import quote
from .models import EmbeddingModel
from .rows import read_all
from .tables import SourceTable, binary_columns

READ_SECONDS = 0.5  # for walking the rows; of a larger table we know that it has more
COUNT_SECONDS = 0.5  # for counting tokens
SAMPLE_ROWS = 1000  # contents whose tokens are counted
SAMPLE_SIZE = 2_000_000  # characters, or bytes, of these


@dataclass(frozen=True)
class Preview:
    """What a table's rows would give to a model."""

    rows: int  # that have a content
    empty: int  # that have nothing to embed
    size: int  # characters of all contents, or bytes where they are binary
    complete: bool  # False: the time was up, there is more than this
    sample: tuple[Content, ...]  # the first contents
    values: tuple[Sequence[object], ...] = ()  # that these are made of

    @property
    def first(self) -> Content | None:
        """The first content, as the model will get it."""
        return self.sample[0] if self.sample else None


@dataclass(frozen=True)
class Cut:
    """How many of the contents that were looked at are longer than the model reads."""

    checked: int
    longer: int


@dataclass(frozen=True)
class Chunked:
    """How many of the rows that were looked at are cut, and into how many chunks together."""

    checked: int
    rows: int
    chunks: int
    first: Content | None = None  # of all contents, as the model will get it


def preview(conn: sqlite3.Connection, source: SourceTable, recipe: Recipe, seconds: float = READ_SECONDS) -> Preview:
    """Walk the rows as a job would, for so long at most."""
    until = time.monotonic() + seconds
    rows = empty = size = kept = 0
    sample: list[tuple[Content, Sequence[object]]] = []
    complete = True
    for number, values in enumerate(read_all(conn, source, recipe), 1):
        content = recipe.content(values)
        if content is None:
            empty += 1
        else:
            rows, size = rows + 1, size + len(content)
            if len(sample) < SAMPLE_ROWS and kept < SAMPLE_SIZE:
                sample.append((content, values))
                kept += len(content)
        if number % 100 == 0 and time.monotonic() > until:
            complete = False
            break
    contents, made_of = zip(*sample, strict=True) if sample else ((), ())
    return Preview(rows, empty, size, complete, contents, made_of)


def count_longer(model: EmbeddingModel, contents: Sequence[Content], seconds: float = COUNT_SECONDS) -> Cut | None:
    """How many of the texts have more than the model's max_tokens; None where it cannot say. May load the model."""
    if model.max_tokens is None:
        return None
    until = time.monotonic() + seconds
    checked = longer = 0
    for content in contents:
        tokens = model.count_tokens(content) if isinstance(content, str) else None
        if tokens is None:
            return None
        if checked == 0:
            until = time.monotonic() + seconds  # the first call may have loaded the model's tokenizer
        checked, longer = checked + 1, longer + (tokens > model.max_tokens)
        if time.monotonic() > until:
            break
    return Cut(checked, longer)


def count_chunks(cutter: Cutter, recipe: Recipe, found: Preview, seconds: float = COUNT_SECONDS) -> Chunked:
    """Cut the sample's texts, as many as there is time for; rows that cannot be cut will fail, and count as whole."""
    until = time.monotonic() + seconds
    checked = rows = chunks = 0
    first: Content | None = None
    for content, values in zip(found.sample, found.values, strict=True):
        checked += 1
        with suppress(EmbedError):
            parts = cutter.chunks(recipe, values, content)
            first = parts[0].content if first is None else first
            if len(parts) > 1:
                rows, chunks = rows + 1, chunks + len(parts)
        if time.monotonic() > until:
            break
    return Chunked(checked, rows, chunks, first)


def text_columns(conn: sqlite3.Connection, source: SourceTable) -> list[str]:
    """The columns that look like text, by declaration or first value; never of the primary key, nor binary."""
    candidates = [column for column in source.columns if not column.primary]
    binary = binary_columns(conn, source, tuple(column.name for column in candidates))
    return [
        column.name
        for column in candidates
        if column.name not in binary and _is_text(conn, source.name, column.name, column.type.upper())
    ]


def _is_text(conn: sqlite3.Connection, table: str, column: str, declared: str) -> bool:
    if declared:
        return any(word in declared for word in ("CHAR", "CLOB", "TEXT", "STRING"))
    row = conn.execute(
        f"select typeof({quote(column)}) from {quote(table)} where {quote(column)} is not null limit 1"
    ).fetchone()
    return bool(row and row[0] == "text")
