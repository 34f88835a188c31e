"""One SQL query to try on a collection."""

from __future__ import annotations

import sqlite3
from urllib.parse import urlencode

from ..engine.collections import Collection
from ..engine.errors import EmbedError
from ..engine.identifiers import quote
from ..engine.tables import SourceTable, source_table
from ..registry import Registry


def example_sql(conn: sqlite3.Connection, collection: Collection, registry: Registry) -> str | None:
    """The rows nearest to a question, or to one row where SQL may not use the model; None without the table."""
    try:
        source = source_table(conn, collection.table)
        shown = _shown(source, collection)
    except EmbedError:
        return None
    vectors = quote(collection.vector_table)
    return (
        f"select {', '.join(shown)},\n"
        f"  embed_cosine(v.vector, {_query(collection, registry)}) as score\n"
        f"from {vectors} as v\n"
        f"join {quote(source.name)} as t on {source.joined('t', 'v')}\n"
        "order by score desc\n"
        "limit 10"
    )


def example_url(datasette, database, sql: str) -> str:
    """The page of Datasette that runs it; 1.0 sends it on to its own address."""
    arguments = {"sql": sql, **({"q": "how do I begin?"} if ":q" in sql else {})}
    return datasette.urls.database(database.name) + "?" + urlencode(arguments)


def _shown(source: SourceTable, collection: Collection) -> list[str]:
    names = [key.name for key in source.keys]
    first = collection.recipe(source).reads[0]
    if first not in names and not collection.definition.binary:
        names.append(first)
    return [f"t.{quote(name)}" for name in names]


def _query(collection: Collection, registry: Registry) -> str:
    try:
        registered = registry.find(collection.model)
    except EmbedError:
        registered = None
    if registered is None or not registered.sql or not registered.model.supports_text:
        return f"(select vector from {quote(collection.vector_table)} limit 1)"
    name = registered.short_name.replace("'", "''")
    return f"embed('{name}', :q, 'query')"
