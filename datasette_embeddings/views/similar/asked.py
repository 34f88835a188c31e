"""What somebody searches for and how, read and checked from the address, a form or JSON."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...engine.errors import EmbedError
from ..asked import form_fields, json_object
from ..visit import Visit

MEANING, WORDS, BOTH = MODES = ("meaning", "words", "both")
KINDS = ("q", "row", "vector", "image")
SIZE = 10


@dataclass(frozen=True)
class Search:
    """A query, of which there is exactly one kind or none, and how it is answered."""

    q: str | None = None
    row: str | None = None  # a row path as in Datasette's addresses
    vector: list[float] | None = None
    image: bytes | None = None
    mode: str = MEANING
    size: int = SIZE
    collection: str | None = None
    min_score: float | None = None

    @property
    def kind(self) -> str | None:
        """Which of them was given."""
        return next((kind for kind in KINDS if getattr(self, kind) is not None), None)


async def search_of(visit: Visit) -> Search:
    """What this request searches for."""
    arguments = visit.request.args
    given: dict[str, Any] = {name: arguments.get(name) for name in ("q", "row")}
    given |= {name: arguments.get(f"_{name}") for name in ("mode", "size", "collection", "min_score")}
    if visit.request.method == "POST":
        given |= await _posted(visit)
    return _checked({name: value for name, value in given.items() if value is not None}, _most(visit))


def unread(visit: Visit) -> Search:
    """What the form keeps of a search that cannot be read: its text."""
    return Search(q=visit.request.args.get("q"))


async def _posted(visit: Visit) -> dict[str, Any]:
    if visit.is_json:
        return await json_object(visit.request, (*KINDS, "mode", "size", "collection", "min_score"))
    fields = await form_fields(visit.request)
    given: dict[str, Any] = {name: fields[name][-1] for name in KINDS if name in fields}
    return given | {name: _from_json(given[name]) for name in ("vector",) if name in given}


def _from_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _most(visit: Visit) -> int:
    return int(visit.datasette.setting("max_returned_rows"))


def _checked(given: Mapping[str, Any], most: int) -> Search:
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) > 1:
        raise EmbedError(f"Search by {kinds[0]!r} or by {kinds[1]!r}, not by both at once")
    texts = {name: _text(name, given[name]) for name in ("q", "row", "collection") if name in given}
    search = Search(
        **texts,
        vector=_vector(given["vector"]) if "vector" in given else None,
        image=_image(given["image"]) if "image" in given else None,
        mode=_mode(given.get("mode") or MEANING),
        size=_size(given.get("size"), most),
        min_score=_score(given.get("min_score")),
    )
    if search.mode != MEANING and search.kind not in ("q", None):
        raise EmbedError(f"The mode {search.mode!r} looks for words, so it takes a text: {search.kind!r} has none")
    if search.mode == WORDS and search.min_score is not None:
        raise EmbedError("The mode 'words' gives no scores, so a least score would leave nothing")
    return search


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise EmbedError(f"{name!r} must be a string")
    return value


def _mode(value: object) -> str:
    if value not in MODES:
        raise EmbedError(f"There is no mode {value!r}: it is {', '.join(MODES[:-1])} or {MODES[-1]}")
    return str(value)


def _size(value: object, most: int) -> int:
    if value in (None, ""):
        return min(SIZE, most)
    if value == "max":
        return most
    wrong = EmbedError(f"The size must be a whole number from 1 to {most:,}, not {str(value)[:50]!r}")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong
    try:
        size = int(value)
    except ValueError:
        raise wrong from None
    if not 1 <= size <= most:
        raise wrong
    return size


def _score(value: object) -> float | None:
    if value in (None, ""):
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str) or not math.isfinite(float(value)):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise EmbedError(f"The least score must be a number such as 0.5, not {str(value)[:50]!r}") from None


def _vector(value: object) -> list[float]:
    if isinstance(value, list) and value and all(type(number) in (int, float) for number in value):
        return value
    raise EmbedError("'vector' must be an array of numbers")


def _image(value: object) -> bytes:
    try:
        image = base64.b64decode(_text("image", value), validate=True)
    except (binascii.Error, ValueError):
        raise EmbedError("'image' must be the image's bytes in base64") from None
    if not image:
        raise EmbedError("The image is empty: choose a file")
    return image
