"""Tables of every kind: each form of primary key is embedded, joined to its vectors, and embedded again for nothing."""

import sqlite3
from contextlib import closing

import pytest
from embedded import embed, errors, make_file, read, vectors, write
from fake_models import ByteCounts, WordLengths, word_lengths

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.errors import CannotEmbed, NotFound
from datasette_embeddings.engine.identifiers import quote
from datasette_embeddings.engine.tables import binary_columns, source_table

STRICT = sqlite3.sqlite_version_info >= (3, 37)
INFINITY = float("inf")


def form(name, create, keys, rows, *, table="notes", join=None, strict=False):
    """A table: its key columns, rows of (*key, body), and how its key joins the key of its vectors table."""
    join = join or " and ".join(f"t.{quote(key)} = v.{quote(key)}" for key in keys)
    skip = pytest.mark.skipif(strict and not STRICT, reason="this SQLite has no STRICT tables")
    return pytest.param(table, create, keys, rows, join, id=name, marks=skip)


FORMS = [
    form("integer", "create table notes (id integer primary key, body)", ["id"], [(-5, "a"), (0, "b b"), (2**60, "c")]),
    form("text", "create table notes (id text primary key, body)", ["id"], [("", "a"), ("é", "b b"), ("007", "c")]),
    form(
        "nocase",
        "create table notes (id text collate nocase primary key, body)",
        ["id"],
        [("a", "a"), ("B", "b b"), ("Ä", "c"), ("ä", "d d d")],
    ),
    form(
        "rtrim index",
        "create table notes (id text, body, primary key (id collate rtrim))",
        ["id"],
        [("a", "a"), ("b  ", "b b")],
    ),
    form(
        "compound",
        "create table notes (a integer, b text collate nocase, body, primary key (b, a))",
        ["a", "b"],
        [(1, "x", "a"), (2, "x", "b b"), (1, "Y", "c c c")],
    ),
    form("blob", "create table notes (id blob primary key, body)", ["id"], [(b"", "a"), (b"\xff\0", "b b")]),
    form(
        "without rowid",
        "create table notes (a, b, body, primary key (a, b)) without rowid",
        ["a", "b"],
        [(1, "x", "a"), (1.5, b"x", "b b"), ("y", "", "c"), (b"", -INFINITY, "d d"), (INFINITY, 2**60, "e")],
    ),
    form(
        "descending",
        "create table notes (a text, b int, body, primary key (a desc, b desc)) without rowid",
        ["a", "b"],
        [("x", n, f"body {n}") for n in range(50)],
    ),
    form("integer desc", "create table notes (id integer primary key desc, body)", ["id"], [(3, "a"), (1, "b b")]),
    form("int", "create table notes (id int primary key, body)", ["id"], [(3, "a"), ("x", "b b"), (2.5, "c")]),
    form("real", "create table notes (id real primary key, body)", ["id"], [(1, "a"), (-INFINITY, "b b"), (0.1, "c")]),
    form(
        "mixed", "create table notes (id primary key, body)", ["id"], [(1, "a"), ("1", "b b"), (b"1", "c"), (1.5, "d")]
    ),
    form("odd type", 'create table notes (id "my, type(" primary key, body)', ["id"], [("7", "a"), ("x", "b b")]),
    form("point", "create table notes (id FLOATING POINT primary key, body)", ["id"], [("7", "a"), (2.5, "b b")]),
    form("char", "create table notes (id varchar(10, 2) primary key, body)", ["id"], [("007", "a"), ("7", "b b")]),
    form(
        "strict any",
        "create table notes (id any primary key, body text) strict",
        ["id"],
        [("007", "a"), ("7", "b b"), (7, "c"), (7.5, "d"), (b"7", "e")],
        strict=True,
    ),
    form("strict int", "create table notes (id int primary key, body text) strict", ["id"], [(7, "a")], strict=True),
    *[
        form(
            f"key named {name}",
            f'create table notes ("{name}" text primary key, body)',
            [name],
            [("x", "a"), ("y", "b b")],
            join=f't."{name}" = v."key_{name}"',
        )
        for name in ("chunk", "Vector", "score", "key", "vector_id", "content_hash", "CHUNK_START")
    ],
    form(
        "clashing names",
        "create table notes (key int, key_key int, KEY_vector int, vector int, body, primary key (1, 2))".replace(
            "(1, 2)", "(key, key_key, vector, KEY_vector)"
        ),
        ["key", "key_key", "KEY_vector", "vector"],
        [(1, 2, 3, 4, "a"), (2, 1, 3, 4, "b b")],
        join="t.key = v.key_key_key and t.key_key = v.key_key"
        " and t.KEY_vector = v.KEY_vector and t.vector = v.key_key_vector",
    ),
    *[
        form(
            f"key named {name}",
            f"create table notes ({quote(name)} integer primary key, body)",
            [name],
            [(1, "a"), (2, "b b")],
        )
        for name in ("a b", 'x"y', "a.b", "it's", "[x]", "%s", "🦋", "rowid", "OID", "_rowid_", "select", "t", "v")
    ],
    *[
        form(
            f"table named {name}",
            f"create table {quote(name)} (id text primary key, body)",
            ["id"],
            [("x", "a"), ("y", "b b")],
            table=name,
        )
        for name in ("my notes", 'x"y', "a.b", "it's", "[x]", "100%", "🦋", "select", "a/b?c#d", "t", "v", "-x")
    ],
]


def embedded(path, table, create, keys, rows):
    make_file(path, create)
    marks = ", ".join("?" * len(rows[0]))
    with closing(connect(path)) as conn, conn:
        names = ", ".join(map(quote, [*keys, "body"]))
        conn.executemany(f"insert into {quote(table)} ({names}) values ({marks})", rows)
    return embed(path, table, ["body"], WordLengths(), name="c")


@pytest.mark.parametrize(("table", "create", "keys", "rows", "join"), FORMS)
def test_every_form_of_key(tmp_path, table, create, keys, rows, join):
    """Each row gets its vector, a plain join finds it, and a second pass only drops the vector of a deleted row."""
    path = tmp_path / "data.db"
    job = embedded(path, table, create, keys, rows)
    assert (job.status, job.reason, job.rows_done) == ("finished", None, len(rows))
    joined = read(path, f"select t.body, v.vector from {quote(table)} t join _embed_vectors_c v on {join}")
    assert sorted(joined) == sorted((row[-1], blob(row[-1])) for row in rows)
    write(path, f"delete from {quote(table)} where body = ?", rows[-1][-1])
    again = embed(path, table, ["body"], model := WordLengths(), name="c")
    assert (again.unchanged, again.removed, model.calls) == (len(rows) - 1, 1, [])


def blob(text):
    import numpy as np

    return np.array(word_lengths(text), dtype="<f4").tobytes()


def test_the_join_uses_the_key(tmp_path):
    """No walk and no sweep compares every row with every vector, whatever the collation."""
    path = tmp_path / "data.db"
    embedded(path, "notes", "create table notes (id text collate nocase primary key, body)", ["id"], [("a", "b")])
    with closing(connect(path)) as conn:
        on = source_table(conn, "notes").joined("t", "v")
        walk = f"select v.content_hash from notes t left join _embed_vectors_c v on {on} and v.chunk = 0"
        gone = f"select 1 from _embed_vectors_c v where not exists (select 1 from notes t where {on})"
        plans = [row[-1] for sql in (walk, gone) for row in conn.execute(f"explain query plan {sql}")]
    assert [plan[:9] for plan in plans if plan.startswith("SEARCH")] == ["SEARCH v ", "SEARCH t "]


@pytest.mark.parametrize("columns", ["rowid", "_rowid_", "oid", "rowid, oid", "rowid, _rowid_", "ROWID, Oid"])
def test_a_rowid_behind_columns_of_its_names(tmp_path, columns):
    """The rowid is read by whichever of its names no column has."""
    path = make_file(tmp_path / "data.db", f"create table notes (body, {columns})")
    width = columns.count(",") + 2
    with closing(connect(path)) as conn, conn:
        conn.executemany(f"insert into notes values (?{', 9' * (width - 1)})", [("a",), ("b b",)])
    job = embed(path, "notes", ["body"], WordLengths())
    assert (job.status, job.embedded) == ("finished", 2)
    assert vectors(path, "notes") == {1: word_lengths("a"), 2: word_lengths("b b")}


def test_a_rowid_that_nothing_reaches(tmp_path):
    """A table whose columns hide its rowid is refused with the reason."""
    path = make_file(tmp_path / "data.db", "create table notes (body, rowid, _rowid_, oid)")
    with pytest.raises(CannotEmbed, match="its columns named rowid, _rowid_ and oid hide the rowid of its rows"):
        embed(path, "notes", ["body"], WordLengths())


@pytest.mark.parametrize("end", ["", " without rowid"])
def test_every_name_taken_but_a_key_is_there(tmp_path, end):
    """With an INTEGER PRIMARY KEY, or without a rowid, hidden names do not matter."""
    create = f"create table notes (rowid, _rowid_, oid integer primary key, body){end}"
    path = make_file(tmp_path / "data.db", create, notes=[(5, 6, 7, "a"), (5, 6, 8, "b b")])
    embed(path, "notes", ["body"], WordLengths())
    assert vectors(path, "notes") == {7: word_lengths("a"), 8: word_lengths("b b")}


def test_null_in_a_key(tmp_path):
    """A row whose key is not complete is an error with that reason, and the others are embedded."""
    create = "create table notes (a text, b text, body, primary key (a, b))"
    rows = [("x", None, "a"), ("x", None, "b b"), (None, None, ""), ("x", "y", "c")]
    path = make_file(tmp_path / "data.db", create, notes=rows)
    job = embed(path, "notes", ["body"], WordLengths())
    assert (job.status, job.failed, list(vectors(path, "notes"))) == ("finished", 3, [("x", "y")])
    assert errors(path) == ["A column of this row's primary key is NULL, so no vector can be kept with it"] * 3


@pytest.mark.parametrize("end", ["", " without rowid"])
def test_a_key_that_is_not_utf8(tmp_path, end):
    """Rows whose key is broken text are errors; the walk loses neither its place nor another row by them."""
    path = make_file(tmp_path / "data.db", f"create table notes (id text primary key, body){end}")
    for key, body in [(b"a\xff", "x"), (b"a\xfe", "y"), ("a\ufffd".encode(), "ok"), (b"b", "fine"), (b"\xff", "z")]:
        write(path, "insert into notes values (cast(? as text), ?)", key, body)
    job = embed(path, "notes", ["body"], WordLengths())
    assert (job.status, job.rows_done, job.failed) == ("finished", 5, 3)
    assert sorted(vectors(path, "notes")) == ["a\ufffd", "b"]
    assert set(errors(path)) == {
        "A column of this row's primary key is text that is not UTF-8, so no vector can be kept with it"
    }
    assert embed(path, "notes", ["body"], WordLengths()).unchanged == 2


def test_text_that_is_not_utf8(tmp_path):
    """Broken text is embedded as Datasette shows it, and counts as unchanged afterwards."""
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body)")
    write(path, "insert into notes values (1, cast(? as text))", b"caf\xe9 au lait")
    embed(path, "notes", ["body"], model := WordLengths())
    assert model.contents == ["caf\ufffd au lait"]
    assert embed(path, "notes", ["body"], WordLengths()).unchanged == 1


def test_generated_columns(tmp_path):
    """Generated columns, virtual and stored, are columns like any other."""
    create = """create table notes (id integer primary key, a text,
        b text generated always as (a || ' virtual'), c text generated always as (a || ' stored') stored)"""
    path = make_file(tmp_path / "data.db", create)
    write(path, "insert into notes (a) values ('x')")
    embed(path, "notes", ["b", "c"], model := WordLengths())
    assert model.contents == ["x virtual\nx stored"]


def test_a_full_text_table(tmp_path):
    """An FTS5 table is embedded by its rowid, without its hidden columns."""
    path = make_file(tmp_path / "data.db", "create virtual table notes using fts5 (title, body)")
    write(path, "insert into notes (rowid, title, body) values (7, 'one', 'two')")
    with closing(connect(path)) as conn:
        assert source_table(conn, "notes").names == ("title", "body")
    embed(path, "notes", ["title", "body"], WordLengths())
    assert vectors(path, "notes") == {7: word_lengths("one two")}
    assert embed(path, "notes", ["title", "body"], WordLengths()).unchanged == 1


def test_a_view_is_refused(tmp_path):
    """A view has no keys: the message says so, and what to do."""
    path = make_file(tmp_path / "data.db", "create table t (a); create view notes as select * from t")
    with pytest.raises(CannotEmbed, match=r"notes is a view: its rows have no key of their own .* Embed the table"):
        embed(path, "notes", ["a"], WordLengths())


def test_an_unknown_table(tmp_path):
    """A table that is not there is named."""
    path = make_file(tmp_path / "data.db", "create table notes (a)")
    with pytest.raises(NotFound, match="There is no table 'nosuch' in this database"):
        embed(path, "nosuch", ["a"], WordLengths())


def test_our_own_tables_are_refused(tmp_path):
    """What we store is not embedded."""
    path = make_file(tmp_path / "data.db", "create table notes (a)")
    embed(path, "notes", ["a"], WordLengths())
    with pytest.raises(CannotEmbed, match="_embed_jobs belongs to datasette-embed itself"):
        embed(path, "_EMBED_JOBS", ["status"], WordLengths())


def test_a_table_is_found_ignoring_case(tmp_path):
    """As in SQLite, the case of a table's name does not matter; it is kept as the table spells it."""
    path = make_file(tmp_path / "data.db", "create table Notes (a)", Notes=[("x",)])
    embed(path, "nOTES", ["A"], WordLengths())
    assert read(path, "select source_table, columns from _embed_collections") == [("Notes", '["a"]')]


def test_which_columns_are_binary(tmp_path):
    """The values tell what is binary; the declaration only where there are none."""
    create = "create table notes (id integer primary key, said_text text, said_blob blob, empty_blob blob, plain)"
    path = make_file(tmp_path / "data.db", create, notes=[(1, b"\0", "text", None, None)])
    with closing(connect(path)) as conn:
        source = source_table(conn, "notes")
        assert binary_columns(conn, source, source.names) == ["said_text", "empty_blob"]


def test_binary_contents(tmp_path):
    """A BLOB column goes to the model as its bytes; NULL and empty are nothing to embed."""
    rows = [(1, b"\x00\xff"), (2, None), (3, b""), (4, "as text"), (5, "  ")]
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body)", notes=rows)
    job = embed(path, "notes", ["body"], ByteCounts())
    assert (job.embedded, job.empty) == (2, 3)
    assert vectors(path, "notes")[1] == [1.0, *[0.0] * 14, 1.0]
