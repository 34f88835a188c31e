"""What cannot be embedded is refused before anything is written."""

import sqlite3
from contextlib import closing

import pytest
from fake_models import WordLengths

from datasette_embeddings.engine.collections import list_collections


def test_no_columns(table, notes):
    """The columns there are stand in the message."""
    message = "Error: Name the columns to embed, or write a --template; notes has id, title, body\n"
    assert table(notes, "NOTES", status=1).stderr == message


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nosuch", "body"], "There is no table 'nosuch' in this database"),
        (["notes", "nosuch"], "notes has no column 'nosuch'; it has id, title, body"),
        (["notes", "--template", "plain"], "The template names no column of notes"),
        (["notes", "--template", "{{ nosuch }}"], "The template names the column 'nosuch', which notes does not have"),
        (["notes", "body", "-m", "nosuch"], "There is no model 'nosuch'"),
        (["notes", "body", "--collection", " "], "A collection's name has 1 to 200 characters"),
        (["titles", "title"], "titles is a view"),
        (["\udce9", "body"], "This is not valid UTF-8: '\\udce9'"),
    ],
)
def test_what_is_wrong_is_a_sentence(table, notes, args, message, execute):
    """Every mistake is one sentence, exit status 1, and not a byte of the file is changed."""
    execute(notes, "create view titles as select title from notes")
    before = notes.read_bytes()
    result = table(notes, *args, status=1)
    assert result.stderr.startswith(f"Error: {message}")
    assert notes.read_bytes() == before


def test_a_file_that_is_no_database(table, tmp_path):
    """No file is ever created, and none that is not SQLite's is touched."""
    (tmp_path / "text.db").write_text("This is a text, and longer than SQLite's own header is. " * 20)
    for name, message in [
        ("nosuch.db", "There is no file "),
        (".", "is a folder, not a database"),
        ("text.db", "text.db is not a SQLite database"),
    ]:
        assert message in table(tmp_path / name, "notes", "body", status=1).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]


def test_a_file_that_cannot_be_written(table, embed, notes):
    """It is refused before the model is asked, and what was embedded before is still shown."""
    table(notes, "notes", "title")
    with notes.open("r+b") as file:  # a write version that SQLite does not know: it opens the file to read only
        file.seek(18)
        file.write(b"\x03")
    model = WordLengths()
    assert "This database cannot be written" in table(notes, "notes", "body", model=model, status=1).stderr
    assert "cannot be written" in table(notes, "notes", "title", model=model, status=1).stderr
    assert model.calls == []
    assert "3 of 3 rows embedded" in embed("status", notes).stdout


def test_a_newer_file(table, notes, execute):
    """A file that a newer version wrote is left alone."""
    table(notes, "notes", "body")
    execute(notes, "update _embed_schema set version = 99")
    assert "written by a newer datasette-embed" in table(notes, "notes", "body", status=1).stderr


def test_nothing_is_stored_of_what_was_refused(table, notes):
    """A refusal leaves no collection behind."""
    table(notes, "notes", "nosuch", status=1)
    with closing(sqlite3.connect(notes)) as conn:
        assert list_collections(conn) == []
