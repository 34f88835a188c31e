"""The rows of the matches, as Datasette shows them on its pages, in JSON and in CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datasette.utils import CustomRow, tilde_encode

from ... import compat
from ...engine.identifiers import free_name
from ...engine.rows import to_json
from ...permissions import may_view_table
from ..visit import Visit
from .asked import MEANING, WORDS
from .finding import Found, Ground, Key

if TYPE_CHECKING:
    from ...engine.search import Match

PASSAGE_CHARACTERS = 600  # of a passage on the page
Row = Any  # sqlite3.Row, or CustomRow where foreign keys have their labels


async def labelled(visit: Visit, ground: Ground, rows: Sequence[Row]) -> list[Row]:
    """The rows with {"value", "label"} for the foreign keys whose table the actor may see."""
    labels: dict[tuple[str, Any], str] = {}
    database, table = visit.database, ground.source.name
    for foreign in await database.foreign_keys_for_table(table) if rows else []:
        column = foreign["column"]
        if column in ground.columns and await may_view_table(
            visit.datasette, visit.actor, database.name, foreign["other_table"]
        ):
            values = [row[column] for row in rows]
            labels |= await compat.expand_foreign_keys(
                visit.datasette, visit.actor, database.name, table, column, values
            )
    return [_with_labels(ground.columns, row, labels) for row in rows] if labels else list(rows)


def _with_labels(columns: Sequence[str], row: Row, labels: dict[tuple[str, Any], str]) -> Row:
    given = CustomRow(list(columns))
    for column in columns:
        value = row[column]
        known = value is not None and (column, value) in labels
        given[column] = {"value": value, "label": labels[column, value]} if known else value
    return given


def matches_json(ground: Ground, found: Found, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The matches as our JSON has them."""
    return [
        {
            "score": match.score,
            "key": [to_json(value) for value in match.key],
            **match.chunks_json(passage),
            **({"ranks": dict(match.ranks)} if match.ranks else {}),
            "row": {column: _plain(row[column]) for column in ground.columns},
        }
        for match, row, passage in zip(found.matches, rows, found.passages, strict=True)
    ]


def _plain(value: Any) -> Any:
    return {**value, "value": to_json(value["value"])} if _is_labelled(value) else to_json(value)


def _is_labelled(value: Any) -> bool:
    return isinstance(value, dict)


def as_csv(visit: Visit, ground: Ground, found: Found, rows: Sequence[Row], *, labels: bool) -> str:
    """The matches as CSV: the score, ranks and passages where there are any, and the row's columns."""
    rankings = sorted({name for match in found.matches for name in match.ranks})
    with_label = {column for row in rows for column in ground.columns if labels and _is_labelled(row[column])}
    with_passage = ["passage"] if any(found.passages) else []
    ours = ["score", *(f"rank_{name}" for name in rankings), *with_passage]
    header = [free_name(name, ground.columns) for name in ours]
    for column in ground.columns:
        header += [column, f"{column}_label"] if column in with_label else [column]
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(header)
    for match, row, passage in zip(found.matches, rows, found.passages, strict=True):
        cells = [match.score, *(match.ranks.get(name) for name in rankings), *([passage] if with_passage else [])]
        for column in ground.columns:
            cells += _cells(visit, path_of(match.key), row[column], column, column in with_label)
        writer.writerow(cells)
    return output.getvalue()


def _cells(visit: Visit, path: str, value: Any, column: str, with_label: bool) -> list[Any]:
    label = ""
    if _is_labelled(value):
        value, label = value["value"], value["label"]
    if isinstance(value, bytes):  # its address, as Datasette's CSV has it
        blob = visit.datasette.urls.row_blob(visit.database.name, visit.table, path, column)
        value = visit.datasette.absolute_url(visit.request, blob)
    return [value, label] if with_label else [value]


def path_of(key: Key) -> str:
    """The path of a row in Datasette's addresses."""
    return ",".join(tilde_encode(str(value)) for value in key)


def passage_shown(match: Match, passage: str | None) -> dict[str, Any] | None:
    """The passage that matched as the page has it: its beginning, and where it stands in the row's text."""
    if match.chunk is None or passage is None:
        return None
    shown = passage[:PASSAGE_CHARACTERS]
    place = f"characters {match.chunk.start + 1:,} to {match.chunk.end:,}"
    return {"text": shown, "is_whole": shown == passage, "place": place}


def places(match: Match) -> str:
    """Where which ranking had the match: "2nd by meaning, 1st by words"; nothing where there was but one of meaning."""
    ranks = [(name, match.ranks[name]) for name in (MEANING, WORDS) if name in match.ranks]
    return ", ".join(f"{_ordinal(place)} by {name}" for name, place in ranks)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
