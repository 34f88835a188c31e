"""DATASETTE_EMBED_RAISE_ERRORS: what a plugin's author sees."""

import pytest
from fake_models import Failing, WordLengths

from datasette_embeddings import EmbedError


@pytest.fixture
def raising(monkeypatch):
    monkeypatch.setenv("DATASETTE_EMBED_RAISE_ERRORS", "1")


def test_a_models_own_error_comes_through(raising, embed, notes):
    """The exception is the model's, from a table as from one content."""
    with pytest.raises(ValueError, match="cannot embed 'FAIL'"):
        embed("-c", "FAIL", models=[Failing()])
    with pytest.raises(ValueError, match="cannot embed"):
        embed("table", notes, "notes", "--template", "FAIL {{ id }}", models=[Failing()])


def test_so_does_our_own(raising, embed, notes):
    """An error of ours is raised too, not told."""
    with pytest.raises(EmbedError, match="no table"):
        embed("table", notes, "nosuch", "body", models=[WordLengths()])


def test_the_debugger_lands_in_the_model(terminal, notes):
    """`python -i -m datasette embed table …`, then pdb.pm(): the innermost frame is the author's line."""
    shown = terminal(
        "table",
        notes,
        *("notes", "--template", "FAIL {{ id }}", "-m", "failing"),
        python=["-i"],
        env={"DATASETTE_EMBED_RAISE_ERRORS": "1", "PYTHON_BASIC_REPL": "1", "NO_COLOR": "1"},
    )
    shown.wait_for(">>> ")
    shown.type("import pdb; pdb.pm()")
    shown.wait_for("(Pdb) ")
    shown.type("p len(contents), content")
    shown.wait_for("(3, 'FAIL 1')")
    assert "fake_models.py" in shown.output
    assert "embed_batch()" in shown.output
