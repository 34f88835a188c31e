"""Matches as JSON, as lines of JSON, as CSV and as a table for people."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..engine.identifiers import free_name
from ..engine.rows import to_json
from ..wording import counted
from .asked import MEANING, WORDS
from .grid import grid
from .progress import one_line

if TYPE_CHECKING:
    from .finding import Found  # it comes with numpy

SHOWN_COLUMNS = 3  # of a row beside its key, where nobody chose any
SHOWN_CHARACTERS = 1_000  # of one value, before it is cut to the terminal's width
RANKINGS = (MEANING, WORDS)


def as_json(found: Found) -> str:
    """A JSON array, a match an object."""
    return json.dumps(list(_objects(found)), indent=2, ensure_ascii=False) + "\n"


def as_lines(found: Found) -> str:
    """A line for each match, each an object of JSON."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in _objects(found))


def as_csv(found: Found) -> str:
    """The score, ranks and passages where there are any, and the row's columns; binary in base64."""
    columns = found.ground.columns
    rankings = [name for name in RANKINGS if any(name in match.ranks for match in found.matches)]
    with_passage = ["passage"] if any(found.passages) else []
    ours = ["score", *(f"rank_{name}" for name in rankings), *with_passage]
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow([*(free_name(name, columns) for name in ours), *columns])
    for match, row, passage in zip(found.matches, found.rows, found.passages, strict=True):
        cells = [match.score, *(match.ranks.get(name) for name in rankings), *([passage] if with_passage else [])]
        writer.writerow([*cells, *map(_csv_cell, row)])
    return output.getvalue()


def as_table(found: Found) -> str:
    """A line for each match, cut to the terminal's width."""
    if not found.matches:
        return ""
    keys, shown = found.ground.keys, _shown(found)
    fixed: list[tuple[str, list[str]]] = []
    if any(match.score is not None for match in found.matches):
        fixed.append(("score", ["" if match.score is None else f"{match.score:.4f}" for match in found.matches]))
    if len({name for match in found.matches for name in match.ranks}) > 1:
        fixed += [(name, [str(match.ranks.get(name, "")) for match in found.matches]) for name in RANKINGS]
    first = [_texts(found, name) for name in shown if name in keys]
    rest = [_texts(found, name) for name in shown if name not in keys]
    if any(found.passages):
        rest.insert(0, ("passage", [_cell(passage) for passage in found.passages]))
    return grid([*fixed, *first, *rest], len(fixed) + len(first), shutil.get_terminal_size().columns)


FORMATS: dict[str, Callable[[Found], str]] = {"table": as_table, "json": as_json, "nl": as_lines, "csv": as_csv}


def _objects(found: Found) -> Iterator[dict[str, Any]]:
    """The matches as the JSON of /-/similar has them."""
    for match, row, passage in zip(found.matches, found.rows, found.passages, strict=True):
        yield {
            "score": match.score,
            "key": [to_json(value) for value in match.key],
            **match.chunks_json(passage),
            **({"ranks": dict(match.ranks)} if match.ranks else {}),
            "row": dict(zip(found.ground.columns, map(to_json, row), strict=True)),
        }


def _shown(found: Found) -> Sequence[str]:
    """The columns of a table: those that were chosen, else the key and the first texts, what is embedded before all."""
    ground = found.ground
    if ground.chosen:
        return ground.columns
    rest = [name for name in ground.columns if name not in ground.keys]
    texts = [name for name in rest if any(isinstance(value, str) for value in _values(found, name))]
    wanted = sorted(texts, key=lambda name: name not in ground.embedded)[:SHOWN_COLUMNS]
    return [*ground.keys, *([name for name in rest if name in wanted] or rest[:SHOWN_COLUMNS])]


def _values(found: Found, column: str) -> list[Any]:
    place = found.ground.columns.index(column)
    return [row[place] for row in found.rows]


def _texts(found: Found, column: str) -> tuple[str, list[str]]:
    return one_line(column), [_cell(value) for value in _values(found, column)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<Binary: {counted(len(value), 'byte')}>"
    return " ".join(one_line(str(value)[:SHOWN_CHARACTERS]).split())


def _csv_cell(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
