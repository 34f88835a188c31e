"""The page on which a table is searched: the query, the filters, the matches, and the ways on from there."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasette import Response

from ... import compat
from ...engine.errors import EmbedError, ModelError, raising
from ..visit import Urls, Visit
from ..words import without_folders
from .arguments import QUERIES, Argument, address, arguments_of, is_filter, is_restriction, tidied
from .asked import BOTH, MEANING, MODES, WORDS, Search, search_of, unread
from .data import answer_csv, answer_json
from .equivalent import to_sql
from .filtering import Filtering, filtering_of, unchecked
from .finding import Found, Ground, Key, find, ground_of
from .pictures import picture_url
from .rows import labelled, passage_shown, path_of, places
from .vectors import StillLoading, can_ask

if TYPE_CHECKING:
    from ...engine.search import Match


async def answer(visit: Visit) -> Response:
    """The matches, as a page, JSON or CSV."""
    if tidy := tidied(visit):
        # 307 has the browser post the image again.
        return Response.redirect(tidy, status=302 if visit.request.method == "GET" else 307)
    if visit.is_json:
        return await answer_json(visit)
    if visit.request.url_vars.get("format") == "csv":
        return await answer_csv(visit)
    return await _page(visit)


@dataclass(frozen=True)
class _Shown:
    """A search as far as it came: what was asked, and what was found or is wrong."""

    search: Search
    ground: Ground
    filtering: Filtering
    found: Found | None
    error: EmbedError | None


async def _page(visit: Visit) -> Response:
    shown = await _search(visit)
    error = shown.error
    context = {
        **(await _form(visit, shown)),
        **_carried(visit),
        **(await _results(visit, shown, shown.found) if shown.found else {"found": False}),
        "error": without_folders(str(error)) if error else None,
        "loading": isinstance(error, StillLoading),
        "status_url": Urls(visit.datasette).collection(visit.database.name, shown.ground.collection.name),
    }
    return await visit.page("embed_similar.html", context, error.status if error else 200)


async def _search(visit: Visit) -> _Shown:
    """What was found, or the first thing that is wrong; the form keeps what can be read."""
    error: EmbedError | None = None
    try:
        search = await search_of(visit)
    except EmbedError as wrong:
        search, error = unread(visit), wrong
    ground = await ground_of(visit, search.collection)
    filtering, found = unchecked(visit), None
    try:
        filtering = await filtering_of(visit, ground.source)
        if search.kind is not None and error is None:
            found = await find(visit, ground, filtering, search)
    except EmbedError as wrong:
        if isinstance(wrong, ModelError) and raising():
            raise
        error = error or wrong
    return _Shown(search, ground, filtering, found, error)


async def _form(visit: Visit, shown: _Shown) -> dict[str, Any]:
    """What the form shows of the query and the filters."""
    search, ground, filtering = shown.search, shown.ground, shown.filtering
    return {
        "search": search,
        "collection": ground.collection,
        "collections": ground.collections,
        "modes": await _modes(visit, ground),
        "takes_image": await can_ask(visit, ground.collection, binary=True),
        "image": base64.b64encode(search.image).decode() if search.image else "",
        "filters": filtering.filters,
        "filter_columns": ground.names,
        "description": filtering.description,
    }


async def _modes(visit: Visit, ground: Ground) -> list[str]:
    """How the actor may search the table by text, if at all."""
    by_meaning, by_words = await can_ask(visit, ground.collection), ground.index is not None
    possible = {MEANING: by_meaning, WORDS: by_words, BOTH: by_meaning and by_words}
    return [mode for mode in MODES if possible[mode]]


def _carried(visit: Visit) -> dict[str, Any]:
    """The arguments that the form sends again, and those that can be taken away one by one."""
    pairs = arguments_of(visit.request)
    others = [pair for pair in pairs if is_restriction(pair[0])]
    return {
        "others": [
            {"name": name, "value": value, "remove_url": address(visit, [p for p in pairs if p != (name, value)])}
            for name, value in others
        ],
        "post_url": address(visit, [pair for pair in pairs if pair[0] not in QUERIES]),
    }


async def _results(visit: Visit, shown: _Shown, found: Found) -> dict[str, Any]:
    """What the page shows of the matches, and the ways on from there."""
    database, table, ground = visit.database.name, str(visit.table), shown.ground
    rows = await labelled(visit, ground, found.rows)
    columns, cells = await compat.display_rows(visit.datasette, visit.request, database, table, ground.columns, rows)
    parts = zip(found.matches, rows, cells, found.passages, strict=True)
    pairs = arguments_of(visit.request)
    json_url = address(visit, pairs, "json") if visit.request.method == "GET" else None
    return {
        "found": True,
        "display_columns": columns,
        "with_passages": any(found.passages),
        "results": [_result(visit, ground, *part) for part in parts],
        "row_url": visit.datasette.urls.row(database, table, path_of(found.key)) if found.key else None,
        "row_name": _name(found.key) if found.key else None,
        "json_url": json_url,
        "csv_url": address(visit, [*pairs, ("_labels", "on")], "csv") if json_url else None,
        "sql": await to_sql(visit, ground, shown.filtering, shown.search, found),
        "alternate_url_json": json_url,
    }


def _result(visit: Visit, ground: Ground, match: Match, row: Any, cells: Any, passage: str | None) -> dict[str, Any]:
    """What the page shows of one match."""
    path = path_of(match.key)
    has_path = not any(isinstance(value, bytes) for value in match.key)  # Datasette has none for binary
    return {
        "name": _name(match.key),
        "score": match.score,
        "places": places(match),
        "passage": passage_shown(match, passage),
        "cells": cells,
        "picture_url": picture_url(visit, ground, row, path),
        "url": visit.datasette.urls.row(visit.database.name, str(visit.table), path),
        "similar_url": address(visit, [("row", path), *_kept(visit)]) if has_path else None,
    }


def _name(key: Key) -> str:
    return ", ".join(str(value) for value in key)


def _kept(visit: Visit) -> list[Argument]:
    """The arguments under which rows like a match are searched for."""
    return [
        (name, value)
        for name, value in arguments_of(visit.request)
        if is_filter(name) or is_restriction(name) or name in ("_collection", "_size")
    ]
