"""Copying a collection into a file of LLM's."""

import json

import pytest
from embedded import make_file, read, write
from fake_models import WordLengths
from llm_files import collection, ids, similar
from searched import Numbers


@pytest.fixture
def file(tmp_path):
    """Where LLM's collections are to be."""
    return tmp_path / "embeddings.db"


def test_llm_finds_the_same_neighbours(embed, points, file, tmp_path):
    """`llm similar` on the file gives the rows and the scores that `datasette embed similar` gives."""
    path = points()
    result = embed("export-llm", path, "notes", file)
    assert result.stdout.startswith("notes: 5 rows in ")
    assert result.stdout.endswith(" s: 5 exported\n")
    ours = json.loads(embed("similar", path, "notes", "b", "-f", "json", models=[Numbers()]).stdout)
    assert len(ours) == 4
    expected = [(match["key"][0], pytest.approx(match["score"])) for match in ours]
    assert similar(tmp_path, file, "notes", "b") == expected


def test_a_compound_key(embed, tmp_path, file, table):
    """LLM finds a row of a compound key by the JSON array that the docs name."""
    script = "create table notes (year integer, n integer, body text, primary key (year, n))"
    path = make_file(
        tmp_path / "data.db", script, notes=[(2024, 1, "[1, 0]"), (2024, 2, "[1, 1]"), (2025, 1, "[0, 1]")]
    )
    table(path, "notes", "body", model=Numbers())
    embed("export-llm", path, "notes", file)
    assert [id for id, _ in similar(tmp_path, file, "notes", "[2024, 1]")] == ["[2024, 2]", "[2025, 1]"]


def test_what_is_left_out(embed, notes, table, file):
    """Rows that stay behind are told on standard error, with the reason."""
    table(notes, "notes", "title")
    write(notes, "update notes set title = 'Rye bread' where id = 1")
    write(notes, "update notes set title = null where id = 2")
    result = embed("export-llm", notes, "notes", file)
    assert result.stdout.endswith(": 1 exported, 2 left out\n")
    assert result.stderr.splitlines()[-3:] == [
        "2 rows left out:",
        "  1 with no vector of the present content: `datasette embed table` makes it",
        "  1 with nothing to embed",
    ]


def test_a_name_that_llm_has(embed, notes, table, file):
    """Nothing is replaced unless --replace says so; --name gives another name."""
    table(notes, "notes", "title")
    embed("export-llm", notes, "NOTES", file)
    result = embed("export-llm", notes, "notes", file, status=1)
    assert "Error: Nothing was written to " in result.stderr
    assert "LLM has a collection 'notes' in this file already" in result.stderr
    write(notes, "delete from notes where id = 3")
    embed("export-llm", notes, "notes", file, "--replace", "--store")
    embed("export-llm", notes, "notes", file, "--name", "copy")
    assert ids(file) == ["1", "2"] * 2
    assert read(file, "select count(content) from embeddings") == [(2,)]


def test_files_that_will_not_do(embed, notes, table, tmp_path):
    """What cannot hold LLM's tables is left as it is, and named."""
    table(notes, "notes", "title")
    (tmp_path / "text.db").write_text("This is a text, and longer than SQLite's own header is. " * 20)
    make_file(tmp_path / "other.db", "create table collections (id, title)")
    read_only = collection(tmp_path / "read-only.db", x=([1.0], "x"))
    with read_only.open("r+b") as file:  # a write version that SQLite does not know: it opens the file to read only
        file.seek(18)
        file.write(b"\x03")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for name, message in [
        ("text.db", "text.db is not a SQLite database"),
        (".", "is a folder, not a database"),
        ("nosuch/embeddings.db", "There is no folder for "),
        ("data.db", "data.db is the database itself"),
        ("other.db", "other.db. The file's tables are not LLM's, or an old LLM's: collections has no model, name"),
        ("read-only.db", "read-only.db cannot be written"),
    ]:
        assert message in embed("export-llm", notes, "notes", tmp_path / name, status=1).stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_an_unknown_collection(embed, notes, file):
    """No file is made for it."""
    assert "There is no collection 'nosuch'" in embed("export-llm", notes, "nosuch", file, status=1).stderr
    assert not file.exists()


def test_a_database_that_cannot_be_written(embed, notes, table, file):
    """It can be exported from all the same."""
    table(notes, "notes", "title", model=WordLengths())
    with notes.open("r+b") as database:
        database.seek(18)
        database.write(b"\x03")
    embed("export-llm", notes, "notes", file)
    assert ids(file) == ["1", "2", "3"]


def test_its_progress_on_a_terminal(terminal, table, tmp_path, file):
    """A bar shows the rows that are done."""
    rows = [(number, f"[{number}, 1]") for number in range(1, 1501)]
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body text)", notes=rows)
    table(path, "notes", "body", model=Numbers())
    shown = terminal("export-llm", path, "notes", file)
    shown.wait_for("1,500 of 1,500 rows")
    shown.wait_for("1,500 exported")
    assert shown.wait() == 0
