"""Embedding a table from the terminal."""

import sqlite3
from contextlib import closing

import pytest
from fake_models import ByteCounts, Failing, NeedsKey, QuerySide, Unloadable, WordLengths, word_lengths

from datasette_embeddings.engine import jobs, saving
from datasette_embeddings.engine import vectors as encoding


def test_a_table_is_embedded(table, notes, vectors):
    """One vector for each row, of the columns joined, and one line that says so."""
    result = table(notes, "notes", "title", "body")
    assert result.stdout.startswith("notes: 3 rows in ")
    assert result.stdout.endswith(" s: 3 embedded\n")
    assert vectors(notes)[0][2] == encoding.encode(word_lengths("Bread\nMix flour and water, wait, bake"))


def test_again_embeds_only_what_changed(table, notes, vectors, execute):
    """The model gets the row that changed, a row that is gone loses its vector, and the counts tell."""
    table(notes, "notes", "body")
    execute(notes, "update notes set body = 'new words' where id = 2", "delete from notes where id = 3")
    model = WordLengths()
    result = table(notes, "notes", "body", model=model)
    assert model.contents == ["new words"]
    assert result.stdout.endswith("1 embedded, 1 unchanged, 1 removed\n")
    assert [row[0] for row in vectors(notes)] == [1, 2]


def test_a_template_and_a_name(table, notes, read):
    """--template dresses the content, --collection names what comes of it."""
    model = WordLengths()
    table(notes, "notes", "--template", "about {{ title }}", "--collection", "Über alles", model=model)
    assert sorted(model.contents) == ["about Bicycles", "about Birds", "about Bread"]
    assert read(notes, 'select count(*) from "_embed_vectors_Über alles"') == [(3,)]


def test_the_second_model_of_a_table(table, notes):
    """The second collection of a table is named by its model's shortest name."""
    table(notes, "notes", "body")
    result = table(notes, "notes", "body", "-m", "query-side", models=[WordLengths(), QuerySide()])
    assert result.stdout.startswith("notes-query-side: 3 rows")


def test_a_name_that_is_taken(table, notes):
    """Another definition under the same name changes nothing."""
    table(notes, "notes", "body")
    result = table(notes, "notes", "title", "--collection", "NOTES", status=1)
    assert "A collection named 'notes' exists with another definition" in result.stderr


def test_rows_that_fail(table, notes, execute):
    """The others are embedded, the exit status is 0, and stderr has the rows with their messages."""
    execute(notes, "update notes set body = 'FAIL\x1b[2J' where id = 2")
    result = table(notes, "notes", "body", model=Failing())
    assert result.stdout.endswith("2 embedded, 1 failed\n")
    assert "1 row could not be embedded:\n  [2]: The model failing failed: cannot embed" in result.stderr
    assert "\x1b" not in result.output


def test_many_rows_that_fail(table, many, execute):
    """Only the first few are told, and where the others are."""
    execute(many, "update notes set body = body || ' FAIL' where id <= 7")
    result = table(many, "notes", "body", model=Failing())
    assert result.stderr.count("cannot embed") == 5
    assert "  and 2 more: select * from _embed_errors\n" in result.stderr


def test_every_row_fails(table, notes, read, execute):
    """Then the job failed, and so has the command."""
    execute(notes, "update notes set body = 'FAIL'")
    result = table(notes, "notes", "body", model=Failing(), status=1)
    assert "Error: Embedding notes failed after 3 of 3 rows, 3 failed: Every row failed: " in result.stderr
    assert read(notes, "select status from _embed_jobs") == [(jobs.FAILED,)]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Unloadable, "Embedding notes failed: The model unloadable could not be loaded: no such weights"),
        (NeedsKey, "Embedding notes failed: The model needs-key needs the key 'fake'"),
    ],
)
def test_a_model_that_cannot_begin(table, notes, monkeypatch, model, message):
    """The reason is told, and nothing is half done."""
    monkeypatch.delenv("FAKE_MODELS_KEY", raising=False)
    assert f"Error: {message}" in table(notes, "notes", "body", model=model(), status=1).stderr


def test_a_full_disk_pauses(table, many, read, vectors, monkeypatch):
    """What may pass leaves a paused job, which the next command takes up."""
    raises_once(monkeypatch, "database or disk is full")
    result = table(many, "notes", "body", status=1)
    assert "Error: Embedding notes was paused after " in result.stderr
    assert "SQLite says: database or disk is full" in result.stderr
    assert "the same command goes on where it stopped" in result.stderr
    table(many, "notes", "body")
    assert len(vectors(many)) == 300
    assert read(many, "select id, status from _embed_jobs") == [(1, jobs.FINISHED)]


def raises_once(monkeypatch, message):
    original, calls = saving.save, []

    def save(*args):
        calls.append(args)
        if len(calls) == 2:
            raise sqlite3.OperationalError(message)
        original(*args)

    monkeypatch.setattr(saving, "save", save)


def test_a_binary_column(table, tmp_path, vectors, execute):
    """One BLOB column goes to a model of bytes as it is, and not to one of texts."""
    path = tmp_path / "images.db"
    execute(path, "create table images (id integer primary key, image blob)", "insert into images values (1, x'ff00')")
    assert "the model word-lengths takes only text" in table(path, "images", "image", status=1).stderr
    table(path, "images", "image", model=ByteCounts())
    assert vectors(path, "images")[0][2] == encoding.encode([1.0, *[0.0] * 14, 1.0])


def test_an_empty_table(table, tmp_path, execute):
    """No rows is no fault."""
    path = tmp_path / "empty.db"
    execute(path, "create table notes (body text)")
    assert table(path, "notes", "body").stdout.endswith(": nothing to embed\n")


@pytest.mark.parametrize(
    "shape",
    [
        'create table "t" (k text, n integer, body text, primary key (k, n))',
        'create table "t" (k text primary key, n integer, body text) without rowid',
        'create table "t" (k blob, n integer, body text)',
        'create table "t" (k text collate nocase primary key, n integer, body text)',
    ],
)
def test_any_key_and_any_name(table, tmp_path, read, shape, execute):
    """Compound keys, no key, no rowid; spaces, quotes and emoji in the file's, the table's and the column's name."""
    path = tmp_path / 'a "b" 😀.db'
    shape = shape.replace('"t"', '"it\'s ""🍞"" x"').replace("body", '"a ""b"" c"')
    execute(path, shape, """insert into "it's ""🍞"" x" values ('K', 1, 'to be'), ('L', 1, 'or not')""")
    assert "2 embedded" in table(path, 'it\'s "🍞" x', 'a "b" c').stdout
    assert "2 unchanged" in table(path, 'it\'s "🍞" x', 'a "b" c').stdout
    assert len(read(path, """select * from "_embed_vectors_it's ""🍞"" x" """)) == 2


def test_write_ahead_log_is_kept(table, notes, read, execute):
    """The journal mode stays what it was."""
    execute(notes, "pragma journal_mode = wal")
    table(notes, "notes", "body")
    assert read(notes, "pragma journal_mode") == [("wal",)]


def test_a_paused_job_is_taken_up(table, many, read):
    """A job that somebody paused on the page goes on, and no second one is made."""
    first, second = Pausing(many), WordLengths()
    result = table(many, "notes", "body", model=first, status=1)
    assert "Error: Embedding notes was paused after " in result.stderr
    assert "notes: going on after " in table(many, "notes", "body", model=second).stderr
    assert len(first.contents) + len(second.contents) == 300
    assert read(many, "select id, status from _embed_jobs") == [(1, jobs.FINISHED)]


class Pausing(WordLengths):
    """Its second batch finds that somebody has pressed the button."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def embed_batch(self, contents):
        if len(self.calls) == 1:
            with closing(sqlite3.connect(self.path)) as conn, conn:
                jobs.act(conn, 1, "pause")
        return super().embed_batch(contents)


def test_collations_of_plugins_are_there(embed, tmp_path):
    """A key that a plugin's collation orders is read as Datasette reads it."""
    folder, path = tmp_path / "plugins", tmp_path / "data.db"
    folder.mkdir()
    (folder / "backwards.py").write_text(
        "from datasette import hookimpl\n\n@hookimpl\ndef prepare_connection(conn):\n"
        "    conn.create_collation('backwards', lambda a, b: (a < b) - (a > b))\n"
    )
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.create_collation("backwards", lambda a, b: (a < b) - (a > b))
        conn.execute("create table notes (id text collate backwards primary key, body text) without rowid")
        conn.execute("insert into notes values ('a', 'b'), ('c', 'd')")
    result = embed("table", path, "notes", "body", "--plugins-dir", folder, models=[WordLengths()])
    assert "2 embedded" in result.stdout
