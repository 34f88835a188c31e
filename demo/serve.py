"""Serve a database with an embedded table, and say what to try first: an address and one SQL query.

python demo/serve.py demo.db docstrings --port 8001
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from datasette.utils import tilde_encode

from datasette_embeddings.engine.collections import Collection, list_collections
from datasette_embeddings.engine.errors import EmbedError
from datasette_embeddings.engine.identifiers import quote
from datasette_embeddings.engine.tables import source_table

HOST = "127.0.0.1"
QUESTIONS = {"docstrings": "wait until several threads have finished"}
TEXT = """
{name} is served at {url}/{database}/{table}
To embed further tables, open the address with a token that follows below, which signs you in, and then
{url}/-/embed

One query to try at {url}/{database} (in the first seconds the model is still loading)

{sql}

or in one click: {url}/{database}?{query}
"""


def main() -> None:
    """Print what to try, then become the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("table")
    parser.add_argument("--port", type=int, default=8001)
    args = parser.parse_args()
    if is_taken(args.port):
        sys.exit(f"Port {args.port} is taken by another program. Choose one: make demo PORT={args.port + 1}")
    try:
        print(introduction(args.path, args.table, args.port), flush=True)
    except EmbedError as error:
        sys.exit(str(error))
    command = [sys.executable, "-m", "datasette", "serve", args.path, "--root", "--port", str(args.port)]
    os.execv(sys.executable, command)


def is_taken(port: int) -> bool:
    """True where another program listens on the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return True
    return False


def introduction(path: str, table: str, port: int) -> str:
    """The address and the query, as text for a terminal."""
    with closing(sqlite3.connect(path)) as conn:
        collection = newest(conn, table)
        sql = nearest(conn, collection, QUESTIONS.get(table, "what I am looking for"))
    return TEXT.format(
        name=f"The table {collection.table} of {path}",
        url=f"http://{HOST}:{port}",
        database=tilde_encode(Path(path).stem),
        table=tilde_encode(collection.table),
        sql=sql,
        query=urlencode({"sql": sql}),
    )


def newest(conn: sqlite3.Connection, table: str) -> Collection:
    """The collection of this table that was made last."""
    found = [collection for collection in list_collections(conn) if collection.table.lower() == table.lower()]
    if not found:
        raise EmbedError(f"The table {table} has no collection yet")
    return max(found, key=lambda collection: collection.id)


def nearest(conn: sqlite3.Connection, collection: Collection, question: str) -> str:
    """SQL for the ten rows nearest to a question."""
    source = source_table(conn, collection.table)
    shown = dict.fromkeys([*(key.name for key in source.keys), *source.names[:4], *collection.definition.columns])
    columns = ", ".join(f"t.{spelled(conn, name)}" for name in shown)
    joined = " and ".join(
        f"t.{spelled(conn, key.name)} = json_extract(m.value, '$.key[{place}]')"
        for place, key in enumerate(source.keys)
    )
    return (
        f"select round(json_extract(m.value, '$.score'), 3) as score,\n  {columns}\n"
        f"from json_each(embed_search({literal(collection.name)}, {literal(question)})) as m\n"
        f"join {spelled(conn, collection.table)} as t on {joined}\n"
        "order by m.key"
    )


def spelled(conn: sqlite3.Connection, name: str) -> str:
    """The name as it stands in SQL: bare where SQLite reads it so, quoted elsewhere."""
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        try:
            conn.execute(f"select {name} from (select 1 as {name})")
            return name
        except sqlite3.OperationalError:  # a word of SQL, such as order
            pass
    return quote(name)


def literal(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    main()
