"""The SQL statement that gives the same rows, for who wants to go on from there."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from ... import compat
from ...engine.errors import EmbedError
from ...engine.identifiers import free_name, quote
from ...engine.tables import SourceTable
from ...searching import model_of
from ..visit import Visit
from .asked import BOTH, WORDS, Search
from .filtering import Filtering
from .finding import Found, Ground

# A name or a text in quotes, which is passed over, or a parameter.
_PARAMETER = re.compile(r""""(?:[^"]|"")*"|'(?:[^']|'')*'|\[[^\]]*\]|(?<!:):(\w+)""")


async def sql_url(visit: Visit, ground: Ground, filtering: Filtering, search: Search, found: Found) -> str | None:
    """The query page with the statement filled in; None where the actor or the model has no way into SQL."""
    database = visit.database.name
    if not await compat.allowed(visit.datasette, visit.actor, "execute-sql", database):
        return None
    statement = equivalent(visit, ground, filtering, search, found)
    if statement is None:
        return None
    sql, parameters = statement
    return visit.datasette.urls.database(database) + "?" + urlencode({"sql": sql, **parameters})


def equivalent(
    visit: Visit, ground: Ground, filtering: Filtering, search: Search, found: Found
) -> tuple[str, dict[str, str]] | None:
    """The statement and its parameters; None for what SQL cannot be asked: words alone, vectors and images."""
    source, parameters = ground.source, _Parameters()
    call = _call(visit, ground, search, found, parameters)
    if call is None:
        return None
    function, query = call
    arguments = [_literal(ground.collection.name), query, str(search.size)]
    if filtering.clauses:
        arguments.append(f"(\n  {_among(source, filtering, parameters)}\n)")
    join = " and ".join(
        f"t.{quote(key.name)} = json_extract(m.value, '$.key[{place}]')" for place, key in enumerate(source.keys)
    )
    columns = ", ".join(f"t.{quote(column)}" for column in ground.columns)
    score = "json_extract(m.value, '$.score')"
    where = f"where {score} >= {search.min_score!r}\n" if search.min_score is not None else ""
    sql = (
        f"select {score} as {quote(free_name('score', ground.columns))}, {columns}\n"
        f"from json_each({function}({', '.join(arguments)})) as m\n"
        f"join {quote(source.name)} as t on {join}\n"
        f"{where}order by m.key"
    )
    return sql, parameters.texts


class _Parameters:
    """Texts stand in the address as parameters, which are texts there; numbers stand in the statement itself."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def put(self, name: str, value: object) -> str:
        if isinstance(value, str):
            self.texts[name] = value
            return f":{name}"
        return "null" if value is None else repr(value)


def _call(
    visit: Visit, ground: Ground, search: Search, found: Found, parameters: _Parameters
) -> tuple[str, str] | None:
    """The function and its query."""
    if found.key is not None:
        if any(isinstance(value, bytes) for value in found.key):
            return None
        values = [parameters.put(f"row_{place}", value) for place, value in enumerate(found.key)]
        return "embed_similar", values[0] if len(values) == 1 else f"json_array({', '.join(values)})"
    if search.q is None or search.mode == WORDS or not _may_be_asked_by_sql(visit, ground):
        return None
    return ("embed_hybrid" if search.mode == BOTH else "embed_search"), parameters.put("q", search.q)


def _may_be_asked_by_sql(visit: Visit, ground: Ground) -> bool:
    try:
        return model_of(visit.datasette, ground.collection).sql
    except EmbedError:
        return False


def _among(source: SourceTable, filtering: Filtering, parameters: _Parameters) -> str:
    keys = ", ".join(quote(key.name) for key in source.keys)
    keys = f"json_array({keys})" if len(source.keys) > 1 else keys
    given = filtering.parameters or {}

    def put(match: re.Match[str]) -> str:
        name = match[1]
        return parameters.put(name, given[name]) if name in given else match[0]

    clauses = [_PARAMETER.sub(put, clause) for clause in filtering.clauses]
    return f"select json_group_array({keys}) from {quote(source.name)} where {' and '.join(clauses)}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
