"""Taking over what LLM keeps in a file."""

import clients
import pytest
from embedded import make_file, read, vectors, write
from fake_models import NeedsKey, WordLengths, word_lengths
from llm_files import collection

TITLES = {"1": "Bread", "2": "Bicycles", "3": "Birds"}


@pytest.fixture
def file(tmp_path):
    """LLM's file, with the titles of notes embedded by word-lengths, as a collection of the same name."""
    found = {id: (word_lengths(title), title) for id, title in TITLES.items()}
    return collection(tmp_path / "embeddings.db", model="word-lengths", **found)


@pytest.fixture
def take(embed):
    """take(path, *args, **options): `datasette embed import-llm`, with the model WordLengths if no other is given."""
    return lambda path, *args, **options: embed("import-llm", path, *args, **{"models": [WordLengths()], **options})


def test_a_table_that_was_never_embedded(take, table, notes, file):
    """The columns are found by LLM's hashes, and a pass over the collection asks the model for nothing."""
    result = take(notes, "notes", file)
    assert result.stdout.startswith("notes: 3 rows in ")
    assert result.stdout.endswith(" s: 3 imported\n")
    assert result.stderr.startswith("notes: title, by word-lengths\n")
    assert vectors(notes, "notes") == {int(id): word_lengths(title) for id, title in TITLES.items()}
    model = WordLengths()
    assert "3 unchanged" in table(notes, "notes", "title", model=model).stdout
    assert model.contents == []


def test_there_and_back(embed, take, table, notes, tmp_path):
    """What was exported comes back as it was, even after the collection was removed."""
    table(notes, "notes", "--template", "{{ title }}: {{ body }}", "--collection", "dressed")
    before, file = vectors(notes, "dressed"), tmp_path / "embeddings.db"
    embed("export-llm", notes, "dressed", file)
    write(notes, 'delete from "_embed_vectors_dressed" where id < 3')
    assert take(notes, "dressed", file).stdout.endswith(": 2 imported, 1 there already\n")
    assert vectors(notes, "dressed") == before
    embed("remove", notes, "-y")
    take(notes, "dressed", file, "--table", "notes", "--template", "{{ title }}: {{ body }}")
    assert vectors(notes, "dressed") == before


def test_what_is_left_out(take, notes, file):
    """Vectors that stay behind are told on standard error, with the reason; the rows wait to be embedded."""
    write(notes, "update notes set title = 'Rye bread' where id = 1")
    collection(file, model="word-lengths", **{"4": (word_lengths("x"), "x"), "3": ([1.0], "Birds")})
    result = take(notes, "notes", file, "title")
    assert result.stdout.endswith(": 1 imported, 3 left out\n")
    assert result.stderr.splitlines()[-4] == "3 vectors left out:"
    assert sorted(result.stderr.splitlines()[-3:]) == [
        "  1 with a content that the row does not have now",
        "  1 with a vector of 1 instead of 16 dimensions",
        "  1 with no row of notes",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["body", "--name", "nosuch"], "LLM has no collection 'nosuch' in this file; it has 'notes', 'other'"),
        (["--name", "other"], "There is no model 'elsewhere'; the installed ones are lengths, needs-key, word-lengths"),
        (["-m", "nosuch"], "There is no model 'nosuch'"),
        (["nosuch"], "notes has no column 'nosuch'; it has id, title, body"),
        (["--table", "nosuch"], "There is no table 'nosuch' in this database"),
    ],
)
def test_what_is_wrong_is_a_sentence(take, notes, file, args, message):
    """Every mistake is one sentence, and not a byte of either file is changed."""
    collection(file, "other", "elsewhere", x=([1.0], "x"))
    before = notes.read_bytes(), file.read_bytes()
    result = take(notes, "notes", file, *args, models=[WordLengths(), NeedsKey()], status=1)
    assert result.stderr.startswith(f"Error: {message}")
    assert (notes.read_bytes(), file.read_bytes()) == before


def test_contents_of_another_making(take, notes, tmp_path):
    """Where no columns make them, the sentence says what to write."""
    file = collection(tmp_path / "embeddings.db", model="word-lengths", **{"1": ([1.0], "# Bread")})
    result = take(notes, "notes", file, status=1)
    assert result.stderr.startswith("Error: No neighbouring columns of notes make the contents that LLM embedded: ")
    assert take(notes, "notes", file, "--template", "# {{ title }}").stdout.endswith(": 0 imported, 1 left out\n")


def test_models_are_kept_apart(take, table, notes, file):
    """Vectors of one model never enter a collection of another, unless somebody says that the two are one."""
    table(notes, "notes", "title", model=WordLengths("another"))
    before = notes.read_bytes()
    both = [WordLengths(), WordLengths("another")]
    result = take(notes, "notes", file, models=both, status=1)
    assert "notes was embedded by another, and LLM's notes by word-lengths: vectors of two models" in result.stderr
    assert "exists with another definition" in take(notes, "notes", file, "title", models=both, status=1).stderr
    assert notes.read_bytes() == before
    take(notes, "other", file, "--name", "notes", "--table", "notes", models=both)
    assert read(notes, "select name, model from _embed_collections order by id") == [
        ("notes", "another"),
        ("other", "word-lengths"),
    ]
    assert take(notes, "notes", file, "-m", "another", models=both).stdout.endswith(": 0 imported, 3 there already\n")


def test_files_that_will_not_do(take, notes, tmp_path):
    """A file that LLM has not written is named for what it is."""
    (tmp_path / "text.db").write_text("This is a text, and longer than SQLite's own header is. " * 20)
    make_file(tmp_path / "other.db", "create table embeddings (id, embedding)")
    for name, message in [
        ("nosuch.db", "There is no file "),
        ("text.db", "text.db is not a SQLite database"),
        ("data.db", "LLM keeps no collections in this file"),
        ("other.db", "The file's tables are not LLM's, or an old LLM's: collections has no id, model, name"),
    ]:
        assert message in take(notes, "notes", tmp_path / name, status=1).stderr


def test_tables_of_llm_in_the_same_file(take, notes):
    """`llm embed-multi -d data.db` leaves them there, and they are taken over as from any other file."""
    collection(notes, model="word-lengths", **{"1": (word_lengths("Bread"), "Bread")})
    assert take(notes, "notes", notes).stdout.endswith(": 1 imported\n")


def test_a_file_that_cannot_be_written(take, notes, file):
    """LLM's is only read; ours must be written."""
    with file.open("r+b") as opened:  # a write version that SQLite does not know: it opens the file to read only
        opened.seek(18)
        opened.write(b"\x03")
    take(notes, "notes", file)
    elsewhere = ("--name", "notes", "--table", "notes")
    with notes.open("r+b") as opened:
        opened.seek(18)
        opened.write(b"\x03")
    assert "This database cannot be written" in take(notes, "other", file, *elsewhere, status=1).stderr


async def test_its_page(take, notes, file, make_datasette):
    """The collection's page shows how many rows have a vector, though no job has run."""
    take(notes, "notes", file)
    datasette = make_datasette(notes, models=[WordLengths()])
    state = await clients.get_json(datasette, "/data/-/embed/notes.json", {"id": "root"})
    assert (state["rows"]["embedded"], state["job"]) == (3, None)
    assert (await clients.get(datasette, "/data/-/embed/notes", {"id": "root"})).status_code == 200
