"""Packing the codes of a collection anew."""

import pytest
from embedded import make_file, read, write
from searched import Numbers

from datasette_embeddings.engine.errors import EmbedError

CODES = 'select block, codes from "_embed_codes_notes"'
TOKENS = "select token from _embed_collections order by id"


def test_a_rebuild(embed, search, points):
    """Codes that were spoilt are made from the vectors again, under new tokens, without a model."""
    path = points()
    (before,), token = read(path, CODES), read(path, TOKENS)
    write(path, 'update "_embed_codes_notes" set codes = zeroblob(9)')
    result = embed("rebuild", path, "NOTES")
    assert result.stdout.startswith("notes: the codes of 5 vectors packed in ")
    (after,) = read(path, CODES)
    assert len(after[1]) == len(before[1])
    assert read(path, TOKENS) != token
    assert read(path, 'select token from "_embed_codes_notes"') == read(path, TOKENS)
    assert len(search(path, "[1, 0]")) == 5


def test_again_changes_no_code(embed, points):
    """The same vectors give the same codes."""
    path = points()
    embed("rebuild", path)
    before = read(path, CODES)
    embed("rebuild", path)
    assert read(path, CODES) == before


def test_codes_that_are_gone(embed, search, points):
    """Their table is made again."""
    path = points()
    write(path, 'drop table "_embed_codes_notes"')
    embed("rebuild", path)
    assert len(search(path, "[1, 0]")) == 5


def test_every_collection(embed, notes, table, execute):
    """Without a name all of them, those without vectors too."""
    table(notes, "notes", "body")
    execute(notes, "create table empty (body text)")
    table(notes, "empty", "body")
    lines = embed("rebuild", notes).stdout.splitlines()
    assert [line.partition(" packed")[0] for line in lines] == [
        "empty: the codes of 0 vectors",
        "notes: the codes of 3 vectors",
    ]


@pytest.mark.parametrize("args", [[], ["nosuch"]])
def test_nothing_to_rebuild(embed, notes, args):
    """A file without collections is left alone; a collection that is not there is a sentence."""
    before = notes.read_bytes()
    result = embed("rebuild", notes, *args, status=len(args))
    assert ("has no collections" in result.stdout) or ("There is no collection 'nosuch'" in result.stderr)
    assert notes.read_bytes() == before


def test_a_rebuild_is_all_or_nothing(embed, points, monkeypatch):
    """One that fails leaves the codes and the token as they were."""

    def fail(*_):
        raise EmbedError("not this time")

    path = points()
    before = read(path, CODES), read(path, TOKENS)
    monkeypatch.setattr("datasette_embeddings.cli.rebuild.pack", fail)
    assert embed("rebuild", path, status=1).stderr == "Error: not this time\n"
    assert (read(path, CODES), read(path, TOKENS)) == before


def test_many_vectors(embed, tmp_path, table, search):
    """More than a block of them are packed around a new centre."""
    rows = [(number, f"[{number}, 1]") for number in range(1, 1500)]
    path = make_file(tmp_path / "many.db", "create table notes (id integer primary key, body text)", notes=rows)
    table(path, "notes", "body", model=Numbers())
    assert read(path, "select centre from _embed_collections") == [(None,)]
    embed("rebuild", path)
    assert read(path, "select length(centre) from _embed_collections") == [(8,)]
    assert search(path, "[0, 1]", "-n", 1)[0]["key"] == [1]
