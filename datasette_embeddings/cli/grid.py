"""Columns of text side by side, cut to a width: counted as a terminal does, where some characters take two places."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

GAP = "  "
LEAST, LEAST_OF_ALL = 8, 3  # places that a column keeps, and that it keeps where there are very many

Column = tuple[str, list[str]]  # its heading and its cells


def grid(columns: Sequence[Column], firm: int, room: int) -> str:
    """The columns below their headings, a line each, at most so wide; the first `firm` ones are cut last."""
    natural = [min(room, max(map(width, (heading, *cells)))) for heading, cells in columns]
    widths = fitted(natural, firm, room - len(GAP) * (len(columns) - 1))
    lines = zip(*([heading, *cells] for heading, cells in columns), strict=True)
    return "".join(_line(cells, widths) for cells in [*lines])


def fitted(widths: Sequence[int], firm: int, room: int) -> list[int]:
    """These widths made smaller, the widest first, until they fit into the room; as far as that is possible."""
    fit = list(widths)
    for places, least in ((range(firm, len(fit)), LEAST), (range(len(fit)), LEAST_OF_ALL)):
        while sum(fit) > room and (wide := [place for place in places if fit[place] > least]):
            fit[max(wide, key=fit.__getitem__)] -= 1
    return fit


def width(text: str) -> int:
    """The places that a text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_places, text))


def cut(text: str, room: int) -> str:
    """The text, or as much of its beginning as there is room for, and an ellipsis."""
    if width(text) <= room:
        return text
    taken, kept = 1, 0  # the ellipsis is one
    for character in text:
        taken += _places(character)
        if taken > room:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def _places(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    parts = [cut(cell, room) for cell, room in zip(cells, widths, strict=True)]
    padded = [part + " " * (room - width(part)) for part, room in zip(parts, widths, strict=True)]
    return GAP.join(padded).rstrip() + "\n"
