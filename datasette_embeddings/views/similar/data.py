"""The matches as data: JSON and CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from datasette import Response
from datasette.utils import value_as_boolean

from ...engine.errors import EmbedError
from ..visit import Visit
from .asked import Search, search_of
from .filtering import Filtering, filtering_of
from .finding import Found, Ground, find, ground_of
from .rows import as_csv, labelled, matches_json

NOTHING_ASKED = "Say what to search for: q, a text, or row, the path of a row; POST takes vector and image too"


@dataclass(frozen=True)
class _Answer:
    """All that a search came to."""

    search: Search
    ground: Ground
    filtering: Filtering
    found: Found
    rows: list[Any]


async def answer_json(visit: Visit) -> Response:
    """The matches in JSON."""
    answer = await _answer(visit)
    about = {
        "database": visit.database.name,
        "table": visit.table,
        "collection": answer.ground.collection.name,
        "model": answer.ground.collection.model,
        "mode": answer.search.mode,
        "filters": answer.filtering.description,
    }
    return visit.json({**about, "matches": matches_json(answer.ground, answer.found, answer.rows)})


async def answer_csv(visit: Visit) -> Response:
    """The matches in CSV."""
    answer = await _answer(visit)
    text = as_csv(visit, answer.ground, answer.found, answer.rows, labels=_with_labels(visit))
    if not visit.request.args.get("_dl"):
        return visit.text(text)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in str(visit.table))
    return visit.text(text, download=f"{name}-similar.csv")


async def _answer(visit: Visit) -> _Answer:
    search = await search_of(visit)
    ground = await ground_of(visit, search.collection)
    filtering = await filtering_of(visit, ground.source)
    if search.kind is None:
        raise EmbedError(NOTHING_ASKED)
    found = await find(visit, ground, filtering, search)
    rows = await labelled(visit, ground, found.rows) if _with_labels(visit) else list(found.rows)
    return _Answer(search, ground, filtering, found, rows)


def _with_labels(visit: Visit) -> bool:
    try:
        return value_as_boolean(visit.request.args.get("_labels") or "off")
    except ValueError:
        return False
