"""The triggers of one collection, in SQL that any program can run: every change of a row notes the row's key."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..identifiers import quote
from ..schema import PREFIX
from ..tables import SourceTable
from .notes import Notes
from .uniques import Unique, watchable

DISPLACING = ("displace_insert", "displace_update", "displace_rowid_insert", "displace_rowid_update")
KINDS = ("insert", "delete", "update", "rekey", *DISPLACING)
NOW = "julianday('now')"  # the cheapest that SQLite 3.35 has, which every insert of the person pays for

_NAME = re.compile(r'"(?:[^"]|"")*"')  # as quote() writes it


@dataclass(frozen=True)
class Spelling:
    """The names in a collection's triggers that renaming a table or a column changes."""

    table: str
    watched: tuple[str, ...]  # columns whose updates are noted, those that are embedded first
    keys: tuple[str, ...]


def can_follow(conn: sqlite3.Connection, table: str) -> bool:
    """False for a virtual table, on which SQLite allows no triggers."""
    row = conn.execute("select rootpage from sqlite_master where type = 'table' and name = ?", (table,)).fetchone()
    return bool(row and row[0])


def spelling(source: SourceTable, reads: Sequence[str]) -> Spelling:
    """The names in the triggers of a table of which these columns are embedded."""
    generated = {column.name for column in source.columns if column.generated}
    # No update names a generated column: any other may change it.
    others = [name for name in source.names if name not in reads] if generated.intersection(reads) else []
    return Spelling(source.name, (*reads, *others), tuple(key.name for key in source.keys))


def expected(
    conn: sqlite3.Connection, collection: str, source: SourceTable, notes: Notes, reads: Sequence[str]
) -> dict[str, str]:
    """The triggers that a collection should have which embeds these columns: SQL by name, as SQLite keeps it."""
    names = spelling(source, reads)
    displaced = {**_of_displaced(notes, names, watchable(conn, source)), **_of_rowids(notes, names, source)}
    return _named(collection, {**_of_rows(notes, names), **displaced})


def present(conn: sqlite3.Connection, collection: str) -> dict[str, str]:
    """The triggers that it has."""
    names = [trigger_name(kind, collection) for kind in KINDS]
    sql = f"select name, sql from sqlite_master where type = 'trigger' and name in ({', '.join('?' * len(names))})"
    return dict(conn.execute(sql, names).fetchall())


def create_triggers(conn: sqlite3.Connection, triggers: dict[str, str]) -> None:
    """Create what expected() gave."""
    for sql in triggers.values():
        conn.execute(sql)


def drop_triggers(conn: sqlite3.Connection, collection: str) -> None:
    """Drop every trigger of the collection: before its notes, without which each of them breaks a person's write."""
    for name in present(conn, collection):
        conn.execute(f"drop trigger {quote(name)}")


def trigger_name(kind: str, collection: str) -> str:
    """The name of one of a collection's triggers."""
    return f"{PREFIX}{kind}_{collection}"


def spelled(triggers: dict[str, str], collection: str, notes: Notes) -> Spelling | None:
    """The names that the triggers have by now, for SQLite rewrites them; None where some are missing or not ours."""
    sql = triggers.get(trigger_name("update", collection), "")
    found = [name[1:-1].replace('""', '"') for name in _NAME.findall(sql)]
    width = len(notes.keys)
    own = 2 * width + 2  # the table of the notes, its columns and the keys' values
    if len(found) < own + 3:
        return None
    names = Spelling(found[-own - 1], tuple(found[1 : -own - 1]), tuple(found[-width:]))
    wanted = _named(collection, _of_rows(notes, names))
    return names if wanted.items() <= triggers.items() else None


def _of_rows(notes: Notes, names: Spelling) -> dict[str, str]:
    old, new = (_row(alias, names) for alias in ("old", "new"))
    return {
        "insert": _body("after insert", names, _values(notes, new)),
        "delete": _body("after delete", names, _values(notes, old)),
        # `when old.a is not new.a` would note less, but then SQLite refuses to drop the column a.
        "update": _body(f"after update of {_list(names.watched)}", names, _values(notes, new)),
        # Not `of` the key: `update … set rowid = 5` names it otherwise.
        "rekey": _body("after update", names, _values(notes, old, new), when=f"not ({_same(names.keys)})"),
    }


def _of_displaced(notes: Notes, names: Spelling, uniques: Sequence[Unique]) -> dict[str, str]:
    """What notes the rows that `or replace` will delete, for it fires no delete trigger."""
    if not uniques:
        return {}
    columns = _list(dict.fromkeys(column for unique in uniques for column, _ in unique))
    on_insert = [_displaced(notes, names, unique) for unique in uniques]
    on_update = [f"{statement} and not ({_same(names.keys, 'old')})" for statement in on_insert]
    return {
        "displace_insert": _body("before insert", names, *on_insert),
        "displace_update": _body(f"before update of {columns}", names, *on_update),
    }


def _of_rowids(notes: Notes, names: Spelling, source: SourceTable) -> dict[str, str]:
    """The same for rows that have the rowid which another one is given, in a table whose key is another."""
    if source.rowid is None or source.stable or not source.has_key:
        return {}
    rowid = quote(source.rowid)
    displaced = _displaced(notes, names, ((source.rowid, "BINARY"),))
    return {
        # SQLite has -1 there before an insert that gives none, which so pays next to nothing.
        "displace_rowid_insert": _body("before insert", names, displaced, when=f"new.{rowid} is not -1"),
        "displace_rowid_update": _body("before update", names, displaced, when=f"new.{rowid} is not old.{rowid}"),
    }


def _named(collection: str, bodies: dict[str, str]) -> dict[str, str]:
    names = {kind: trigger_name(kind, collection) for kind in bodies}
    return {name: f"CREATE TRIGGER {quote(name)} {bodies[kind]}" for kind, name in names.items()}


def _body(event: str, names: Spelling, *statements: str, when: str = "") -> str:
    condition = f" when {when}" if when else ""
    return f"{event} on {quote(names.table)}{condition} begin {''.join(f'{each}; ' for each in statements)}end"


def _insert(notes: Notes) -> str:
    return f"insert into {quote(notes.table)} ({_list([*notes.keys, notes.at])})"


def _values(notes: Notes, *rows: str) -> str:
    return f"{_insert(notes)} values {', '.join(f'({row}, {NOW})' for row in rows)}"


def _displaced(notes: Notes, names: Spelling, unique: Unique) -> str:
    same = " and ".join(f"{quote(name)} = new.{quote(name)} collate {quote(collation)}" for name, collation in unique)
    return f"{_insert(notes)} select {_list(names.keys)}, {NOW} from {quote(names.table)} where {same}"


def _row(alias: str, names: Spelling) -> str:
    return ", ".join(f"{alias}.{quote(key)}" for key in names.keys)


def _same(keys: Iterable[str], other: str = "new") -> str:
    """SQL that is true where the keys are those of another row; in a query on the table, those of the row found."""
    found = "old." if other == "new" else ""
    return " and ".join(f"{found}{quote(key)} is {other}.{quote(key)}" for key in keys)


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(quote, names))
