"""The pictures beside the matches of a collection of images: each served as it is stored, to who may see the table."""

from __future__ import annotations

import re
import sqlite3
from typing import Any
from urllib.parse import urlencode

from datasette import Response

from ...engine.errors import NotFound
from ...engine.identifiers import quote
from ..visit import Urls, Visit
from .finding import Ground, ground_of, row_key

LARGEST = 10_000_000  # bytes of a picture that is shown
# How the kinds begin that browsers show. SVG is not one of them: it is a document with scripts.
BEGINNINGS = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8[79]a",
    "image/webp": rb"RIFF.{4}WEBP",
    "image/avif": rb".{4}ftypavi[fs]",
    "image/bmp": rb"BM.{4}\0{4}",
}
# What a picture may do if somebody opens it by itself: nothing, and it is never taken for anything else.
HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def kind_of(data: bytes) -> str | None:
    """The media type of a picture, told by its first bytes; None for anything else."""
    return next((kind for kind, begins in BEGINNINGS.items() if re.match(begins, data, re.DOTALL)), None)


def picture_url(visit: Visit, ground: Ground, row: Any, path: str) -> str | None:
    """The address of a row's picture; None where the collection is not of images, or the row has none to show."""
    collection = ground.collection
    column = collection.definition.columns[0] if collection.definition.binary else None
    value = row[column] if column in ground.columns else None
    if not isinstance(value, bytes) or len(value) > LARGEST or kind_of(value) is None:
        return None
    address = Urls(visit.datasette).similar(visit.database.name, str(visit.table)) + "/picture"
    return f"{address}?{urlencode({'row': path, '_collection': collection.name})}"


async def picture(visit: Visit) -> Response:
    """The picture of the row that the address names; NotFound where it has none."""
    arguments = visit.request.args
    ground, path = await ground_of(visit, arguments.get("_collection")), arguments.get("row") or ""
    data = await visit.database.execute_fn(lambda conn: _stored(conn, ground, path))
    kind = kind_of(data) if isinstance(data, bytes) else None
    if kind is None:
        raise NotFound(f"The row {path[:100]!r} of {ground.source.name} has no picture to show")
    return Response(data, headers=dict(HEADERS), content_type=kind)


def _stored(conn: sqlite3.Connection, ground: Ground, path: str) -> object:
    """What the collection's column has in that row; None where that is too large, or the collection not of images."""
    if not ground.collection.definition.binary:
        return None
    column = quote(ground.collection.definition.columns[0])
    where = " and ".join(f"{quote(key.name)} = ?" for key in ground.source.keys)
    sql = f"select {column} from {quote(ground.source.name)} where {where} and length({column}) <= {LARGEST}"
    row = conn.execute(sql, row_key(conn, ground.source, path)).fetchone()
    return row[0] if row else None
