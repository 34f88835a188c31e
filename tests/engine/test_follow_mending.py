"""What other programs do to a followed table: renamed, rebuilt, dropped, vacuumed, restored; and what is made of it."""

import shutil
import sqlite3
from contextlib import closing

import pytest
import sqlite_utils
from embedded import create, make_file, read, running, vectors, write
from fake_models import Held, WordLengths, word_lengths
from followed import due, embed_and_follow, execute, fresh, noted, sync, triggers

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.errors import CannotEmbed
from datasette_embeddings.engine.follow.attending import attend, look
from datasette_embeddings.engine.status import count

NOTES = "create table notes (id integer primary key, title text, body text, year int)"
ROWS = [(n, f"title {n}", f"the body of {'x' * n}", 2000 + n) for n in range(1, 6)]
KEYLESS = "create table notes (body text)"
NAMES = ("delete", "insert", "rekey", "update")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.db"


@pytest.fixture
def model():
    return WordLengths()


@pytest.fixture
def notes(path, model):
    """The file of a followed collection `notes` over the body."""
    make_file(path, NOTES, notes=ROWS)
    embed_and_follow(path, "notes", ["body"], model)
    return path


def definition(path, name="notes"):
    with closing(connect(path)) as conn:
        return get_collection(conn, name).definition


def attended(path):
    """Attend to the file as the worker does; whether all triggers are in order then."""
    with closing(connect(path)) as conn:
        attend(conn)
        return look(conn, None).checked is not None


def causes(jobs):
    return [(job.kind, job.cause, job.embedded) for job in jobs]


LOST = [("rows", "The triggers on notes were gone and were made again: this pass compares every row", 1)]


@pytest.mark.parametrize("lost", [NAMES, ("update",), ("rekey",)])
def test_triggers_that_were_dropped(notes, model, lost):
    """Missing triggers are made again and every row is compared, once: what changed meanwhile is found by its hash."""
    for name in lost:
        write(notes, f"drop trigger _embed_{name}_notes")
    write(notes, "update notes set body = 'unnoted' where id = 1")
    assert causes(sync(notes, model)) == LOST
    assert vectors(notes, "notes") == fresh(notes)
    assert triggers(notes) == {f"_embed_{name}_notes": "notes" for name in NAMES}
    assert (sync(notes, model), model.contents) == ([], ["unnoted"])


def test_a_trigger_that_somebody_rewrote(notes, model):
    """A trigger of our name with another body is not ours, and is replaced."""
    execute(
        notes,
        """drop trigger _embed_update_notes;
        create trigger _embed_update_notes after update of body on notes begin select 1; end;
        update notes set body = 'unnoted' where id = 1""",
    )
    assert causes(sync(notes, model)) == LOST


def test_notes_that_were_dropped(notes, model):
    """Without the table of the notes every write fails, until the next look makes it again."""
    write(notes, "drop table _embed_notes_notes")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        write(notes, "delete from notes")
    assert causes(sync(notes, model)) == [(*LOST[0][:2], 0)]
    write(notes, "delete from notes where id = 1")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)


def test_transform_drops_the_triggers(notes, model):
    """sqlite-utils' transform() rebuilds the table and drops its triggers: they are made again, and it is compared."""
    database = sqlite_utils.Database(notes)
    database["notes"].transform(types={"year": str}, drop={"title"})
    database["notes"].update(1, {"body": "after the transformation"})
    database.close()
    assert triggers(notes) == {}
    assert causes(sync(notes, model)) == LOST
    assert vectors(notes, "notes") == fresh(notes)


def test_a_table_that_is_dropped_and_made_anew(notes, model):
    """A dropped table takes its triggers along; one of its name is followed again, and compared."""
    write(notes, "drop table notes")
    assert (sync(notes, model), triggers(notes)) == ([], {})
    make_file(notes, NOTES, notes=[(2, "", "the body of xx", 1), (9, "", "all new", 2)])
    assert causes(sync(notes, model)) == LOST
    assert vectors(notes, "notes") == fresh(notes)
    write(notes, "delete from notes where id = 9")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)


def test_a_renamed_column_is_followed(notes, model):
    """`rename column` keeps every vector: the collection reads the column under its new name."""
    execute(notes, 'alter table notes rename column body to "the ""text"""; update notes set "the ""text""" = \'one\'')
    (job,) = sync(notes, model)
    assert (job.kind, model.contents) == ("rows", ["one"])
    assert definition(notes).columns == ('the "text"',)
    write(notes, 'update notes set "the ""text""" = \'two\' where id = 1')
    assert noted(notes) == [1]
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes, content='"the ""text"""')


def test_renamed_columns_of_a_template(path, model):
    """A template is reworded with the columns, its other words kept, and no row is embedded again."""
    make_file(path, NOTES, notes=ROWS)
    template = "body: {{ title }} / {{row.BODY}} / {{ chunk }}"
    embed_and_follow(path, "notes", ["year"], model, template=template)
    execute(path, "alter table notes rename column body to text; alter table notes rename column year to chunk")
    assert causes(sync(path, model)) == [
        ("rows", "The table notes was changed or made anew: this pass compares every row", 0)
    ]
    assert definition(path).template == "body: {{ title }} / {{ text }} / {{ chunk }}"
    assert (definition(path).columns, model.calls) == (("chunk",), [])


def test_a_renamed_key(notes, model):
    """A key's column may be renamed: the vectors keep their rows."""
    write(notes, "alter table notes rename column id to number")
    write(notes, "update notes set body = 'later' where number = 2")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes, key="number")
    write(notes, "update notes set number = 20 where number = 2")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes, key="number")


def test_columns_of_a_compound_key_exchange_their_names(path, model):
    """However the names move about, each stored column holds the same part of the key."""
    make_file(path, "create table notes (a, b, body, primary key (a, b))", notes=[("of a", "of b", "one")])
    embed_and_follow(path, "notes", ["body"], model)
    execute(path, "".join(f"alter table notes rename column {step};" for step in ("a to c", "b to a", "c to b")))
    sync(path, model)
    assert read(path, "select b, a from _embed_vectors_notes") == [("of a", "of b")]
    assert model.calls == []


def test_a_renamed_table_is_followed(notes, model):
    """The collection goes with its table, under its own old name."""
    execute(notes, "alter table notes rename to papers; update papers set body = 'renamed' where id = 1")
    sync(notes, model)
    assert (definition(notes).table, model.contents) == ("papers", ["renamed"])
    write(notes, "delete from papers where id = 2")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)


def test_a_table_of_the_old_name_goes_before(notes, model):
    """Where a table is renamed out of the way of a new one, the collection stays with its name."""
    execute(notes, f"alter table notes rename to notes_old; {NOTES}; insert into notes values (1, '', 'new', 1)")
    sync(notes, model)
    assert set(triggers(notes).values()) == {"notes"}
    assert vectors(notes, "notes") == {1: word_lengths("new")}


def test_an_added_column_costs_no_model(notes, model):
    """`add column` changes nothing that is embedded: the rows are compared, and following goes on."""
    write(notes, "alter table notes add column extra text default 'x'")
    write(notes, "update notes set body = 'both' where id = 1")
    sync(notes, model)
    assert (vectors(notes, "notes"), model.contents) == (fresh(notes), ["both"])


def test_an_embedded_column_that_is_dropped(notes, model):
    """SQLite lets its owner drop an embedded column; the collection waits until there is one of that name again."""
    write(notes, "alter table notes drop column body")
    write(notes, "delete from notes where id = 5")
    assert sync(notes, model) == []
    with closing(connect(notes)) as conn:
        assert not look(conn, None).is_due
    write(notes, "alter table notes add column body text")
    write(notes, "update notes set body = 'again' where id = 1")
    sync(notes, model)
    assert vectors(notes, "notes") == {1: word_lengths("again")}


STATEMENT = "select sql from sqlite_master where name = 'notes'"
UNNOTED = "Rows of notes differ from their vectors, and no change of them was noted: this pass compares every row"


@pytest.mark.parametrize("default", ["", " default 'none'"])
def test_an_embedded_column_that_is_dropped_and_added_again(path, model, default):
    """Word for word, between two looks: table and triggers read as before, and it is noticed by a sample of rows."""
    make_file(path, f"create table notes (id integer primary key, body text{default})", notes=[(1, "a"), (2, "b c")])
    embed_and_follow(path, "notes", ["body"], model)
    before = read(path, STATEMENT)
    execute(path, f"alter table notes drop column body; alter table notes add column body text{default}")
    write(path, "update notes set body = 'again' where id = 2")
    assert read(path, STATEMENT) == before
    (job,) = sync(path, model)
    assert (job.kind, job.cause) == ("rows", UNNOTED)
    assert vectors(path, "notes") == fresh(path)
    assert sync(path, model) == []


def test_a_change_of_the_schema_is_no_reason_by_itself(notes, model):
    """Rows that were noted are dealt with as such, and where none was there is nothing to do."""
    write(notes, "create index years on notes (year)")
    assert sync(notes, model) == []
    execute(
        notes, "update notes set body = body || '!'; delete from notes where id = 1; create view all_notes as select 1"
    )
    (job,) = sync(notes, model)
    assert (job.kind, job.embedded, vectors(notes, "notes")) == ("noted", 4, fresh(notes))


def test_another_column_that_is_dropped(notes, model):
    """No trigger keeps a column that is not embedded from being dropped or renamed."""
    execute(notes, "alter table notes drop column year; alter table notes rename column title to heading")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)
    assert model.calls == []


def test_vacuum_renumbers_rows_without_a_key(path, model):
    """After VACUUM the rows of a table without a key may have other rowids: all are compared, those noted too."""
    make_file(path, KEYLESS, notes=[("one",), ("of two",), ("and three",), ("four",)])
    embed_and_follow(path, "notes", ["body"], model)
    execute(path, "delete from notes where rowid = 1; update notes set body = 'now five' where rowid = 4; vacuum")
    cause = "The file was vacuumed or its schema changed, and notes has no primary key: this pass compares every row"
    assert causes(sync(path, model)) == [("rows", cause, 1)]
    assert (vectors(path, "notes"), model.contents) == (fresh(path, key="rowid"), ["now five"])


def test_vacuum_while_noted_rows_are_embedded(path):
    """A job over noted rowids that VACUUM renumbers meanwhile looks at every row instead."""
    make_file(path, KEYLESS, notes=[("one",), ("of two",), ("and three",), ("four",)])
    embed_and_follow(path, "notes", ["body"], WordLengths())
    execute(path, "delete from notes where rowid = 1; update notes set body = 'now five' where rowid = 4")
    with running(path, due(path), model := Held("word-lengths")) as done:
        model.wait_for_call()
        execute(path, "vacuum")
    assert done[0].status == "finished"
    assert vectors(path, "notes") == fresh(path, key="rowid")


def test_vacuum_of_a_table_with_a_key(notes, model):
    """VACUUM changes nothing for a table with a primary key, and costs no comparison."""
    execute(notes, "update notes set body = 'noted' where id = 1; vacuum")
    assert [job.kind for job in sync(notes, model)] == ["noted"]
    assert vectors(notes, "notes") == fresh(notes)


def test_a_copy_by_vacuum_into(notes, model, tmp_path):
    """A copy has the triggers, and the notes that waited."""
    write(notes, "update notes set body = 'waits' where id = 1")
    with closing(sqlite3.connect(notes)) as conn:
        conn.execute("vacuum into ?", (str(tmp_path / "copy.db"),))
    write(tmp_path / "copy.db", "update notes set body = 'in the copy' where id = 2")
    sync(tmp_path / "copy.db", model)
    assert vectors(tmp_path / "copy.db", "notes") == fresh(tmp_path / "copy.db")


def test_an_older_backup_of_the_file(notes, model, tmp_path):
    """A restored file has the vectors that its rows had then; what is written from there on is followed."""
    shutil.copy(notes, tmp_path / "backup.db")
    write(notes, "update notes set body = 'lost by the restore'")
    sync(notes, model)
    shutil.copy(tmp_path / "backup.db", notes)
    assert vectors(notes, "notes") == fresh(notes)
    write(notes, "delete from notes where id = 1")
    sync(notes, model)
    assert vectors(notes, "notes") == fresh(notes)


def test_an_older_backup_of_the_table(notes, model, tmp_path):
    """Rows that are put back from a backup without triggers are found by their hash, not by their place."""
    shutil.copy(notes, tmp_path / "backup.db")
    write(notes, "update notes set body = 'newer ' || id")
    sync(notes, model)
    model.calls.clear()
    with closing(sqlite3.connect(notes, isolation_level=None)) as conn:
        conn.execute("attach ? as backup", (str(tmp_path / "backup.db"),))
        conn.executescript(f"drop table notes; {NOTES}; insert into notes select * from backup.notes where id > 2")
    assert [job.kind for job in sync(notes, model)] == ["rows"]
    assert vectors(notes, "notes") == fresh(notes)


def test_triggers_lost_during_a_pass(notes):
    """A pass that was under way when triggers were lost does not count: every row is compared once more."""
    write(notes, "update notes set body = 'first ' || id")
    _, job = create(notes, "notes", ["body"], WordLengths())
    with running(notes, job, model := Held("word-lengths")):
        model.wait_for_call()
        execute(notes, "drop trigger _embed_update_notes; update notes set body = 'unnoted' where id = 1")
        assert not attended(notes)
    assert causes(sync(notes, model)) == LOST
    assert vectors(notes, "notes") == fresh(notes)


def test_another_primary_key(notes, model):
    """A table that got another key is left alone until the collection is made anew: no trigger breaks its writes."""
    sqlite_utils.Database(notes)["notes"].transform(pk="title")
    sync(notes, model)
    write(notes, "insert into notes (title, body) values ('z', 'still works')")
    assert triggers(notes) == {}
    with closing(connect(notes)) as conn, pytest.raises(CannotEmbed, match="no longer the one that this collection"):
        count(conn, get_collection(conn, "notes"), None)


def test_a_broken_view_of_the_person(notes, model):
    """A view that refers to nothing, at which SQLite refuses some changes, keeps nothing from being mended."""
    execute(notes, "create view broken as select * from nowhere; drop trigger _embed_insert_notes")
    write(notes, "insert into notes (body) values ('unnoted')")
    assert causes(sync(notes, model)) == LOST
    assert vectors(notes, "notes") == fresh(notes)


def test_nothing_is_looked_at_twice(notes):
    """Once all is in order, a look reads no trigger until the schema changes."""
    assert attended(notes)
