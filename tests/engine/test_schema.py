"""Our tables in a person's file: made once, migrated in one transaction, and refused where they are newer."""

import sqlite3
from contextlib import closing

import pytest
from embedded import embed, make_file, read
from fake_models import WordLengths

from datasette_embeddings.engine import schema
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import list_collections
from datasette_embeddings.engine.errors import NewerSchema, OlderSchema, ReadOnlyDatabase

TABLES = "select name from sqlite_master where type = 'table' and name like '\\_embed%' escape '\\' order by name"


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", "create table notes (id integer primary key, body)", notes=[(1, "a")])


@pytest.fixture
def conn(path):
    with closing(connect(path)) as conn:
        yield conn


def test_looking_creates_nothing(conn, path):
    """A file that was never embedded is left as it is."""
    assert not schema.has_schema(conn)
    assert read(path, TABLES) == []


def test_the_tables_are_made_once(conn, path):
    """Made on first use, with their comments; again changes nothing."""
    schema.ensure_schema(conn)
    before = read(path, "select sql from sqlite_master")
    schema.ensure_schema(conn)
    assert schema.has_schema(conn)
    assert read(path, "select version from _embed_schema") == [(schema.VERSION,)]
    assert read(path, "select sql from sqlite_master") == before
    assert "-- Unix seconds" in str(before)


def test_an_older_file_is_migrated(conn, path, monkeypatch):
    """Every step from the file's version on is made, in order."""
    schema.ensure_schema(conn)
    steps = (*schema._STEPS, ("alter table _embed_jobs add column one",), ("alter table _embed_jobs add column two",))
    monkeypatch.setattr(schema, "_STEPS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))
    schema.ensure_schema(conn)
    assert [row[1] for row in read(path, "pragma table_info(_embed_jobs)")][-2:] == ["one", "two"]
    assert read(path, "select version from _embed_schema") == [(len(steps),)]


def test_a_file_of_version_1_is_brought_up_to_date(path, monkeypatch):
    """It is refused with a sentence until it can be written; then its vectors count as before, and nothing is lost."""
    with monkeypatch.context() as patch, closing(connect(path)) as conn:
        patch.setattr(schema, "_STEPS", schema._STEPS[:1])
        patch.setattr(schema, "VERSION", 1)
        schema.ensure_schema(conn)
        conn.execute(
            "insert into _embed_collections (name, source_table, columns, model, token, created)"
            " values ('no\"tes', 'notes', '[\"body\"]', 'word-lengths', 1, '2026')"
        )
        conn.execute('create table "_embed_vectors_no""tes" (id integer, chunk integer, vector blob)')
        conn.commit()
    with closing(connect(path)) as conn:
        with pytest.raises(OlderSchema, match="datasette embed status"):
            list_collections(conn)
        schema.migrate(conn)
        assert [(found.name, found.follow) for found in list_collections(conn)] == [('no"tes', False)]
        assert read(path, 'select row_hash from "_embed_vectors_no""tes"') == []


def test_a_migration_that_fails_changes_nothing(conn, path, monkeypatch):
    """A migration is one transaction."""
    schema.ensure_schema(conn)
    steps = (*schema._STEPS, ("alter table _embed_jobs add column one", "alter table nosuch add column two"))
    monkeypatch.setattr(schema, "_STEPS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))
    with pytest.raises(sqlite3.OperationalError, match="no such table: nosuch"):
        schema.ensure_schema(conn)
    assert "one" not in [row[1] for row in read(path, "pragma table_info(_embed_jobs)")]
    assert not conn.in_transaction


def test_a_newer_file_is_refused(conn):
    """A file of a version that we do not know is neither read nor written, and the message says what to do."""
    schema.ensure_schema(conn)
    with conn:
        conn.execute("update _embed_schema set version = 99")
    for function in (schema.has_schema, schema.ensure_schema):
        with pytest.raises(NewerSchema, match=r"written by a newer datasette-embed .* run datasette install -U"):
            function(conn)


def test_a_read_only_file(path):
    """A file that cannot be written is refused with a sentence."""
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn,
        pytest.raises(ReadOnlyDatabase, match="This database cannot be written"),
    ):
        schema.ensure_schema(conn)


def test_nothing_of_ours_needs_us(path):
    """Other programs can open and write the file: no trigger, no view, no function of ours in it."""
    embed(path, "notes", ["body"], WordLengths())
    assert read(path, "select count(*) from sqlite_master where type in ('trigger', 'view')") == [(0,)]
    assert "embed_" not in "".join(str(row) for row in read(path, "select sql from sqlite_master")).replace(
        "_embed_", ""
    )


def test_the_journal_mode_is_never_changed(path):
    """Neither made WAL nor taken out of it."""
    embed(path, "notes", ["body"], WordLengths())
    assert read(path, "pragma journal_mode") == [("delete",)]
