"""Embedding a collection in another way, from the terminal."""

from contextlib import closing

import pytest
from fake_models import ByteCounts, Failing, WordLengths, word_lengths

from datasette_embeddings.engine import vectors as encoding
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection


@pytest.fixture
def change(embed):
    """change(path, *args, **options): `datasette embed change PATH notes ARGS`, with three fake models."""

    def run(path, *args, **options):
        models = [WordLengths(), ByteCounts(), Failing()]
        return embed("change", path, "notes", *args, models=models, **options)

    return run


def model_of(path):
    with closing(connect(path)) as conn:
        return get_collection(conn, "notes").model


def test_another_model(table, change, notes, vectors):
    """One line for the pass, one for the switch; the collection keeps its name."""
    table(notes, "notes", "title")
    result = change(notes, "-m", "bytes")
    assert result.stdout.splitlines()[0].endswith("3 embedded")
    assert result.stdout.splitlines()[1] == "notes: the new vectors have taken the place of the old ones"
    assert model_of(notes) == "byte-counts"
    assert len(vectors(notes)) == 3


def test_another_template_and_none(table, change, notes, vectors):
    """What is not said stays as it is; an empty template is none."""
    table(notes, "notes", "title")
    change(notes, "--template", "about {{ title }}")
    assert vectors(notes)[0][2] == encoding.encode(word_lengths("about Bread"))
    change(notes, "body")
    assert vectors(notes)[0][2] == encoding.encode(word_lengths("about Bread"))
    change(notes, "--template", "")
    assert vectors(notes)[0][2] == encoding.encode(word_lengths("Mix flour and water, wait, bake"))


def test_rows_that_fail(table, change, notes, execute, vectors):
    """The old vectors go on serving, the exit says what can be done; the change is taken only if somebody says so."""
    execute(notes, "update notes set title = 'FAIL' where id = 2")
    table(notes, "notes", "title")
    result = change(notes, "-m", "failing")
    assert "served by its old vectors still" in result.stderr
    assert model_of(notes) == "word-lengths"
    assert change(notes, "--accept").stdout == "notes: the change is made\n"
    assert model_of(notes) == "failing"
    assert [row[0] for row in vectors(notes)] == [1, 3]


def test_the_same_command_goes_on(table, change, notes, execute):
    """After rows failed and were mended: only they are embedded, and the change is made."""
    execute(notes, "update notes set title = 'FAIL' where id = 2")
    table(notes, "notes", "title")
    change(notes, "-m", "failing")
    assert "being changed in another way" in change(notes, "-m", "bytes", status=1).stderr
    execute(notes, "update notes set title = 'mended' where id = 2")
    assert "1 embedded, 2 unchanged" in change(notes, "-m", "failing").stdout
    assert model_of(notes) == "failing"


def test_given_up(table, change, notes, execute, read):
    """Nothing is left of the change."""
    execute(notes, "update notes set title = 'FAIL' where id = 2")
    table(notes, "notes", "title")
    before = read(notes, "select name from sqlite_master")
    change(notes, "-m", "failing")
    assert change(notes, "--cancel").stdout == "notes: the change is given up\n"
    assert read(notes, "select name from sqlite_master") == before
    assert "is not being changed" in change(notes, "--cancel", status=1).stderr


def test_refusals(table, change, notes):
    """Nothing to change, a column that is not there, a model that is not there, a change that did not end."""
    table(notes, "notes", "title")
    assert "nothing to change" in change(notes, status=1).stderr
    assert "has no column 'nosuch'" in change(notes, "nosuch", status=1).stderr
    assert "There is no model 'nosuch'" in change(notes, "-m", "nosuch", status=1).stderr
    assert "no change of 'notes' that has come to its end" in change(notes, "--accept", status=1).stderr


def test_anew(table, change, notes):
    """The same definition is embedded again where the model got other weights."""
    table(notes, "notes", "title")
    assert "3 embedded" in change(notes, "--anew").stdout


def test_what_anew_would_cost(table, change, notes):
    """Nothing that is stored is subtracted from the estimate, which writes nothing."""
    table(notes, "notes", "title")
    assert change(notes, "--dry-run").stdout.startswith("0 contents would go to the model")
    assert change(notes, "--anew", "--dry-run").stdout == "3 contents would go to the model\n"
