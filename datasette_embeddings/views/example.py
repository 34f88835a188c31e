"""One SQL query to try on a collection."""

from __future__ import annotations

import sqlite3
from urllib.parse import urlencode

from .. import compat
from ..engine.collections import Collection
from ..engine.errors import EmbedError
from ..engine.identifiers import quote
from ..engine.tables import SourceTable, source_table
from ..registry import Registry


def example_sql(conn: sqlite3.Connection, collection: Collection, registry: Registry) -> str | None:
    """The rows nearest to a question, or to one row where SQL may not use the model.

    None where the table is gone, and where its key holds binary, which no JSON can carry.
    """
    try:
        source = source_table(conn, collection.table)
        shown = _shown(source, collection)
    except EmbedError:
        return None
    if any("BLOB" in key.type.upper() for key in source.keys):
        return None
    return (
        f"select {', '.join(shown)}, json_extract(m.value, '$.score') as score\n"
        f"from json_each({_call(source, collection, registry)}) as m\n"
        f"join {quote(source.name)} as t on {source.matched('t', 'm')}\n"
        "order by m.key"
    )


def example_url(datasette, database, sql: str) -> str:
    """The page of Datasette that runs it."""
    arguments = {"sql": sql, **({"q": "how do I begin?"} if ":q" in sql else {})}
    return compat.query_url(datasette, database.name) + "?" + urlencode(arguments)


def _shown(source: SourceTable, collection: Collection) -> list[str]:
    names = [key.name for key in source.keys]
    first = collection.recipe(source).reads[0]
    if first not in names and not collection.definition.binary:
        names.append(first)
    return [f"t.{quote(name)}" for name in names]


def _call(source: SourceTable, collection: Collection, registry: Registry) -> str:
    name = "'" + collection.name.replace("'", "''") + "'"
    try:
        registered = registry.find(collection.model)
    except EmbedError:
        registered = None
    if registered is not None and registered.sql and registered.model.supports_text:
        return f"embed_search({name}, :q)"
    key = ", ".join(quote(column.stored) for column in source.keys)
    key = key if len(source.keys) == 1 else f"json_array({key})"
    return f"embed_similar({name}, (select {key} from {quote(collection.vector_table)} limit 1))"
