"""When followed changes are embedded by themselves, and when they wait for somebody."""

from contextlib import closing

import pytest
from embedded import act, create, errors, make_file, read, run, running, vectors, write
from fake_models import Failing, Held, Unloadable, WordLengths, word_lengths
from followed import due, embed_and_follow, execute, fresh, noted, sync, triggers

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.changing import begin_change, cancel_change
from datasette_embeddings.engine.collections import define, get_collection
from datasette_embeddings.engine.follow import attending
from datasette_embeddings.engine.follow.attending import Look, attend, look
from datasette_embeddings.engine.follow.following import follow, unfollow
from datasette_embeddings.engine.follow.notes import stored_notes, waiting
from datasette_embeddings.engine.sources import Source, schema_version

NOTES = "create table notes (id integer primary key, body text)"


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=[(n, f"{'x' * n} note") for n in range(1, 6)])


@pytest.fixture
def model():
    return WordLengths()


@pytest.fixture
def notes(path, model):
    embed_and_follow(path, "notes", ["body"], model)
    return path


def shown(path):
    """The job that a page shows of the collection."""
    with closing(connect(path)) as conn:
        return jobs.latest_job(conn, get_collection(conn, "notes").id)


def statuses(path):
    return read(path, "select kind, status from _embed_jobs order by id")


def test_nothing_to_do_writes_nothing(notes):
    """A look at a file where nothing waits only reads, and finds nothing."""
    with closing(connect(notes)) as conn:
        changes = conn.total_changes
        found = look(conn, None)
        assert found == Look(False, schema_version(conn))
        assert look(conn, found.checked) == found
        assert conn.total_changes == changes


def test_what_waits_is_seen_without_the_schema(notes):
    """A change by another program is seen by the next look."""
    with closing(connect(notes)) as conn:
        checked = look(conn, None).checked
        write(notes, "delete from notes where id = 1")
        assert look(conn, checked).is_due
        attend(conn)
        assert not look(conn, checked).is_due


def test_finished_jobs_make_room(notes, model):
    """However many changes there were, one job over noted rows is kept, and the last full pass is the one shown."""
    for number in range(3):
        write(notes, f"update notes set body = 'change {'y' * number}' where id = 1")
        sync(notes, model)
    assert statuses(notes) == [("rows", "finished"), ("noted", "finished")]
    assert (shown(notes).kind, shown(notes).rows_done) == ("rows", 5)


def test_a_paused_job_stays_paused(notes, model):
    """What a person paused is theirs to resume: until then the changes wait."""
    write(notes, "update notes set body = 'one' where id = 1")
    due(notes)
    act(notes, "pause", "notes")
    write(notes, "update notes set body = 'two' where id = 2")
    assert sync(notes, model) == []
    assert shown(notes).kind == "noted"
    act(notes, "resume", "notes")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)


def test_a_failed_job_is_not_hammered(notes, model):
    """A model that cannot work fails one job; what changes later waits for somebody to mend it and resume."""
    write(notes, "update notes set body = 'one' where id = 1")
    (job,) = sync(notes, Unloadable())
    assert (job.kind, job.status) == ("noted", "failed")
    write(notes, "update notes set body = 'two' where id = 2")
    assert sync(notes, Unloadable()) == []
    act(notes, "resume", "notes")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)


def test_a_cancelled_job_waits_for_an_update(notes, model):
    """Cancelled is not begun again by itself; an update answers what was noted, and following goes on."""
    write(notes, "update notes set body = 'one' where id = 1")
    due(notes)
    act(notes, "cancel", "notes")
    assert sync(notes, model) == []
    _, job = create(notes, "notes", ["body"], model)
    run(notes, job, model)
    assert (noted(notes), vectors(notes, "notes")) == ([], fresh(notes))
    write(notes, "update notes set body = 'two' where id = 2")
    assert [job.kind for job in sync(notes, model)] == ["noted"]


def test_one_bad_row_stops_nothing(path):
    """A changed row that the model refuses is an error of that row: following goes on."""
    embed_and_follow(path, "notes", ["body"], model := Failing())
    write(path, "update notes set body = 'FAIL' where id = 1")
    (job,) = sync(path, model)
    assert (job.status, job.failed, len(errors(path))) == ("finished", 1, 1)
    write(path, "update notes set body = 'fine' where id = 2")
    assert [job.status for job in sync(path, model)] == ["finished"]


def test_another_programs_lock_is_waited_for(notes, model):
    """A job over noted rows that a lock paused is tried again after a while; nobody asked for the pause."""
    write(notes, "update notes set body = 'one' where id = 1")
    job = due(notes)
    with closing(connect(notes)) as conn:
        jobs.claim(conn, job.id, "other")
        jobs.end(conn, job.id, "other", "paused", "SQLite says: database is locked. Nothing stored is lost")
    assert sync(notes, model) == []
    write(notes, "update _embed_jobs set updated = '2026-01-01T00:00:00Z'")
    assert [job.status for job in sync(notes, model)] == ["finished"]
    assert statuses(notes) == [("rows", "finished"), ("noted", "finished")]


def test_more_notes_than_rows(notes, model, monkeypatch):
    """A log that is longer than the table is answered by a look at every row, and emptied."""
    monkeypatch.setattr(attending, "FEW", 3)
    for number in range(3):
        write(notes, f"update notes set body = 'changed {'z' * number}' || id")
    (job,) = sync(notes, model)
    assert (job.kind, job.cause) == (
        "rows",
        "More changes were noted than notes has rows: this pass compares every row",
    )
    assert (noted(notes), vectors(notes, "notes")) == ([], fresh(notes))


def test_the_log_is_emptied_as_far_as_it_is_answered(notes):
    """Notes that come while every row is looked at stay; those from before are gone with the pass."""
    write(notes, "update notes set body = 'before ' || id")
    _, job = create(notes, "notes", ["body"], WordLengths())
    with running(notes, job, model := Held("word-lengths")):
        model.wait_for_call()
        write(notes, "update notes set body = 'meanwhile' where id = 3")
    assert noted(notes) == [3]
    sync(notes, WordLengths())
    assert vectors(notes, "notes") == fresh(notes)


def test_changes_during_the_first_pass(path):
    """What is written while a new collection is embedded is noted, dealt with afterwards, and embedded once."""
    collection, job = create(path, "notes", ["body"], WordLengths())
    with FileAccess(path) as access:
        access.write(lambda conn: follow(conn, collection))
    write(path, "insert into notes values (6, 'before the pass')")
    with running(path, job, model := Held("word-lengths")):
        model.wait_for_call()
        write(path, "insert into notes values (7, 'while it runs')")
        assert due(path) is None
    (job,) = sync(path, later := WordLengths())
    assert (job.kind, later.contents) == ("noted", ["while it runs"])
    assert model.contents.count("before the pass") == 1
    assert vectors(path, "notes") == fresh(path)


def test_a_job_that_died_between_two_batches(notes, model, monkeypatch):
    """Whoever takes a dead process's job up finds every note that it had not dealt with."""
    write(notes, "update notes set body = 'changed ' || id")
    job = due(notes)
    original = Source.next_stretch

    def die(self, conn, after, target):
        if after is not None:
            raise KeyboardInterrupt
        return original(self, conn, after, 2)

    monkeypatch.setattr(Source, "next_stretch", die)
    with pytest.raises(KeyboardInterrupt):
        run(notes, job, model)
    monkeypatch.undo()
    write(notes, "update _embed_jobs set lease_expires = 0 where status = 'running'")
    sync(notes, model)
    assert (noted(notes), vectors(notes, "notes")) == ([], fresh(notes))
    assert len(model.contents) == len(set(model.contents)) == 5


def test_following_switched_off_and_on(notes, model):
    """Off: no trigger, no note. On again: every row is to be compared, for nobody knows what changed meanwhile."""
    write(notes, "update notes set body = 'noted' where id = 1")
    with closing(connect(notes)) as conn:
        collection = unfollow(conn, get_collection(conn, "notes"))
        assert (collection.follow, triggers(notes)) == (False, {})
        write(notes, "update notes set body = 'unnoted' where id = 2")
        assert not look(conn, None).is_due
        assert follow(conn, collection).follow
    _, job = create(notes, "notes", ["body"], model)
    run(notes, job, model)
    write(notes, "delete from notes where id = 5")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)


def test_switched_off_while_noted_rows_are_embedded(notes):
    """The job over noted rows is cancelled, and whoever runs it stops."""
    write(notes, "update notes set body = 'changed ' || id")
    with running(notes, due(notes), model := Held("word-lengths")) as done:
        model.wait_for_call()
        with closing(connect(notes)) as conn:
            unfollow(conn, get_collection(conn, "notes"))
    assert done[0].status == "cancelled"
    assert vectors(notes, "notes")[1] == word_lengths("x note")


def test_what_waits_is_counted(notes):
    """Each row that waits counts once, since its first note."""
    execute(notes, "update notes set body = 'a' where id < 3; update notes set body = 'b' where id = 1")
    write(notes, "update _embed_notes_notes set at = julianday('2026-11-22 10:00:00') where note = 1")
    with closing(connect(notes)) as conn:
        found = waiting(conn, stored_notes(conn, "notes"))
    assert (found.rows, found.since) == (2, "2026-11-22T10:00:00Z")


def test_a_collection_that_is_being_changed_is_followed_twice(notes, model):
    """Until the new vectors take the place of the old, changes reach both; afterwards they reach those that serve."""
    other = WordLengths("other-lengths")
    with closing(connect(notes)) as conn:
        successor = begin_change(conn, "notes", define(conn, "notes", ["body"], None, other))
        job = jobs.create_job(conn, successor.id)
    assert len(triggers(notes)) == 8
    with running(notes, job, held := Held("other-lengths")):
        held.wait_for_call()
        write(notes, "update notes set body = 'while it changes' where id = 1")
        (noted_job,) = sync(notes, model)
        assert (noted_job.kind, model.contents) == ("noted", ["while it changes"])
    assert set(triggers(notes)) == {f"_embed_{name}_notes" for name in ("delete", "insert", "rekey", "update")}
    assert noted(notes) == [1]
    sync(notes, other)
    assert vectors(notes, "notes") == fresh(notes)
    write(notes, "delete from notes where id = 2")
    sync(notes, other)
    assert vectors(notes, "notes") == fresh(notes)


def test_a_change_that_is_called_off(notes, model):
    """What was to replace the collection leaves no trigger behind."""
    with closing(connect(notes)) as conn:
        definition = define(conn, "notes", ["body"], None, WordLengths("other-lengths"))
        begin_change(conn, "notes", definition)
        cancel_change(conn, get_collection(conn, "notes"))
    assert len(triggers(notes)) == 4
    write(notes, "delete from notes where id = 2")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)
