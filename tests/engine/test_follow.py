"""What the triggers note: every way in which rows change, by a plain connection that knows nothing of us."""

import sqlite3
import subprocess
from contextlib import closing
from shutil import which

import pytest
from embedded import errors, make_file, read, vectors, write
from fake_models import WordLengths, word_lengths
from followed import embed_and_follow, execute, fresh, noted, sync, triggers

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import delete_collection, remove_everything
from datasette_embeddings.engine.errors import CannotEmbed
from datasette_embeddings.engine.identifiers import quote

NOTES = "create table notes (id integer primary key, title text, body text, year int)"
ROWS = [(n, f"title {n}", f"the body of {'x' * n}", 2000 + n) for n in range(1, 6)]
UNIQUE = "create table notes (id integer primary key, email text unique, body text)"
PEOPLE = [(1, "a@x", "first one"), (2, "b@x", "second")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.db"


@pytest.fixture
def notes(path):
    """The file of a followed collection `notes` over title and body, and its model."""
    make_file(path, NOTES, notes=ROWS)
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    return path, model


@pytest.mark.parametrize(
    ("sql", "keys"),
    [
        ("insert into notes (body) values ('new'), ('newer')", [6, 7]),
        ("update notes set body = 'changed' where id > 3", [4, 5]),
        ("update notes set year = 1, title = 'x'", []),
        ("delete from notes where id = 2", [2]),
        ("delete from notes", [1, 2, 3, 4, 5]),
        ("update notes set id = 50 where id = 5", [5, 50]),
        ("update notes set rowid = 50 where id = 5", [5, 50]),
        ("update notes set id = id + 0", []),
        ("insert or replace into notes (id, body) values (3, 'replaced')", [3]),
        ("insert or ignore into notes (id, body) values (3, 'ignored')", []),
        ("insert into notes (id, body) values (3, 'up') on conflict do update set body = excluded.body", [3]),
        ("insert into notes (id, year) values (3, 9) on conflict do update set year = excluded.year", []),
        ("update notes set body = 'of others' from (select 1 as one) where id = one", [1]),
    ],
)
def test_what_a_statement_notes(notes, sql, keys):
    """The keys of rows that came, went, changed their key or had an embedded column written are noted; no others."""
    path, model = notes
    write(path, sql)
    assert noted(path) == keys
    sync(path, model)
    assert vectors(path, "notes") == fresh(path)
    assert noted(path) == []


def test_only_what_changed_reaches_the_model(notes):
    """A row that is written with the content that it had costs no call."""
    path, model = notes
    write(path, "update notes set body = case id when 4 then 'quite new' else body end")
    (job,) = sync(path, model)
    assert (job.kind, job.rows_done, job.unchanged, model.contents) == ("noted", 5, 4, ["quite new"])


def test_a_transaction_that_is_rolled_back_notes_nothing(notes):
    """The notes are part of the person's own transaction."""
    path, _ = notes
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("update notes set body = 'never'")
        conn.rollback()
    assert noted(path) == []


@pytest.mark.parametrize("conflict", ["fail", "rollback", "abort", "replace", "ignore"])
def test_no_write_fails_because_of_the_notes(notes, conflict):
    """However a statement resolves conflicts, a row that is written twice is noted twice and nothing is refused."""
    path, _ = notes
    write(path, f"update or {conflict} notes set body = 'one'")
    write(path, f"update or {conflict} notes set body = 'two'")
    assert len(noted(path)) == 10


@pytest.mark.parametrize("recursive", ["off", "on"])
@pytest.mark.parametrize(
    "sql",
    [
        "insert or replace into notes values (3, 'a@x', 'in the place of the first')",
        "replace into notes values (2, 'a@x', 'in the place of both')",
        "update or replace notes set email = 'a@x' where id = 2",
        "update or replace notes set id = 1 where id = 2",
        "insert into notes values (3, 'a@x', 'upserted') on conflict (email) do update set body = excluded.body",
    ],
)
def test_a_row_displaced_by_a_unique_column(path, sql, recursive):
    """A row that `or replace` deletes, by a UNIQUE column or its key, loses its vector."""
    make_file(path, UNIQUE, notes=PEOPLE)
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    execute(path, f"pragma recursive_triggers = {recursive}; {sql}")
    (job,) = sync(path, model)
    assert job.kind == "noted"
    assert vectors(path, "notes") == fresh(path)


@pytest.mark.parametrize("columns", ["id text primary key, body text", "id text primary key, body text, rowid text"])
@pytest.mark.parametrize(
    "sql",
    [
        "insert or replace into notes (_rowid_, id, body) values (1, 'c', 'in the place of a')",
        "insert or replace into notes (_rowid_, id, body) values (1, 'b', 'in the place of both')",
        "update or replace notes set _rowid_ = 1 where id = 'b'",
        "update or replace notes set _rowid_ = 1, id = 'c' where id = 'b'",
    ],
)
def test_a_row_displaced_by_its_rowid(path, columns, sql):
    """A table with another key has rowids too, by which `or replace` deletes rows."""
    make_file(path, f"create table notes ({columns})")
    execute(path, "insert into notes (id, body) values ('a', 'first'), ('b', 'second')")
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    write(path, sql)
    (job,) = sync(path, model)
    assert (job.kind, vectors(path, "notes")) == ("noted", fresh(path))


def test_a_rowid_that_nobody_gave_displaces_nothing(path):
    """Only the row itself is noted, once."""
    make_file(path, "create table notes (id text primary key, body text)", notes=[("a", "first")])
    embed_and_follow(path, "notes", ["body"], WordLengths())
    execute(path, "insert into notes values ('b', 'x'); update notes set body = 'y' where id = 'a'")
    assert noted(path) == ["b", "a"]


@pytest.mark.parametrize(
    "index",
    [
        "create unique index emails on notes (email)",
        "create unique index emails on notes (lower(email))",
        "create unique index emails on notes (email) where id < 100",
    ],
)
def test_a_row_displaced_by_an_index_that_no_trigger_may_name(path, index):
    """An index that its owner may drop, of expressions or of some rows, is swept for; and the owner may drop it."""
    script = f"create table notes (id integer primary key, email text, body text); {index}"
    make_file(path, script, notes=PEOPLE)
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    write(path, "insert or replace into notes values (3, 'a@x', 'in the place of the first')")
    (job,) = sync(path, model)
    assert (job.kind, job.removed) == ("noted", 1)
    assert vectors(path, "notes") == fresh(path)
    execute(path, "drop index emails; alter table notes drop column email")
    sync(path, model)
    assert vectors(path, "notes") == fresh(path)


def test_a_generated_column(path):
    """What a generated column is made of is written elsewhere: every update of the row is noted."""
    script = "create table notes (id integer primary key, a, b, body as (a || ' ' || b))"
    make_file(path, script)
    write(path, "insert into notes (id, a, b) values (1, 'one', 'two')")
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    write(path, "update notes set b = 'three'")
    sync(path, model)
    assert vectors(path, "notes") == {1: word_lengths("one three")}


def test_what_a_foreign_key_does(path):
    """Rows that a foreign key deletes are noted as any others."""
    script = """create table kinds (id integer primary key);
        insert into kinds values (1), (2);
        create table notes (id integer primary key, body text, kind references kinds on delete cascade)"""
    make_file(path, script, notes=[(1, "stays", 1), (2, "goes", 2)])
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    execute(path, "pragma foreign_keys = on; delete from kinds where id = 2")
    sync(path, model)
    assert list(vectors(path, "notes")) == [1]


@pytest.mark.parametrize(
    ("create", "key", "change"),
    [
        ("id text primary key, body text", "'a'", "update notes set id = 'z'"),
        ("id text primary key, body text", "'007'", "update notes set body = 'seven'"),
        ("id blob primary key, body text", "x'00ff'", "update notes set id = x'ff00'"),
        ("id real primary key, body text", "1", "update notes set id = 1.5, body = 'x'"),
        ("id text collate nocase primary key, body text", "'A'", "update notes set body = 'z' where id = 'a'"),
        ("id primary key, body text", "7", "insert into notes values ('7', 'text')"),
    ],
)
@pytest.mark.parametrize("rowid", ["", "without rowid"])
def test_every_kind_of_key(path, create, key, change, rowid):
    """Changes of rows with keys of every type reach the vectors."""
    make_file(path, f"create table notes ({create}) {rowid}; insert into notes values ({key}, 'the first')")
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    write(path, change)
    (job,) = sync(path, model)
    assert job.kind == "noted"
    assert vectors(path, "notes") == {key: word_lengths(body) for key, body in read(path, "select id, body from notes")}


def test_a_compound_key(path):
    """A key of several columns is noted whole, before and after its change."""
    make_file(path, "create table notes (a, b, body, primary key (a, b)) without rowid", notes=[(1, "x", "one")])
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    write(path, "update notes set b = 'y'")
    assert read(path, "select a, b from _embed_notes_notes order by note") == [(1, "x"), (1, "y")]
    sync(path, model)
    assert list(vectors(path, "notes")) == [(1, "y")]


def test_keys_that_no_vector_can_be_kept_with(path):
    """Rows with NULL or broken text in their key are errors as long as they are there."""
    make_file(path, "create table notes (id text primary key, body text)", notes=[("a", "fine")])
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    write(path, "insert into notes values (null, 'no key'), (cast(x'ff' as text), 'a broken one')")
    sync(path, model)
    assert len(errors(path)) == 2
    write(path, "update notes set id = 'mended' where id is null")
    write(path, "delete from notes where id = cast(x'ff' as text)")
    sync(path, model)
    assert errors(path) == []
    assert vectors(path, "notes") == fresh(path)


def test_a_table_without_a_key(path):
    """Rows of a table without a primary key are known by their rowids."""
    make_file(path, "create table notes (body text)", notes=[("one",), ("two",), ("three",)])
    embed_and_follow(path, "notes", ["body"], model := WordLengths())
    write(path, "delete from notes where body = 'two'")
    write(path, "update notes set body = 'of three' where body = 'three'")
    assert noted(path, key="rowid") == [2, 3]
    sync(path, model)
    assert vectors(path, "notes") == fresh(path, key="rowid")


def test_names_of_every_kind(path):
    """Quotes, blanks, keywords and the names of our own columns are names like others."""
    table, content = 'a "table" (x)', 'the "body"'
    columns = f'"note" text, "at" int, {quote(content)} text, primary key ("note", "at")'
    make_file(path, f"create table {quote(table)} ({columns})")
    embed_and_follow(path, table, [content], model := WordLengths(), name="it's")
    write(path, f"insert into {quote(table)} values ('k', 1, 'the first')")
    sync(path, model)
    assert vectors(path, "it's") == {("k", 1): word_lengths("the first")}


def test_a_bare_connection_and_the_shell(notes, tmp_path):
    """The sqlite3 shell, which has none of our functions, writes as ever, and its writes are noted."""
    if which("sqlite3") is None:
        pytest.skip("no sqlite3 shell on the PATH")
    path, model = notes
    script = "insert into notes (body) values ('typed by hand'); delete from notes where id = 1;"
    subprocess.run(["sqlite3", path], input=script, text=True, check=True)
    sync(path, model)
    assert vectors(path, "notes") == fresh(path)
    dump = subprocess.run(["sqlite3", path, ".dump"], capture_output=True, text=True, check=True).stdout
    copy = tmp_path / "copy.db"
    subprocess.run(["sqlite3", copy], input=dump, text=True, check=True)
    execute(copy, "update notes set body = 'in the copy' where id = 2")
    sync(copy, model)
    assert vectors(copy, "notes") == fresh(copy)


def test_an_attached_database(notes, tmp_path):
    """Triggers live in the file: a write through another database's connection is noted there."""
    path, model = notes
    with closing(sqlite3.connect(tmp_path / "other.db")) as conn:
        conn.execute("create table notes (id integer primary key, body text)")
        conn.execute("create table _embed_notes_notes (id, at)")
        conn.execute("attach ? as mine", (str(path),))
        conn.execute("insert into mine.notes (id, body) values (9, 'from another')")
        conn.execute("insert into notes values (99, 'not ours')")
        conn.commit()
        assert conn.execute("select count(*) from main._embed_notes_notes").fetchone() == (0,)
    assert noted(path) == [9]
    sync(path, model)
    assert vectors(path, "notes") == fresh(path)


def test_a_temporary_table_in_the_way(notes):
    """A temporary table of the same name, or of the name of the notes, changes nothing for the table itself."""
    path, model = notes
    execute(
        path,
        """create temp table notes (id, body); insert into notes values (7, 'temporary');
        create temp table _embed_notes_notes (id, at); insert into main.notes (id, body) values (8, 'kept')""",
    )
    assert noted(path) == [8]
    sync(path, model)
    assert vectors(path, "notes") == fresh(path)


def test_a_virtual_table_cannot_be_followed(path):
    """SQLite allows no triggers on virtual tables: a sentence says so, and nothing is left behind."""
    make_file(path, "create virtual table notes using fts5 (body); insert into notes values ('one')")
    with pytest.raises(CannotEmbed, match="notes is a virtual table, on which SQLite allows no triggers"):
        embed_and_follow(path, "notes", ["body"], WordLengths())
    assert triggers(path) == {}


def test_two_collections_on_one_table(notes):
    """Each has its own notes and triggers: an update is noted by those that embed the column."""
    path, model = notes
    embed_and_follow(path, "notes", ["title"], other := WordLengths("other-lengths"), name="titles")
    write(path, "update notes set title = 'changed' where id = 1")
    write(path, "update notes set body = 'changed' where id = 2")
    assert (noted(path), noted(path, "titles")) == ([2], [1])
    write(path, "delete from notes where id = 3")
    sync(path, model if model is other else other)
    assert vectors(path, "notes") == fresh(path)
    assert vectors(path, "titles") == fresh(path, "titles", content="title")


def test_removing_leaves_no_trace(notes):
    """Without the collection its triggers and notes are gone, and without any the file is as it was."""
    path, _ = notes
    embed_and_follow(path, "notes", ["title"], WordLengths("other-lengths"), name="titles")
    with closing(connect(path)) as conn:
        delete_collection(conn, "notes")
        assert {name for name in triggers(path) if name.endswith("_notes")} == set()
        with conn:
            conn.execute("insert into notes (title) values ('still works')")
        remove_everything(conn)
    assert read(path, "select name from sqlite_master where name like '%embed%'") == []
