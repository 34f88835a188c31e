"""The SQL statement that gives the same rows, for who wants to go on from there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from datasette.utils import InvalidSql, validate_sql_select

from ... import compat
from ...engine.errors import EmbedError
from ...engine.identifiers import free_name, quote
from ...engine.tables import SourceTable
from ...searching import check_query, model_of
from ..visit import Visit
from .asked import BOTH, WORDS, Search
from .filtering import Filtering
from .finding import Found, Ground

if TYPE_CHECKING:
    from ...engine.search.words import Reading

# Characters of an address: uvicorn takes 65,536 bytes of a request's first line and headers, cookies among them.
LONGEST = 60_000
TOO_LONG = "This search is too long for an address, so there is no link to it in SQL"

# A name or a text in quotes, which is passed over, or a parameter.
_PARAMETER = re.compile(r""""(?:[^"]|"")*"|'(?:[^']|'')*'|\[[^\]]*\]|(?<!:):(\w+)""")


class ToSql(NamedTuple):
    """The way from a search to the query page: its address, or why there is none where a person may wonder."""

    url: str | None = None
    problem: str | None = None


async def to_sql(visit: Visit, ground: Ground, filtering: Filtering, search: Search, found: Found) -> ToSql:
    """The query page with the statement filled in; neither address nor problem where nobody could run it."""
    if not await compat.allowed(visit.datasette, visit.actor, "execute-sql", visit.database.name):
        return ToSql()
    statement = await _equivalent(visit, ground, filtering, search, found)
    if statement is None:
        return ToSql()
    sql, parameters = statement
    url = compat.query_url(visit.datasette, visit.database.name) + "?" + urlencode({"sql": sql, **parameters})
    return ToSql(url) if len(url) <= LONGEST else ToSql(problem=TOO_LONG)


async def _equivalent(
    visit: Visit, ground: Ground, filtering: Filtering, search: Search, found: Found
) -> tuple[str, dict[str, str]] | None:
    """The statement and its parameters; None for what SQL cannot be asked, or Datasette would not run."""
    parameters = _Parameters()
    if search.mode == WORDS:
        sql = _by_words(ground, filtering, search, await _reading(visit, ground, search), parameters)
    else:
        sql = _by_function(visit, ground, filtering, search, found, parameters)
    return (sql, parameters.texts) if sql is not None and _is_accepted(sql) else None


def _is_accepted(sql: str) -> bool:
    """Whether the query page runs it: not where a column is named pragma, for one."""
    try:
        validate_sql_select(sql)
    except InvalidSql:
        return False
    return True


class _Parameters:
    """Texts stand in the address as parameters, which are texts there; other values stand in the statement itself."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def put(self, name: str, value: object) -> str:
        if not isinstance(value, str):
            return _literal(value)
        if name.startswith("_") or name == "sql":  # which mean something to the query page
            name = f"p{name}"
        while self.texts.get(name, value) != value:
            name += "_"
        self.texts[name] = value
        return f":{name}"


def _literal(value: object) -> str:
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "null" if value is None else repr(value)


async def _reading(visit: Visit, ground: Ground, search: Search) -> Reading:
    from ...engine.search.words import read_query  # on first use: it comes with numpy

    text = check_query(str(search.q))
    return await visit.database.execute_fn(lambda conn: read_query(conn, ground.source, ground.index, text))


def _by_words(
    ground: Ground, filtering: Filtering, search: Search, reading: Reading, parameters: _Parameters
) -> str | None:
    """The statement for words alone; None for FTS4 and FTS3, whose ranking SQL has no function for."""
    if reading.version < 5 or reading.query is None:
        return None
    index, column = quote(reading.table), quote(reading.column)
    where = f"i.{index} match {parameters.put('q', reading.query)}"
    if filtering.clauses:
        where += f"\nand t.{column} in (\n  {_selected(column, ground.source, filtering, parameters)}\n)"
    return (
        f"select {_columns(ground)}\n"
        f"from {index} as i\n"
        f"join {quote(ground.source.name)} as t on t.{column} = i.rowid\n"
        f"where {where}\n"
        f"order by i.rank, i.rowid\nlimit {search.size}"
    )


def _by_function(
    visit: Visit, ground: Ground, filtering: Filtering, search: Search, found: Found, parameters: _Parameters
) -> str | None:
    """The statement with one of our functions; None where no function can be asked, or its keys not be joined."""
    source = ground.source
    call = _call(visit, ground, search, found, parameters)
    if call is None or not _are_in_json(found):
        return None
    function, query = call
    arguments = [_literal(ground.collection.name), query, str(search.size)]
    if filtering.clauses:
        keys = ", ".join(quote(key.name) for key in source.keys)
        keys = f"json_group_array({keys if len(source.keys) == 1 else f'json_array({keys})'})"
        arguments.append(f"(\n  {_selected(keys, source, filtering, parameters)}\n)")
    score = "json_extract(m.value, '$.score')"
    where = f"where {score} >= {search.min_score!r}\n" if search.min_score is not None else ""
    return (
        f"select {score} as {quote(free_name('score', ground.columns))}, {_columns(ground)}\n"
        f"from json_each({function}({', '.join(arguments)})) as m\n"
        f"join {quote(source.name)} as t on {source.matched('t', 'm')}\n"
        f"{where}order by m.key"
    )


def _call(
    visit: Visit, ground: Ground, search: Search, found: Found, parameters: _Parameters
) -> tuple[str, str] | None:
    """The function and its query: a text where SQL may ask the model, else the vector that it gave."""
    if found.key is not None:
        values = [parameters.put(f"row_{place}", value) for place, value in enumerate(found.key)]
        return "embed_similar", values[0] if len(values) == 1 else f"json_array({', '.join(values)})"
    by_text = search.q is not None and _may_be_asked_by_sql(visit, ground)
    if search.mode == BOTH:
        # embed_hybrid() knows the index that is configured, and not one that the address names.
        is_configured = not any(visit.request.args.get(name) for name in ("_fts_table", "_fts_pk"))
        return ("embed_hybrid", parameters.put("q", search.q)) if by_text and is_configured else None
    return "embed_search", parameters.put("q", search.q) if by_text else _literal(found.vector)


def _may_be_asked_by_sql(visit: Visit, ground: Ground) -> bool:
    try:
        return model_of(visit.datasette, ground.collection).sql
    except EmbedError:
        return False


def _are_in_json(found: Found) -> bool:
    """Whether SQL can read the keys of the matches out of JSON: not binary, for one."""
    from ...engine.search.among import is_json  # as above

    keys = [match.key for match in found.matches] + ([found.key] if found.key else [])
    return all(is_json(value) for key in keys for value in key)


def _columns(ground: Ground) -> str:
    return ", ".join(f"t.{quote(column)}" for column in ground.columns)


def _selected(what: str, source: SourceTable, filtering: Filtering, parameters: _Parameters) -> str:
    """A query of the rows that the filters leave."""
    given = filtering.parameters or {}

    def put(match: re.Match[str]) -> str:
        name = match[1]
        return parameters.put(name, given[name]) if name in given else match[0]

    clauses = [_PARAMETER.sub(put, clause) for clause in filtering.clauses]
    return f"select {what} from {quote(source.name)} where {' and '.join(clauses)}"
