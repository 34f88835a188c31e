"""Another model or template for a collection: the old vectors serve until the new ones are complete."""

import sqlite3
import threading
from contextlib import closing

import pytest
from embedded import embed, make_file, read, run, vectors, write
from fake_models import ByteCounts, Failing, Held, WordLengths, word_lengths

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.changing import begin_change, cancel_change, successor_of, take_place
from datasette_embeddings.engine.collections import (
    create_collection,
    define,
    delete_collection,
    get_collection,
    list_collections,
    remove_everything,
)
from datasette_embeddings.engine.errors import Conflict

NOTES = "create table notes (id integer primary key, title text, body text)"
ROWS = [(1, "to be", "or not"), (2, "that is", "the question")]
OURS = "select name from sqlite_master where name like '\\_embed\\_%' escape '\\' and type = 'table' order by name"


@pytest.fixture
def path(tmp_path):
    path = make_file(tmp_path / "data.db", NOTES, notes=ROWS)
    embed(path, "notes", ["title"], WordLengths())
    return path


def begin(path, model, columns=("title",), template=None, name="notes", **options):
    """The successor and a pending job for it."""
    with closing(connect(path)) as conn:
        definition = define(conn, "notes", columns, template, model)
        successor = begin_change(conn, name, definition, **options)
        return successor, jobs.create_job(conn, successor.id)


def named(path, name="notes"):
    with closing(connect(path)) as conn:
        return get_collection(conn, name)


def test_the_old_vectors_serve_until_the_new_ones_are_complete(path):
    """Other programs see the old collection, alone, while the model works; and then the new one, under its name."""
    before, model = vectors(path, "notes"), Held()
    _, job = begin(path, model, ["title", "body"])
    thread = threading.Thread(target=run, args=(path, job, model))
    thread.start()
    model.wait_for_call()
    assert vectors(path, "notes") == before
    with closing(connect(path)) as conn:
        assert [found.name for found in list_collections(conn)] == ["notes"]
    model.open()
    thread.join()
    assert vectors(path, "notes") == {key: word_lengths(f"{title}\n{body}") for key, title, body in ROWS}
    assert named(path).model == "held"
    assert named(path).replaces is None
    assert read(path, OURS) == [(name,) for name in OWN_TABLES]


OWN_TABLES = (
    "_embed_codes_notes",
    "_embed_collections",
    "_embed_errors",
    "_embed_jobs",
    "_embed_kept",
    "_embed_schema",
    "_embed_vectors_notes",
)


def test_it_can_be_changed_again_and_again(path):
    """No name of a table or an index that was renamed stands in the way of the next."""
    for model in (ByteCounts(), WordLengths(), ByteCounts()):
        _, job = begin(path, model)
        assert run(path, job, model).status == "finished"
        assert named(path).model == model.model_id
    assert read(path, "pragma integrity_check") == [("ok",)]


def test_texts_that_are_stored_are_not_paid_for_again(path):
    """Another template by the same model takes over the vectors of equal contents."""
    write(path, "update notes set body = title where id = 1")
    model = WordLengths()
    _, job = begin(path, model, ["body"])
    assert run(path, job, model).reused == 1
    assert model.contents == ["the question"]


def test_anew_takes_nothing_over(path):
    """For a model whose weights were changed: every content is embedded, and the new fingerprint is kept."""
    model = WordLengths()
    write(path, "update _embed_collections set fingerprint = zeroblob(64)")
    _, job = begin(path, model, anew=True)
    assert run(path, job, model).status == "finished"
    assert len(model.contents) == 2
    assert named(path).fingerprint not in (None, b"", bytes(64))


def test_a_change_that_is_cancelled_leaves_no_trace(path):
    """The collection is as it was, tables and all."""
    before = read(path, "select type, name, sql from sqlite_master"), vectors(path, "notes")
    successor, job = begin(path, ByteCounts())
    run(path, job, ByteCounts(), stop=stopped())
    with closing(connect(path)) as conn:
        assert successor_of(conn, get_collection(conn, "notes")).id == successor.id
        cancel_change(conn, get_collection(conn, "notes"))
        with pytest.raises(Conflict, match="not being changed"):
            cancel_change(conn, get_collection(conn, "notes"))
    assert (read(path, "select type, name, sql from sqlite_master"), vectors(path, "notes")) == before
    assert read(path, "select count(*) from _embed_jobs") == [(1,)]


def stopped():
    stop = threading.Event()
    stop.set()
    return stop


def test_rows_that_fail_keep_the_change_waiting(path):
    """They have a vector in the old collection: nobody loses it unless they say so."""
    write(path, "insert into notes values (3, 'FAIL', '')")
    embed(path, "notes", ["title"], WordLengths())
    successor, job = begin(path, Failing())
    assert run(path, job, Failing()).status == "finished"
    assert named(path).model == "word-lengths"
    with closing(connect(path)) as conn:
        take_place(conn, successor)
    assert named(path).model == "failing"
    assert sorted(vectors(path, "notes")) == [1, 2]


def test_a_broken_view_of_the_file_does_not_matter(path):
    """SQLite itself would refuse to rename any table of such a file."""
    write(path, "create view broken as select * from nowhere")
    model = ByteCounts()
    _, job = begin(path, model)
    assert run(path, job, model).status == "finished"
    assert named(path).model == "byte-counts"


def test_a_switch_that_fails_changes_nothing(path):
    """It is one transaction: a table in the way, and the old collection goes on serving."""
    before = vectors(path, "notes")
    successor, job = begin(path, ByteCounts())
    run(path, job, ByteCounts(), stop=stopped())
    write(path, f'drop table "{successor.codes.table}"')
    with closing(connect(path)) as conn, pytest.raises(sqlite3.OperationalError):
        take_place(conn, successor)
    assert vectors(path, "notes") == before


def test_what_cannot_be_changed(path):
    """One change at a time, and only where something changes."""
    with pytest.raises(Conflict, match="nothing to change"):
        begin(path, WordLengths())
    begin(path, ByteCounts())
    with pytest.raises(Conflict, match="being changed already"):
        begin(path, ByteCounts())


def test_deleting_takes_the_successor_along(path):
    """One collection, or everything."""
    begin(path, ByteCounts())
    with closing(connect(path)) as conn:
        delete_collection(conn, "notes")
        assert read(path, "select count(*) from _embed_collections") == [(0,)]
        definition = define(conn, "notes", ["title"], None, WordLengths())
        create_collection(conn, definition)
    begin(path, ByteCounts())
    with closing(connect(path)) as conn:
        assert [found.name for found in remove_everything(conn)] == ["notes"]
    assert read(path, OURS) == []
