"""What the form shows of a table before it is embedded."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from ..engine.collections import Definition, define
from ..engine.errors import raising
from ..engine.estimate import estimate, survey
from ..engine.measures import make_cutter
from ..engine.models import EmbeddingModel
from ..engine.preview import Cut, Preview, count_longer, preview
from ..engine.prices import price_of
from ..engine.tables import binary_columns, source_table
from ..wording import estimate_text
from .asked import Asked
from .visit import Visit
from .words import amount, cut_off

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
    """How much would be embedded, the first content, and what the model would cut off."""

    def look(conn: sqlite3.Connection) -> tuple[Preview, Definition]:
        wanted = define(conn, str(visit.table), asked.columns or None, asked.template, model)
        source = source_table(conn, wanted.table)
        return preview(conn, source, wanted.recipe(source)), wanted

    found, wanted = await visit.database.execute_fn(look)
    cut = await _count_longer(model, found)
    return {
        "rows": found.rows,
        "empty": found.empty,
        "bytes" if wanted.binary else "characters": found.size,
        "complete": found.complete,
        "first": found.first[:FIRST_CHARACTERS] if isinstance(found.first, str) else None,
        "first_is_whole": not isinstance(found.first, str) or len(found.first) <= FIRST_CHARACTERS,
        "cut": cut and {"checked": cut.checked, "longer": cut.longer, "max_tokens": model.max_tokens},
        "amount": amount(found, binary=wanted.binary),
        "warning": cut_off(cut, model.max_tokens),
        "estimate": await _estimate_json(visit, wanted, model),
    }


async def _estimate_json(visit: Visit, wanted: Definition, model: EmbeddingModel) -> dict[str, Any] | None:
    """What it would cost; None where the model has no price."""
    if price_of(model, binary=wanted.binary) is None:
        return None
    try:
        cutter = await _in_time(make_cutter, wanted.chunking, model)
        surveyed = await visit.database.execute_fn(lambda conn: survey(conn, wanted, model, cutter))
        found = await _in_time(estimate, surveyed, model)
    except asyncio.TimeoutError:  # a tokenizer that loads for long
        surveyed = await visit.database.execute_fn(lambda conn: survey(conn, wanted, model))
        found = estimate(surveyed, model, by_length=True)
    return {
        "contents": surveyed.contents,
        "stored": surveyed.stored,
        "tokens": found.tokens,
        "cost": found.cost,
        "exact": found.is_exact,
        "text": estimate_text(found),
    }


async def _count_longer(model: EmbeddingModel, found: Preview) -> Cut | None:
    """None also where the model takes too long over it or fails: the warning is a courtesy."""
    try:
        return await _in_time(count_longer, model, found.sample)
    except Exception:
        if raising():
            raise
        return None


async def _in_time(fn: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.wait_for(asyncio.to_thread(fn, *arguments), TOKEN_SECONDS)
