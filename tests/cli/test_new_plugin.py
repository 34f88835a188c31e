"""The skeleton of a model plugin: it passes its own tests, and nothing is ever written over."""

import os
import subprocess
import sys

import pytest
from fake_models import WordLengths


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["mine", "word-counts-2", "datasette-embed-mine", "none"])
def test_its_own_tests_pass(here, embed, name):
    """The contract of model plugins passes at once, and so does the test that the model is registered."""
    shown = embed("new-plugin", name).stdout
    (folder,) = here.iterdir()
    assert folder.name == f"datasette-embed-{name.removeprefix('datasette-embed-')}"
    assert f"Next: cd {folder.name} && " in shown
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "14 passed, 1 skipped" in done.stdout


def test_all_that_was_written_is_named(here, embed):
    """The output lists the files, and there are no others."""
    shown = embed("new-plugin", "mine").stdout
    files = {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()}
    assert files == {line.removeprefix("Wrote ") for line in shown.splitlines() if line.startswith("Wrote ")}
    assert "$" not in "".join(path.read_text() for path in here.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["Mine", "my plugin", "2nd", "-x", "a--b", "a_b", "../up", "ünï", "datasette-embed-"])
def test_a_bad_name(here, embed, name):
    """A name that no distribution and no module can have is refused."""
    assert "is no name for a plugin: write small letters" in embed("new-plugin", "--", name, status=1).stderr
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("make", ["mkdir", "touch"])
def test_a_folder_that_is_there(here, embed, make):
    """Neither a folder nor a file of the name is touched."""
    getattr(here / "datasette-embed-mine", make)()
    result = embed("new-plugin", "mine", status=1)
    assert result.stderr == "Error: datasette-embed-mine is there already: choose another name, or move it away\n"
    assert sorted(here.rglob("*")) == [here / "datasette-embed-mine"]


@pytest.mark.skipif(os.geteuid() == 0, reason="Root may write anywhere")
def test_a_folder_that_cannot_be_made(here, embed):
    """What the system says is part of the sentence."""
    here.chmod(0o500)
    assert "datasette-embed-mine cannot be written: Permission denied" in embed("new-plugin", "mine", status=1).stderr


def test_a_model_that_is_there(here, embed):
    """A model or plugin of that name, which would keep Datasette from starting, is named."""
    result = embed("new-plugin", "lengths", models=[WordLengths()], status=1)
    assert "has a model called 'lengths' already" in result.stderr
    result = embed("new-plugin", "sentence-transformers", status=1)
    assert "A plugin called datasette-embed-sentence-transformers is installed already" in result.stderr
