"""A walk over listed keys: which rows it meets, what becomes of those that are gone, and which notes it deals with."""

import pytest
from embedded import embed, errors, make_file, read, run, running, vectors, write
from fake_models import Failing, Held, WordLengths, word_lengths

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.follow.notes import create_notes, notes_of
from datasette_embeddings.engine.rows import BrokenText, reader
from datasette_embeddings.engine.running import pace
from datasette_embeddings.engine.tables import source_table

NOTES = "create table notes (id integer primary key, body text)"
KEYED = "create table notes (id text primary key, body text)"


def create_log(conn):
    create_notes(conn, notes_of("notes", source_table(conn, "notes")))


@pytest.fixture
def embedded(tmp_path):
    """embedded(script, rows, model): a file with the collection `notes`, embedded, and an empty log of notes."""

    def make(script, rows, model):
        path = make_file(tmp_path / "data.db", script, notes=rows)
        embed(path, "notes", ["body"], model)
        with FileAccess(path) as access:
            access.write(create_log)
        if hasattr(model, "calls"):
            model.calls.clear()
        return path

    return make


def note(path, *keys):
    for key in keys:
        write(path, "insert into _embed_notes_notes (id, at) values (?, julianday('now'))", key)


def noted(path):
    """A job over what was noted, pending."""
    with FileAccess(path) as access:
        return access.write(lambda conn: jobs.create_job(conn, get_collection(conn, "notes").id, kind=jobs.NOTED))


def drain(path, model):
    return run(path, noted(path), model)


def left(path):
    return [row[0] for row in read(path, "select id from _embed_notes_notes order by note")]


def test_only_listed_rows_are_looked_at(embedded):
    """A row that changed and was not noted stays as it was; one that was noted is embedded, and its note is gone."""
    path = embedded(NOTES, [(1, "a"), (2, "b"), (3, "c")], model := WordLengths())
    write(path, "update notes set body = 'changed ' || id")
    note(path, 2)
    job = drain(path, model)
    assert (job.status, job.rows_total, job.rows_done, job.embedded) == ("finished", 1, 1, 1)
    assert (model.contents, left(path)) == (["changed 2"], [])
    assert vectors(path, "notes")[2] == word_lengths("changed 2")


def test_a_row_that_is_gone_loses_its_vector(embedded):
    """A noted key without a row costs the vector that it had; one that never had any costs nothing."""
    path = embedded(NOTES, [(1, "a"), (2, "b")], model := WordLengths())
    write(path, "delete from notes where id = 1")
    note(path, 1, 99)
    job = drain(path, model)
    assert (job.status, job.removed, model.calls, list(vectors(path, "notes"))) == ("finished", 1, [], [2])


def test_unlisted_vectors_are_not_swept(embedded):
    """Only what was noted is dealt with: a walk over keys costs nothing for the other rows."""
    path = embedded(NOTES, [(1, "a"), (2, "b")], model := WordLengths())
    write(path, "delete from notes")
    note(path, 1)
    assert drain(path, model).removed == 1
    assert list(vectors(path, "notes")) == [2]


def test_what_did_not_change_costs_no_model(embedded):
    """A noted row of the same content is unchanged, and an empty one loses its vector."""
    path = embedded(NOTES, [(1, "a"), (2, "b")], model := WordLengths())
    write(path, "update notes set body = null where id = 2")
    note(path, 1, 2)
    job = drain(path, model)
    assert (job.unchanged, job.empty, job.removed, model.calls) == (1, 1, 1, [])


def test_a_row_noted_often_is_embedded_once(embedded):
    """However often a row changed before it was dealt with, its last content alone is embedded."""
    path = embedded(NOTES, [(1, "a"), (2, "b")], model := WordLengths())
    write(path, "update notes set body = 'changed ' || id")
    note(path, 1, 2, 1, 1, 2)
    job = drain(path, model)
    assert (job.rows_total, job.rows_done, job.embedded, job.unchanged) == (5, 5, 2, 3)
    assert sorted(model.contents) == ["changed 1", "changed 2"]


def test_notes_that_come_meanwhile_stay(embedded):
    """A note that comes after its row was read is dealt with by the next job, even if it is of the same row."""
    path = embedded(NOTES, [(1, "a")], WordLengths())
    write(path, "update notes set body = 'second' where id = 1")
    note(path, 1)
    model = Held("word-lengths")
    with running(path, noted(path), model) as done:
        model.wait_for_call()
        write(path, "update notes set body = 'third one' where id = 1")
        note(path, 1)
    assert (done[0].status, left(path)) == ("finished", [1])
    assert drain(path, model).embedded == 1
    assert vectors(path, "notes") == {1: word_lengths("third one")}


def test_a_model_that_is_down_loses_no_note(embedded):
    """What could not be embedded is still noted."""
    path = embedded(NOTES, [(1, "a"), (2, "b")], model := Failing())
    write(path, "update notes set body = 'DOWN ' || id")
    note(path, 1, 2)
    assert drain(path, model).status == "failed"
    assert left(path) == [1, 2]


def test_batches_of_one_stretch_are_saved_before_the_notes_go(embedded, monkeypatch):
    """A job that stops between two batches has saved the first and kept every note; nothing is embedded again."""
    monkeypatch.setattr(pace, "FIRST_BATCH", 1)
    monkeypatch.setattr(pace, "LARGEST_BATCH", 1)
    path = embedded(NOTES, [(1, "a"), (2, "b")], model := Failing())
    write(path, "update notes set body = case id when 1 then 'the longer one' else 'DOWN' end")
    note(path, 1, 2)
    assert drain(path, model).status == "failed"
    assert (vectors(path, "notes")[1], left(path)) == (word_lengths("the longer one"), [1, 2])
    write(path, "update notes set body = 'up' where id = 2")
    model.calls.clear()
    assert drain(path, model).status == "finished"
    assert (model.contents, left(path)) == (["up"], [])


def test_a_failure_is_kept_until_the_row_is_mended(embedded):
    """A noted row that fails stands in the errors, and no longer once it is noted and does not fail, or is gone."""
    path = embedded(NOTES, [(1, "a"), (2, "b")], model := Failing())
    write(path, "update notes set body = 'FAIL ' || id")
    note(path, 1, 2)
    job = drain(path, model)
    assert (job.status, job.failed, len(errors(path)), vectors(path, "notes")) == ("finished", 2, 2, {})
    write(path, "update notes set body = 'mended' where id = 1")
    write(path, "delete from notes where id = 2")
    note(path, 1, 2)
    assert drain(path, model).failed == 0
    assert errors(path) == []


def test_what_failed_is_not_tried_again_unless_it_changed(embedded):
    """A failed row that is noted with the same content costs no call, and its error stays."""
    path = embedded(NOTES, [(1, "a")], model := Failing())
    write(path, "update notes set body = 'FAIL'")
    note(path, 1)
    drain(path, model)
    model.calls.clear()
    note(path, 1)
    assert drain(path, model).postponed == 1
    assert (model.calls, len(errors(path))) == ([], 1)


def test_keys_that_no_vector_can_be_kept_with(embedded):
    """NULL and broken text in a key are found by their note, named as errors, and forgotten with their rows."""
    path = embedded(KEYED, [("a", "x")], model := WordLengths())
    write(path, "insert into notes values (null, 'one'), (null, 'two'), (cast(x'ff' as text), 'three')")
    write(path, "insert into _embed_notes_notes (id) select id from notes")
    job = drain(path, model)
    assert (job.failed, len(errors(path)), model.calls) == (3, 3, [])
    write(path, "insert into _embed_notes_notes (id) select id from notes")
    write(path, "delete from notes")
    drain(path, model)
    assert (errors(path), vectors(path, "notes"), left(path)) == ([], {}, [])


def test_a_row_is_found_by_a_key_of_any_kind(embedded):
    """Numbers, texts, bytes and broken text are found as SQLite compares them, by the key's own collation."""
    script = "create table notes (id collate nocase primary key, body text)"
    path = embedded(script, [(1, "int"), ("1", "text"), (b"1", "blob"), ("Abc", "word")], WordLengths())
    write(path, "insert into notes values (cast(x'fe' as text), 'broken')")
    with FileAccess(path) as access:

        def find(conn, key):
            source = reader(source_table(conn, "notes"), get_collection(conn, "notes"))
            return [row.content for row in source.find(conn, (key,))]

        keys = (1, "1", b"1", "aBC", BrokenText(b"\xfe"), b"\xfe", "none")
        found = [access.read(lambda conn, key=key: find(conn, key)) for key in keys]
    assert found == [["int"], ["text"], ["blob"], ["word"], ["broken"], [], []]
