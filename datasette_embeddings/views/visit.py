"""One request to a page of ours: what it is about, who asks, and how it is answered."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from datasette import Response
from datasette.utils import add_cors_headers, tilde_encode

from .. import compat
from ..engine.collections import Collection
from ..engine.errors import EmbedError, ReadOnlyDatabase
from ..engine.transactions import is_passing

T = TypeVar("T")
STATIC = "datasette_embed"  # the distribution's name as both Datasette lines route its static files


class SqliteFault(EmbedError):
    """What SQLite could not do: 503 where it may do it later."""

    def __init__(self, error: sqlite3.OperationalError) -> None:
        super().__init__(f"SQLite says: {error}")  # never with a path
        self.status = 503 if is_passing(error) else 500


@dataclass
class Visit:
    """A request, and the database, table or collection in its address once they are found and allowed."""

    datasette: Any
    request: Any
    is_json: bool
    database: Any = None
    table: str | None = None  # of the address, or the collection's source
    collection: Collection | None = None

    @property
    def actor(self) -> dict | None:
        """Who asks; None is nobody."""
        return self.request.actor

    @property
    def actor_id(self) -> str | None:
        """The id under which a job remembers who asked for it."""
        return str(self.actor["id"]) if self.actor and self.actor.get("id") is not None else None

    def require_writable(self) -> None:
        """ReadOnlyDatabase where nothing can be written into the database."""
        if not is_writable(self.database):
            raise self._read_only()

    def _read_only(self) -> ReadOnlyDatabase:
        name = self.database.name
        return ReadOnlyDatabase(f"The database {name!r} is open for reading only, so nothing in it can be embedded")

    async def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function that writes into the database; what SQLite refuses is an EmbedError."""
        try:
            return await compat.write(self.database, fn)
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                raise self._read_only() from error
            raise SqliteFault(error) from error

    def json(self, data: dict, status: int = 200) -> Response:
        """An answer in JSON."""
        headers: dict[str, str] = {}
        if self.datasette.cors:
            add_cors_headers(headers)
        return Response.json({"ok": status < 400, **data}, status=status, headers=headers)

    def text(self, body: str, status: int = 200, *, download: str | None = None) -> Response:
        """An answer in plain text, or in CSV to be saved under a name."""
        headers = {"content-disposition": f'attachment; filename="{download}"'} if download else {}
        if self.datasette.cors:
            add_cors_headers(headers)
        kind = "text/csv" if download else "text/plain"
        return Response(body, status=status, headers=headers, content_type=f"{kind}; charset=utf-8")

    async def page(self, template: str, context: dict, status: int = 200) -> Response:
        """An answer in HTML."""
        names = {
            "embed_urls": Urls(self.datasette),
            "alternate_url_json": f"{self.request.path}.json" if self.request.method == "GET" else None,
            "database": self.database.name if self.database else None,
            "database_color": getattr(self.database, "color", "ff0000"),  # 0.65 has but the one
            "table": self.table,
        }
        html = await self.datasette.render_template(template, {**names, **context}, request=self.request)
        return Response.html(html, status=status)

    async def error(self, message: str, status: int) -> Response:
        """The same sentence, as JSON, as text in place of CSV, or in Datasette's own error page."""
        if self.is_json:
            return self.json({"error": message}, status)
        if self.request.url_vars.get("format") == "csv":
            return self.text(message + "\n", status)
        return await self.page("error.html", {"title": None, "status": status, "error": message}, status)


@dataclass(frozen=True)
class Urls:
    """The addresses of our pages."""

    datasette: Any

    def static(self, file: str) -> str:
        """A file of ours."""
        return self.datasette.urls.static_plugins(STATIC, file)

    def instance(self) -> str:
        """Every collection."""
        return self.datasette.urls.path("-/embed")

    def database(self, database: str) -> str:
        """The collections of one database."""
        return self.datasette.urls.database(database) + "/-/embed"

    def table(self, database: str, table: str) -> str:
        """The form for one table."""
        return self.datasette.urls.table(database, table) + "/-/embed"

    def similar(self, database: str, table: str) -> str:
        """The search of one table."""
        return self.datasette.urls.table(database, table) + "/-/similar"

    def collection(self, database: str, name: str) -> str:
        """One collection."""
        return self.datasette.urls.database(database) + "/-/embed/" + tilde_encode(name)

    def change(self, database: str, name: str) -> str:
        """The form by which a collection is changed."""
        return self.collection(database, name) + "/change"


def is_writable(database) -> bool:
    """False where the database is immutable, or its file may not be written by this process."""
    return bool(database.is_mutable) and (not database.path or os.access(database.path, os.W_OK))
