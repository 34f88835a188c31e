"""Taking out what was stored."""

import pytest
from fake_models import QuerySide, WordLengths


@pytest.fixture
def embedded(embed, notes, read):
    """Two collections, and what the file held before: (path, its tables and indexes)."""
    before = schema(read, notes)
    for model in (WordLengths(), QuerySide()):
        embed("table", notes, "notes", "body", models=[model])
    return notes, before


def schema(read, path):
    return read(path, "select type, name, sql from sqlite_master order by name")


def test_everything(embed, embedded, read):
    """Without a collection's name no trace is left."""
    path, before = embedded
    result = embed("remove", path, "--yes")
    assert "Removed the collections notes, notes-query-side" in result.stdout
    assert schema(read, path) == before
    assert "holds nothing of datasette-embed" in embed("remove", path, "--yes").stdout


def test_one_collection(embed, embedded, read):
    """The other stays."""
    path, _ = embedded
    embed("remove", path, "NOTES", "--yes")
    assert read(path, "select name from _embed_collections") == [("notes-query-side",)]
    assert read(path, 'select count(*) from "_embed_vectors_notes-query-side"') == [(3,)]


def test_it_asks(embed, embedded, read):
    """Nothing is removed without a yes."""
    path, before = embedded
    for answer in ("n\n", ""):
        embed("remove", path, input=answer, status=1)
    assert schema(read, path) != before
    assert "notes, notes-query-side with all vectors" in embed("remove", path, input="y\n").output
    assert schema(read, path) == before


def test_an_unknown_collection(embed, embedded):
    """Its name is in the message."""
    path, _ = embedded
    assert "There is no collection 'nosuch'" in embed("remove", path, "nosuch", "--yes", status=1).stderr
