"""What the form shows of a table before it is embedded."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from ..engine.chunking import Chunking
from ..engine.collections import Definition, define
from ..engine.contents import Recipe
from ..engine.errors import raising
from ..engine.estimate import estimate, survey
from ..engine.measures import is_measured, make_cutter
from ..engine.models import EmbeddingModel
from ..engine.preview import Chunked, Preview, count_chunks, count_longer, preview
from ..engine.prices import price_of
from ..engine.tables import binary_columns, source_table
from ..wording import estimate_text
from .asked import Asked
from .visit import Visit
from .words import amount, chunks_text, cut_off

T = TypeVar("T")

FIRST_CHARACTERS = 2000  # of the first content, as much as a person reads
TOKEN_SECONDS = 3.0  # for counting tokens, the loading of a tokenizer included


def columns_json(conn: sqlite3.Connection, table: str, asked: Asked) -> list[dict[str, Any]]:
    """The columns of the table, and which of them are chosen."""
    source = source_table(conn, table)
    binary = binary_columns(conn, source, source.names)
    chosen = {name.lower() for name in asked.columns}
    return [
        {
            "name": column.name,
            "type": column.type,
            "primary_key": bool(column.primary),
            "binary": column.name in binary,
            "chosen": column.name.lower() in chosen,
        }
        for column in source.columns
    ]


async def preview_json(visit: Visit, asked: Asked, model: EmbeddingModel) -> dict[str, Any]:
    """How much would be embedded, the first content, and what becomes of what is longer than the model reads."""

    def look(conn: sqlite3.Connection) -> tuple[Preview, Recipe, Definition]:
        wanted = define(conn, str(visit.table), asked.columns or None, asked.template, model, **asked.chunking)
        source = source_table(conn, wanted.table)
        recipe = wanted.recipe(source)
        return preview(conn, source, recipe), recipe, wanted

    found, recipe, wanted = await visit.database.execute_fn(look)
    cut = await _if_known(count_longer, model, found.sample) if wanted.chunking is None else None
    chunked = await _if_known(_count_chunks, wanted.chunking, model, recipe, found)
    first = chunked.first if chunked and chunked.first else found.first
    return {
        "rows": found.rows,
        "empty": found.empty,
        "bytes" if wanted.binary else "characters": found.size,
        "complete": found.complete,
        "first": first[:FIRST_CHARACTERS] if isinstance(first, str) else None,
        "first_is_whole": not isinstance(first, str) or len(first) <= FIRST_CHARACTERS,
        "cut": cut and {"checked": cut.checked, "longer": cut.longer, "max_tokens": model.max_tokens},
        "amount": amount(found, binary=wanted.binary),
        "warning": cut_off(cut, model.max_tokens, divisible=recipe.is_divisible),
        "chunks": chunked and _chunks_json(chunked, found),
        "estimate": await _estimate_json(visit, wanted, model, asked.anew),
    }


async def _estimate_json(visit: Visit, wanted: Definition, model: EmbeddingModel, anew: bool) -> dict[str, Any] | None:
    """What it would cost; None where the model has no price."""
    if price_of(model, binary=wanted.binary) is None:
        return None
    try:
        cutter = await _in_time(make_cutter, wanted.chunking, model)
        surveyed = await visit.database.execute_fn(lambda conn: survey(conn, wanted, model, cutter, anew=anew))
        found = await _in_time(estimate, surveyed, model)
    except asyncio.TimeoutError:  # a tokenizer that loads for long
        surveyed = await visit.database.execute_fn(lambda conn: survey(conn, wanted, model, anew=anew))
        found = estimate(surveyed, model, by_length=True)
    return {
        "contents": surveyed.contents,
        "stored": surveyed.stored,
        "tokens": found.tokens,
        "cost": found.cost,
        "exact": found.is_exact,
        "text": estimate_text(found),
    }


def _chunks_json(chunked: Chunked, found: Preview) -> dict[str, Any]:
    counts = {name: getattr(chunked, name) for name in ("checked", "rows", "chunks")}
    return {**counts, "text": chunks_text(chunked, found)}


def _count_chunks(chunking: Chunking | None, model: EmbeddingModel, recipe: Recipe, found: Preview) -> Chunked | None:
    """None where nothing is cut, or the model would have to be loaded to know."""
    cutter = make_cutter(chunking, model) if is_measured(model) else None
    return count_chunks(cutter, recipe, found) if cutter else None


async def _if_known(fn: Callable[..., T | None], *arguments: Any) -> T | None:
    """What it gives, or None where the model takes too long over it or fails: what is told of it is a courtesy."""
    try:
        return await _in_time(fn, *arguments)
    except Exception:
        if raising():
            raise
        return None


async def _in_time(fn: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.wait_for(asyncio.to_thread(fn, *arguments), TOKEN_SECONDS)
