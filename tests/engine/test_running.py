"""A job from the first row to the last: what is embedded, what is not, and what stops it."""

import sqlite3
import threading
from contextlib import closing

import pytest
from embedded import act, create, embed, errors, job_of, make_file, read, run, running, vectors, wait_until, write
from fake_models import Failing, Held, NeedsKey, Unloadable, WordLengths, word_lengths
from servers import wait_for

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine import running as running_package
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.collections import delete_collection
from datasette_embeddings.engine.models import EmbeddingModel
from datasette_embeddings.engine.running import pace, run_job
from datasette_embeddings.engine.transactions import is_passing

NOTES = "create table notes (id integer primary key, body text)"
KEYLESS = "create table notes (body text)"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.db"


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of two contents, so that a few rows make several."""
    monkeypatch.setattr(pace, "FIRST_BATCH", 2)
    monkeypatch.setattr(pace, "LARGEST_BATCH", 2)


def numbered(count, start=1):
    return [(number, f"{'x' * number} note") for number in range(start, start + count)]


def expected(path, table="notes", key="id", column="body"):
    """What a collection of this table should hold."""
    return {key: word_lengths(text) for key, text in read(path, f"select {key}, {column} from {table}")}


def test_every_row_gets_its_vector(path):
    """A finished job has one vector for each row, and counts them."""
    make_file(path, NOTES, notes=numbered(100))
    job = embed(path, "notes", ["body"], WordLengths())
    assert (job.status, job.rows_total, job.rows_done, job.embedded) == ("finished", 100, 100, 100)
    assert vectors(path, "notes") == expected(path)


def test_again_embeds_nothing(path):
    """What has not changed is not embedded a second time."""
    make_file(path, NOTES, notes=numbered(50))
    embed(path, "notes", ["body"], model := WordLengths())
    model.calls.clear()
    job = embed(path, "notes", ["body"], model)
    assert (model.calls, job.unchanged, job.embedded, job.contents) == ([], 50, 0, 0)


def test_only_what_changed_is_embedded(path):
    """A changed row and a new one are embedded, a deleted one loses its vector."""
    make_file(path, NOTES, notes=numbered(5))
    embed(path, "notes", ["body"], model := WordLengths())
    model.calls.clear()
    write(path, "update notes set body = 'quite different' where id = 2")
    write(path, "delete from notes where id = 3")
    write(path, "insert into notes values (9, 'all new')")
    job = embed(path, "notes", ["body"], model)
    assert model.contents == ["quite different", "all new"]
    assert job.removed == 1
    assert vectors(path, "notes") == expected(path)


def test_a_row_that_takes_anothers_text_gets_the_right_vector(path):
    """Two rows that exchange their texts exchange their vectors, without the model."""
    make_file(path, NOTES, notes=[(1, "a bb"), (2, "ccc")])
    embed(path, "notes", ["body"], model := WordLengths())
    model.calls.clear()
    write(path, "update notes set body = case id when 1 then 'ccc' else 'a bb' end")
    job = embed(path, "notes", ["body"], model)
    assert (model.calls, job.reused) == ([], 2)
    assert vectors(path, "notes") == expected(path)


def test_equal_contents_of_one_batch_are_embedded_once(path):
    """The model sees each content of a batch once, and every row with it gets the vector."""
    make_file(path, NOTES, notes=[(number, "the same") for number in range(20)])
    embed(path, "notes", ["body"], model := WordLengths())
    assert model.contents == ["the same"]
    assert len(vectors(path, "notes")) == 20


def test_equal_contents_of_many_batches_are_embedded_once(path, small_batches):
    """A content that came before, even in the batch that is still being saved, is not embedded again."""
    make_file(path, NOTES, notes=[(number, f"{'x' * (number % 5 + 1)} note") for number in range(60)])
    job = embed(path, "notes", ["body"], model := WordLengths())
    assert sorted(model.contents) == sorted({f"{'x' * n} note" for n in range(1, 6)})
    assert job.contents == 5
    assert vectors(path, "notes") == expected(path)


def test_a_row_with_nothing_to_embed_gets_no_vector(path):
    """NULL and blank count as empty, and a row that became empty loses its vector."""
    make_file(path, NOTES, notes=[(1, None), (2, " \n"), (3, ""), (4, "text"), (5, "more")])
    job = embed(path, "notes", ["body"], WordLengths())
    assert (job.empty, job.embedded) == (3, 2)
    write(path, "update notes set body = null where id = 4")
    job = embed(path, "notes", ["body"], WordLengths())
    assert (job.empty, job.removed, list(vectors(path, "notes"))) == (4, 1, [5])


def test_a_table_without_rows_finishes_at_once(path):
    """A job over no rows is finished, and the model got nothing."""
    make_file(path, NOTES)
    job = embed(path, "notes", ["body"], model := WordLengths())
    assert (job.status, job.rows_total, model.calls) == ("finished", 0, [])


def test_a_bad_row_is_found_and_named(path):
    """A batch that fails is split until the row at fault is alone; all others are saved."""
    make_file(path, NOTES, notes=[*numbered(40), (50, "this must FAIL here"), *numbered(40, 60)])
    job = embed(path, "notes", ["body"], Failing())
    assert (job.status, job.failed, job.embedded) == ("finished", 1, 80)
    assert "cannot embed 'this must FAIL here'" in errors(path)[0]
    assert read(path, "select position, row_key, job_id from _embed_errors") == [("[50]", "[50]", job.id)]


@pytest.mark.parametrize("fault", ["FAIL", "NAN", "LONG", "FEW"])
def test_whatever_is_wrong_with_a_row(path, fault):
    """An error, NaN, another length and a missing vector all cost the row at fault alone its vector."""
    make_file(path, NOTES, notes=[(1, "good one"), (2, f"bad {fault} one"), (3, "good two")])
    job = embed(path, "notes", ["body"], Failing())
    assert (job.status, job.failed) == ("finished", 1)
    assert list(vectors(path, "notes")) == [1, 3]


def test_a_mended_row_leaves_the_errors(path):
    """The next pass embeds what failed, and the error is gone."""
    make_file(path, NOTES, notes=[(1, "good"), (2, "FAIL")])
    embed(path, "notes", ["body"], Failing())
    write(path, "update notes set body = 'mended' where id = 2")
    assert embed(path, "notes", ["body"], Failing()).failed == 0
    assert errors(path) == []


def test_a_row_that_begins_to_fail_loses_its_old_vector(path):
    """A vector of a text that the row no longer has is not kept."""
    make_file(path, NOTES, notes=[(1, "good"), (2, "fine")])
    embed(path, "notes", ["body"], Failing())
    write(path, "update notes set body = 'FAIL' where id = 2")
    embed(path, "notes", ["body"], Failing())
    assert list(vectors(path, "notes")) == [1]


def test_every_row_fails(path):
    """A job that embedded nothing and failed is failed, with the first row's message."""
    make_file(path, NOTES, notes=[(1, "FAIL a"), (2, "FAIL b")])
    job = embed(path, "notes", ["body"], Failing())
    assert job.status == "failed"
    assert "Every row failed: The model failing failed: cannot embed 'FAIL a'" in job.reason


def test_a_failed_job_that_is_resumed_tries_again(path):
    """Resuming what failed on every row begins at the first row."""
    make_file(path, NOTES, notes=[(1, "FAIL a"), (2, "FAIL b")])
    job = embed(path, "notes", ["body"], Failing())
    write(path, "update notes set body = 'mended ' || id")
    act(path, "resume", "notes")
    job = run(path, job, Failing())
    assert (job.status, job.embedded, job.failed) == ("finished", 2, 0)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Unloadable(), "The model unloadable could not be loaded: no such weights"),
        (NeedsKey(), "The model needs-key needs the key 'fake'"),
        (Failing(), "The fake server is down"),
    ],
)
def test_no_use_going_on(path, monkeypatch, model, reason):
    """A model that cannot load, a key that is missing and a server that is down fail the job with the reason."""
    monkeypatch.delenv("FAKE_MODELS_KEY", raising=False)
    make_file(path, NOTES, notes=[(1, "DOWN"), (2, "b")])
    job = embed(path, "notes", ["body"], model)
    assert (job.status, job.failed) == ("failed", 0)
    assert reason in job.reason


def test_a_key_that_is_refused_in_the_middle(path, monkeypatch, small_batches):
    """What was saved before a refusal stays, and the job goes on there once the key is right."""
    make_file(path, NOTES, notes=numbered(20))
    monkeypatch.setenv("FAKE_MODELS_KEY", "right")

    class Spent(NeedsKey):
        def embed_batch(self, contents):
            if len(self.calls) == 4:
                monkeypatch.setenv("FAKE_MODELS_KEY", "wrong")
            return super().embed_batch(contents)

    job = embed(path, "notes", ["body"], Spent())
    assert (job.status, job.reason, job.embedded) == ("failed", "The fake server refused the key", 8)
    monkeypatch.setenv("FAKE_MODELS_KEY", "right")
    act(path, "resume", "notes")
    job = run(path, job, model := NeedsKey())
    assert (job.status, job.embedded, len(model.contents)) == ("finished", 20, 12)
    assert vectors(path, "notes") == expected(path)


def test_a_hopeless_model_is_given_up(path, monkeypatch):
    """A model that fails for content after content, and never succeeds, is not asked for all of them."""
    monkeypatch.setattr(pace, "GIVE_UP_AFTER", 5)
    make_file(path, NOTES, notes=[(number, f"FAIL {number}") for number in range(100)])
    job = embed(path, "notes", ["body"], Failing())
    assert job.status == "failed"
    assert job.reason.startswith("The first 5 contents all failed: The model failing failed")


def test_a_model_that_changed_its_length(path):
    """A collection never mixes vectors of two lengths."""
    make_file(path, NOTES, notes=numbered(3))
    embed(path, "notes", ["body"], WordLengths())
    write(path, "insert into notes values (7, 'another one')")

    class Shorter(WordLengths):
        dimensions = None

        def embed_batch(self, contents):
            return [vector[:4] for vector in super().embed_batch(contents)]

    job = embed(path, "notes", ["body"], Shorter())
    assert job.status == "failed"
    assert "now gives vectors of 4 dimensions, and this collection holds vectors of 16" in job.reason


def test_older_vectors_of_another_length_are_not_taken_over(path):
    """A new collection of a model whose length changed takes nothing from the older one."""
    make_file(path, NOTES, notes=numbered(3))
    embed(path, "notes", ["body"], WordLengths())

    class Shorter(WordLengths):
        dimensions = 4

        def embed_batch(self, contents):
            return [vector[:4] for vector in super().embed_batch(contents)]

    job = embed(path, "notes", ["body"], Shorter(), name="short")
    assert (job.status, job.reused) == ("finished", 0)
    assert {len(vector) for vector in vectors(path, "short").values()} == {4}


def test_another_collections_vectors_are_taken_over(path):
    """A content that another collection of the same model holds costs nothing."""
    make_file(path, NOTES, notes=numbered(3))
    embed(path, "notes", ["body"], WordLengths())
    job = embed(path, "notes", ["body"], model := WordLengths(), name="again")
    assert (job.reused, model.calls) == (3, [])
    assert vectors(path, "again") == expected(path)


def test_contents_of_one_length_go_together(path, small_batches):
    """Contents read together are embedded longest first, so that no batch pads short ones to a long one's length."""
    make_file(path, NOTES, notes=[(number, "x" * (number * 7 % 20 + 1)) for number in range(1, 21)])
    job = embed(path, "notes", ["body"], model := WordLengths())
    lengths = [len(content) for content in model.contents]
    assert (job.status, len(model.calls), lengths) == ("finished", 10, sorted(lengths, reverse=True))


def test_pause_keeps_the_batch_in_flight(path, small_batches):
    """A pause saves the batch that the model works on, begins no other, and resume goes on behind it."""
    make_file(path, NOTES, notes=numbered(20))
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model) as done:
        assert len(model.wait_for_call()) == 2
        act(path, "pause", "notes")
    assert (done[0].status, done[0].embedded, len(model.contents)) == ("paused", 2, 2)
    assert sorted(vectors(path, "notes")) == [19, 20]  # the longest go first
    act(path, "resume", "notes")
    job = run(path, job, model)
    assert (job.status, job.embedded, len(model.contents)) == ("finished", 20, 20)


def test_a_quick_resume_keeps_the_batch_in_flight(path, small_batches):
    """A batch that was in the model while somebody paused and resumed is saved all the same."""
    make_file(path, NOTES, notes=numbered(20))
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model) as done:
        model.wait_for_call()
        act(path, "pause", "notes")
        act(path, "resume", "notes")
    assert (done[0].status, done[0].embedded) == ("pending", 2)
    assert run(path, job, model).status == "finished"
    assert len(model.contents) == 20


def test_cancel_ends_the_job(path, small_batches):
    """A cancelled job embeds nothing more, and what was saved stays."""
    make_file(path, NOTES, notes=numbered(20))
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model) as done:
        model.wait_for_call()
        model.release()
        model.wait_for_call()
        wait_until(path, "select rows_done = 2 from _embed_jobs", "the first batch to be saved")
        act(path, "cancel", "notes")
    assert (done[0].status, len(vectors(path, "notes"))) == ("cancelled", 2)
    assert len(model.contents) == 4


def test_stop_gives_the_job_back(path, small_batches):
    """A process that is asked to stop saves the batch in flight and leaves the job for the next one."""
    make_file(path, NOTES, notes=numbered(20))
    model, stop = Held(), threading.Event()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model, stop=stop) as done:
        model.wait_for_call()
        stop.set()
    assert (done[0].status, done[0].owner, done[0].embedded) == ("pending", None, 2)
    assert run(path, job, model, owner="next").status == "finished"
    assert len(model.contents) == 20


def test_a_collection_deleted_during_its_job(path, small_batches):
    """Nothing is left of it, and the job ends as cancelled."""
    make_file(path, NOTES, notes=numbered(20))
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model) as done:
        model.wait_for_call()
        with FileAccess(path) as access:
            access.write(lambda conn: delete_collection(conn, "notes"))
    assert (done[0].status, done[0].reason) == ("cancelled", "The collection was deleted")
    assert read(path, "select name from sqlite_master where name like '%vectors%'") == []


def test_another_collection_deleted_during_the_job(path, small_batches):
    """A job goes on when a collection whose vectors it looked into is deleted."""
    make_file(path, NOTES, notes=numbered(20))
    embed(path, "notes", ["body"], WordLengths("held"), name="old")
    write(path, "update notes set body = body || ' x'")
    model = Held()
    _, job = create(path, "notes", ["body"], model, name="notes")
    with running(path, job, model) as done:
        model.wait_for_call()
        with FileAccess(path) as access:
            access.write(lambda conn: delete_collection(conn, "old"))
    assert (done[0].status, done[0].reason) == ("finished", None)
    assert vectors(path, "notes") == expected(path)


@pytest.mark.parametrize("schema", [NOTES, KEYLESS])
def test_vacuum_in_the_middle(path, small_batches, schema):
    """Where VACUUM renumbers the rowids of a table during its job, every row still gets its own vector."""
    make_file(path, schema)
    width = "id, " if schema is NOTES else ""
    with closing(sqlite3.connect(path)) as conn, conn:
        marks = "?, ?" if width else "?"
        conn.executemany(f"insert into notes values ({marks})", [n if width else n[1:] for n in numbered(30)])
        conn.execute("delete from notes where rowid % 3 = 0")
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model) as done:
        for _ in range(3):
            model.wait_for_call()
            model.release()
        model.wait_for_call()
        write(path, "vacuum")
    assert (done[0].status, done[0].rows_done) == ("finished", 20)
    assert vectors(path, "notes") == expected(path, key="rowid")
    assert len(model.contents) == 20


def test_vacuum_between_two_runs(path, small_batches):
    """A paused job over renumbered rowids begins anew, and loses no row."""
    make_file(path, KEYLESS, notes=[(text,) for _, text in numbered(20)])
    write(path, "delete from notes where rowid = 1")
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model):
        model.wait_for_call()
        act(path, "pause", "notes")
    write(path, "vacuum")
    act(path, "resume", "notes")
    assert run(path, job, model).status == "finished"
    assert vectors(path, "notes") == expected(path, key="rowid")
    assert len(model.contents) == 19


def test_errors_move_with_vacuum(path, small_batches):
    """A row that failed before VACUUM renumbered it is named once, where it now is."""
    make_file(path, KEYLESS, notes=[("a",), ("FAIL",), ("b b",), ("c c c",), ("dd d",), ("e ee",)])
    write(path, "delete from notes where rowid = 1")

    class Model(Held, Failing):
        model_id = "failing-held"

    model = Model()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model) as done:
        model.wait_for_call()
        model.release(3)
        wait_until(path, "select count(*) from _embed_errors", "the error to be saved")
        write(path, "vacuum")
    assert done[0].failed == 1
    assert read(path, "select position from _embed_errors") == [("[1]",)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("alter table notes rename to other", "There is no table 'notes' in this database"),
        ("drop table notes", "There is no table 'notes' in this database"),
        ("alter table notes rename column body to text", "notes has no column 'body'; it has id, text"),
        ("alter table notes drop column body", "notes has no column 'body'; it has id"),
        ("alter table notes rename column id to key", "The primary key of notes is no longer the one"),
    ],
)
@pytest.mark.parametrize("when", ["before", "during"])
def test_the_table_changes(path, small_batches, change, reason, when):
    """A job whose table, column or key is gone fails with a sentence that names it."""
    make_file(path, NOTES, notes=numbered(20))
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    if when == "before":
        write(path, change)
        model.open()
        ended = run(path, job, model)
    else:
        with running(path, job, model) as done:
            model.wait_for_call()
            write(path, change)
        ended = done[0]
    assert (ended.status, ended.reason[: len(reason)]) == ("failed", reason)


def test_a_column_added_during_the_job(path, small_batches):
    """A change of the table that does not concern the collection is no trouble."""
    make_file(path, NOTES, notes=numbered(20))
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    with running(path, job, model) as done:
        model.wait_for_call()
        write(path, "alter table notes add column more text")
    assert (done[0].status, done[0].embedded, len(model.contents)) == ("finished", 20, 20)


def test_the_vectors_table_is_gone(path):
    """Somebody dropped the vectors table by hand: the job says so."""
    make_file(path, NOTES, notes=numbered(2))
    _, job = create(path, "notes", ["body"], WordLengths())
    write(path, "drop table _embed_vectors_notes")
    assert "The table _embed_vectors_notes is gone" in run(path, job, WordLengths()).reason


def test_a_locked_file_pauses_the_job(path, monkeypatch, small_batches):
    """Another program's lock pauses the job with the reason, and once it is gone the job can be resumed."""
    monkeypatch.setattr("datasette_embeddings.engine.access.LOCK_SECONDS", 0.05)
    monkeypatch.setattr("datasette_embeddings.engine.running.RETRY_SECONDS", 0.05)
    make_file(path, NOTES, notes=numbered(20))
    model = Held()
    _, job = create(path, "notes", ["body"], model)
    tried = []
    monkeypatch.setattr(running_package, "is_passing", lambda error: tried.append(error) or is_passing(error))
    with running(path, job, model) as done:
        model.wait_for_call()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin exclusive")
            model.open()
            wait_for(lambda: tried, "the job to meet the lock")
    assert done[0].status == "paused"
    assert "SQLite says: database is locked. Nothing stored is lost" in done[0].reason
    monkeypatch.undo()
    act(path, "resume", "notes")
    assert run(path, job, model).status == "finished"
    assert vectors(path, "notes") == expected(path)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_full_disk_pauses_the_job(path, monkeypatch, small_batches, journal):
    """A disk that is full pauses the job, nothing stored is lost, and with more room it goes on."""
    make_file(path, f"pragma journal_mode = {journal}; {NOTES}", notes=[(n, f"{n} " * 9) for n in range(200)])
    _, job = create(path, "notes", ["body"], model := WordLengths())
    pages = read(path, "pragma page_count")[0][0]
    with FileAccess(path) as access:
        access.write(lambda conn: jobs.claim(conn, job.id, "full"))
        access._writing.execute(f"pragma max_page_count = {pages + 6}")
        ended = run_job(access, job, "full", lambda name: model)
    assert (ended.status, ended.reason[:40]) == ("paused", "SQLite says: database or disk is full. N")
    assert 0 < ended.rows_done == len(vectors(path, "notes")) < 200
    assert read(path, "pragma integrity_check") == [("ok",)]
    act(path, "resume", "notes")
    assert run(path, job, model).status == "finished"
    assert vectors(path, "notes") == expected(path)


def test_a_fault_of_ours_fails_the_job_and_is_raised(path, monkeypatch):
    """An error that nobody foresaw ends the job with it, and reaches the caller with its traceback."""
    make_file(path, NOTES, notes=numbered(2))
    _, job = create(path, "notes", ["body"], WordLengths())
    monkeypatch.setattr("datasette_embeddings.engine.saving.save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(path, job, WordLengths())
    job = job_of(path, job)
    assert (job.status, job.reason[:28]) == ("failed", "A fault in datasette-embed: ")


def test_errors_are_raised_where_that_was_asked_for(path, monkeypatch):
    """With DATASETTE_EMBED_RAISE_ERRORS the model's own error reaches the caller, and the job is free at once."""
    monkeypatch.setenv("DATASETTE_EMBED_RAISE_ERRORS", "1")
    make_file(path, NOTES, notes=[(1, "FAIL")])
    _, job = create(path, "notes", ["body"], Failing())
    with pytest.raises(ValueError, match="cannot embed 'FAIL'"):
        run(path, job, Failing())
    assert job_of(path, job).status == "pending"


def test_progress_is_reported(path, small_batches):
    """The caller hears of every batch as it is saved."""
    make_file(path, NOTES, notes=numbered(7))
    seen = []
    _, job = create(path, "notes", ["body"], WordLengths())
    run(path, job, WordLengths(), on_progress=lambda job: seen.append(job.rows_done))
    assert seen == [2, 4, 6, 7, 7]


def test_a_batch_grows_with_a_quick_model(path):
    """A model that is quick gets large batches."""
    make_file(path, NOTES, notes=numbered(1000))
    embed(path, "notes", ["body"], model := WordLengths())
    assert [len(call) for call in model.calls][:1] == [32]
    assert max(len(call) for call in model.calls) > 200


def test_a_model_that_loads_inside_its_batch(path):
    """A model without load() works as well."""

    class Lazy(EmbeddingModel):
        model_id = "lazy"

        def embed_batch(self, contents):
            return ([1.0, float(len(content))] for content in contents)

    make_file(path, NOTES, notes=[(1, "abc")])
    assert embed(path, "notes", ["body"], Lazy()).status == "finished"
    assert vectors(path, "notes") == {1: [1.0, 3.0]}


class OfSizes(WordLengths):
    """Gives vectors of as many dimensions as the content says."""

    dimensions = None

    def embed_batch(self, contents):
        return [[1.0] * int(content) for content in contents]


def test_a_vector_of_another_length_fails_alone(path):
    """A row whose vector cannot be compared with the others' fails, wherever it stands, and they are saved."""
    make_file(path, NOTES, notes=[(1, "400"), (2, "3"), (3, " 3"), (4, "3 "), (5, "40")])
    job = embed(path, "notes", ["body"], OfSizes())
    assert (job.status, job.embedded, job.failed, sorted(vectors(path, "notes"))) == ("finished", 3, 2, [2, 3, 4])
