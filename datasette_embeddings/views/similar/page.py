"""The page on which a table is searched: the query, the filters, the matches, and the ways on from there."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from datasette import Response
from datasette.utils import filters_should_redirect, value_as_boolean

from ... import compat
from ...engine.errors import EmbedError, ModelError, raising
from ..visit import Urls, Visit
from ..words import without_folders
from .asked import BOTH, MEANING, MODES, SIZE, WORDS, Search, search_of
from .equivalent import sql_url
from .filtering import Argument, Filtering, arguments_of, filtering_of, is_filter, unchecked
from .finding import Found, Ground, find, ground_of
from .pictures import picture_url
from .rows import as_csv, labelled, matches_json, passage_shown, path_of, places
from .vectors import StillLoading, can_ask

NOTHING_ASKED = "Say what to search for: q, a text, or row, the path of a row; POST takes vector and image too"
# Arguments that mean something to the table page alone.
OF_THE_TABLE_PAGE = {
    *("_next", "_sort", "_sort_desc", "_sort_by_desc", "_col", "_nocol", "_shape", "_labels", "_label", "_header"),
    *("_facet", "_facet_date", "_facet_array", "_facet_size", "_nofacet", "_nosuggest", "_nocount", "_trace"),
    *("_timelimit", "_extra", "_json", "_json_infinity", "_nl", "_ttl", "_dl", "_stream", "_blob_column"),
}
OURS = {"_mode", "_size", "_collection", "_min_score"}
_DEFAULTS = {("_mode", MEANING), ("_size", str(SIZE))}
_FIELDS = ("_filter_column", "_filter_op", "_filter_value")  # of the form, as on the table page


async def answer(visit: Visit) -> Response:
    """The matches, as a page, JSON or CSV."""
    if address := _tidied(visit):
        # 307 has the browser post the image again.
        return Response.redirect(address, status=302 if visit.request.method == "GET" else 307)
    if visit.is_json:
        return await _json(visit)
    if visit.request.url_vars.get("format") == "csv":
        return await _csv(visit)
    return await _page(visit)


@dataclass(frozen=True)
class _Answer:
    """All that a search came to."""

    search: Search
    ground: Ground
    filtering: Filtering
    found: Found
    rows: list[Any]


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


async def _json(visit: Visit) -> Response:
    result = await _answer(visit)
    about = {
        "database": visit.database.name,
        "table": visit.table,
        "collection": result.ground.collection.name,
        "model": result.ground.collection.model,
        "mode": result.search.mode,
        "filters": result.filtering.description,
    }
    return visit.json({**about, "matches": matches_json(result.ground, result.found, result.rows)})


async def _csv(visit: Visit) -> Response:
    try:
        result = await _answer(visit)
    except EmbedError as error:
        if isinstance(error, ModelError) and raising():
            raise
        return visit.text(without_folders(str(error)) + "\n", status=error.status)
    text = as_csv(visit, result.ground, result.found, result.rows, labels=_with_labels(visit))
    if not visit.request.args.get("_dl"):
        return visit.text(text)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in str(visit.table))
    return visit.text(text, download=f"{name}-similar.csv")


async def _page(visit: Visit) -> Response:
    error: EmbedError | None = None
    search, filtering, found = Search(), unchecked(visit), None
    try:
        search = await search_of(visit)
    except EmbedError as wrong:
        error = wrong
    ground = await ground_of(visit, search.collection)
    try:
        filtering = await filtering_of(visit, ground.source)
        if search.kind is not None:
            found = await find(visit, ground, filtering, search)
    except EmbedError as wrong:
        if isinstance(wrong, ModelError) and raising():
            raise
        error = error or wrong
    context = {
        "search": search,
        "collection": ground.collection,
        "collections": ground.collections,
        "modes": await _modes(visit, ground),
        "takes_image": await can_ask(visit, ground.collection, binary=True),
        "image": base64.b64encode(search.image).decode() if search.image else "",
        "filters": filtering.filters,
        "filter_columns": ground.columns,
        "description": filtering.description,
        **_carried(visit),
        **(await _results(visit, ground, filtering, search, found) if found else {"found": False}),
        "error": without_folders(str(error)) if error else None,
        "loading": isinstance(error, StillLoading),
        "status_url": Urls(visit.datasette).collection(visit.database.name, ground.collection.name),
    }
    return await visit.page("embed_similar.html", context, error.status if error else 200)


async def _modes(visit: Visit, ground: Ground) -> list[str]:
    """How the actor may search the table by text, if at all."""
    by_meaning, by_words = await can_ask(visit, ground.collection), ground.index is not None
    possible = {MEANING: by_meaning, WORDS: by_words, BOTH: by_meaning and by_words}
    return [mode for mode in MODES if possible[mode]]


def _carried(visit: Visit) -> dict[str, Any]:
    """The arguments that the form sends again, and those that can be taken away one by one."""
    pairs = arguments_of(visit.request)
    others = [(name, value) for name, value in pairs if is_restriction(name)]
    return {
        "others": [
            {"name": name, "value": value, "remove_url": _address(visit, [p for p in pairs if p != (name, value)])}
            for name, value in others
        ],
        "post_url": _address(visit, [pair for pair in pairs if pair[0] not in ("q", "row")]),
    }


def is_restriction(name: str) -> bool:
    """True for an argument, such as _where and those of other plugins, that may restrict the rows."""
    return name.startswith("_") and "__" not in name and name not in OURS | OF_THE_TABLE_PAGE


async def _results(visit: Visit, ground: Ground, filtering: Filtering, search: Search, found: Found) -> dict[str, Any]:
    """What the page shows of the matches."""
    database, table = visit.database.name, str(visit.table)
    rows = await labelled(visit, ground, found.rows)
    columns, shown = await compat.display_rows(visit.datasette, visit.request, database, table, ground.columns, rows)
    pairs = arguments_of(visit.request)
    kept = [p for p in pairs if is_filter(p[0]) or is_restriction(p[0]) or p[0] in ("_collection", "_size")]
    by_address = visit.request.method == "GET"
    return {
        "found": True,
        "display_columns": columns,
        "with_passages": any(found.passages),
        "results": [
            {
                "score": match.score,
                "places": places(match),
                "passage": passage_shown(match, passage),
                "cells": cells,
                "picture_url": picture_url(visit, ground, row, path_of(match.key)),
                "url": visit.datasette.urls.row(database, table, path_of(match.key)),
                "similar_url": _address(visit, [("row", path_of(match.key)), *kept]),
            }
            for match, row, cells, passage in zip(found.matches, rows, shown, found.passages, strict=True)
        ],
        "row_url": visit.datasette.urls.row(database, table, path_of(found.key)) if found.key else None,
        "row_name": ", ".join(str(value) for value in found.key) if found.key else None,
        "json_url": _address(visit, pairs, "json") if by_address else None,
        "csv_url": _address(visit, [*pairs, ("_labels", "on")], "csv") if by_address else None,
        "sql_url": await sql_url(visit, ground, filtering, search, found),
        "alternate_url_json": _address(visit, pairs, "json") if by_address else None,
    }


def _address(visit: Visit, pairs: list[Argument], suffix: str | None = None) -> str:
    """This page with these arguments."""
    path = Urls(visit.datasette).similar(visit.database.name, str(visit.table))
    return path + (f".{suffix}" if suffix else "") + ("?" + urlencode(pairs) if pairs else "")


def _tidied(visit: Visit) -> str | None:
    """The address that a form's fields amount to, as on the table page; None where no form was sent."""
    if not any(name.startswith(_FIELDS) for name in visit.request.args):
        return None
    pairs = [pair for pair in arguments_of(visit.request) if not pair[0].startswith(_FIELDS)]
    pairs += [(name, value) for name, value in filters_should_redirect(visit.request.args) if value is not None]
    pairs = [pair for pair in pairs if not (pair in _DEFAULTS or (pair[0] in ("q", "row", *OURS) and not pair[1]))]
    if any(name == "q" for name, _ in pairs):
        pairs = [pair for pair in pairs if pair[0] != "row"]  # what was typed, on a page of rows like a row
    return _address(visit, pairs, visit.request.url_vars.get("format"))
