"""The route table: every page and its JSON twin, and for each method the permission that it takes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..permissions import EMBED_TABLE
from . import change, collection, form, lists, similar
from .answering import answering
from .visit import Visit


@dataclass(frozen=True)
class Endpoint:
    """What answers one method of one route; `permission` is checked on what the address names.

    For a collection that is its source table, and who may not see that is told there is no such collection.
    """

    permission: str
    handler: Callable[[Visit], Awaitable[Any]]


ROUTES: dict[str, dict[str, Endpoint]] = {
    "/-/embed": {
        "GET": Endpoint("view-instance", lists.show_instance),
    },
    "/{database}/-/embed": {
        "GET": Endpoint("view-database", lists.show_database),
    },
    "/{database}/{table}/-/embed": {
        "GET": Endpoint(EMBED_TABLE, form.show),
        "POST": Endpoint(EMBED_TABLE, form.create),
    },
    "/{database}/{table}/-/similar": {
        "GET": Endpoint("view-table", similar.answer),
        "POST": Endpoint("view-table", similar.answer),
    },
    "/{database}/{table}/-/similar/picture": {
        "GET": Endpoint("view-table", similar.picture),
    },
    "/{database}/-/embed/{collection}": {
        "GET": Endpoint("view-table", collection.show),
        "POST": Endpoint(EMBED_TABLE, collection.act),
    },
    "/{database}/-/embed/{collection}/change": {
        "GET": Endpoint(EMBED_TABLE, change.show),
        "POST": Endpoint(EMBED_TABLE, change.begin),
    },
}


FORMATS = {  # beside the page; the others have JSON alone
    "/{database}/{table}/-/similar": "json|csv",
    "/{database}/{table}/-/similar/picture": "",
}


def pattern(path: str) -> str:
    """The regular expression of a path and its twins; dots in names are tilde-encoded, so .json is never a name."""
    formats = FORMATS.get(path, "json")
    twins = rf"(\.(?P<format>{formats}))?" if formats else ""
    return "^" + re.sub(r"{(\w+)}", r"(?P<\1>[^/.]+)", path) + twins + "$"


def routes() -> list[tuple[str, Callable]]:
    """The routes as Datasette wants them."""
    return [(pattern(path), answering(endpoints)) for path, endpoints in ROUTES.items()]


_JSON_PATHS = [path for path in ROUTES if "json" in FORMATS.get(path, "json")]
_JSON = re.compile("(" + "|".join(re.sub(r"{\w+}", "[^/.]+", path) for path in _JSON_PATHS) + r")\.json$")


def skip_csrf(scope) -> bool:
    """True for a JSON body to a JSON route of ours: a page elsewhere cannot send one without asking first."""
    headers = dict(scope.get("headers") or [])
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    # Searched, not matched: the path begins with the base_url.
    return kind == b"application/json" and _JSON.search(scope["path"]) is not None
