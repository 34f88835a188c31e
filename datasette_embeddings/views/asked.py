"""What somebody asked for, read and checked from JSON, a form or the address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from ..engine.chunking import AUTOMATIC, Chunking, chunking_of
from ..engine.errors import EmbedError
from ..engine.jobs import Given

LIMITS = ("max_cost", "max_rows")
CHUNKS = ("chunking", "chunk_size", "chunk_unit", "chunk_overlap")  # the fields of a form


@dataclass(frozen=True)
class Asked:
    """How a table is to be embedded, as far as it was said."""

    columns: tuple[str, ...] = ()
    template: str | None = None
    model: str | None = None
    collection: str | None = None
    follow: bool | None = None  # None: nobody said
    limits: Given = field(default_factory=dict)
    cut: Mapping[str, Any] = field(default_factory=dict)  # {"chunking": …} as JSON has it, or nothing
    anew: bool = False  # of a change: no vector that is stored is taken over

    @property
    def chunking(self) -> dict[str, Chunking | None]:
        """How texts are cut, for define() and changed(), as far as it was said; EmbedError where it makes no sense."""
        return {name: chunking_of(value) for name, value in self.cut.items()}


async def json_object(request, known: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object of the body; EmbedError says what is wrong with it, or names a member that is not known."""
    try:
        body = json.loads(await request.post_body())
    except (ValueError, RecursionError) as error:
        raise EmbedError(f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise EmbedError(f"The body must be a JSON object with {_listed(known)}")
    for name in body:
        if name not in known:
            raise EmbedError(f"The body has a member {name!r}, which means nothing here; it may have {_listed(known)}")
    return body


async def form_fields(request) -> dict[str, list[str]]:
    """The fields of a form: Datasette's post_vars() keeps only one of the columns."""
    return parse_qs((await request.post_body()).decode("utf-8", "replace"), keep_blank_values=True)


def asked_by_json(body: dict[str, Any]) -> Asked:
    """What a JSON body asks for."""
    columns = body.get("columns")
    if columns is not None and not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
        raise EmbedError("'columns' must be a list of column names")
    texts = {name: body.get(name) for name in ("template", "model", "collection")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise EmbedError(f"{name!r} must be a string or null")
    for value in (*(columns or ()), *texts.values()):
        if value is not None and not _is_unicode(value):
            raise EmbedError(f"{value!r} is not Unicode text: it holds half of a surrogate pair")
    follow = body.get("follow")
    if follow is not None and not isinstance(follow, bool):
        raise EmbedError("'follow' must be true or false")
    cut = {name: body[name] for name in ("chunking",) if name in body}
    return Asked(tuple(columns or ()), **texts, follow=follow, limits=limits_in_json(body), cut=cut)


def limits_in_json(body: dict[str, Any]) -> Given:
    """The limits that a JSON body gives; null lifts one."""
    return {name: body[name] for name in LIMITS if name in body}


def limits_in_fields(fields: dict[str, list[str]]) -> Given:
    """The limits in the fields of a form; an empty field lifts its limit."""
    return {name: _number(fields[name][-1].strip()) for name in LIMITS if name in fields}


def cut_in_fields(fields: dict[str, list[str]]) -> dict[str, Any]:
    """How long texts are cut, as JSON would say it: `chunking` is auto, none, or size with the other fields."""
    kind, size, unit, overlap = ((fields.get(name) or [""])[-1].strip() for name in CHUNKS)
    if kind == "size":
        return {"chunking": {"size": _number(size), "unit": unit or None, "overlap": _number(overlap)}}
    return {"chunking": {"auto": True, "none": False}.get(kind, kind)} if kind else {}


def cut_fields(asked: Asked) -> dict[str, Any]:
    """What stands in the fields of a form for this."""
    given = asked.cut.get("chunking", True)
    if isinstance(given, dict) and given != AUTOMATIC.as_json():
        return {"kind": "size", **given}
    return {"kind": "auto" if given else "none"}


def asked_by_fields(fields: dict[str, list[str]]) -> Asked:
    """What a form or an address asks for; what was left empty was not said."""

    def last(name: str) -> str | None:
        return (fields.get(name) or [""])[-1] or None

    template = last("template")
    if template is not None:
        template = template.replace("\r\n", "\n")  # as forms send the end of a line
    return Asked(
        tuple(fields.get("columns") or ()),
        template,
        last("model"),
        last("collection"),
        last("follow") is not None if "follow" in fields else None,  # of a box that is not ticked, a hidden field tells
        limits_in_fields(fields),
        cut_in_fields(fields),
        last("anew") is not None,
    )


def _number(text: str) -> object:
    """A number; a text that is none comes back as it is, to be refused where limits are."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _listed(names: tuple[str, ...]) -> str:
    quoted = [repr(name) for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]
