"""What a search refuses: a sentence, exit status 1, and no model was asked."""

import json

import pytest
from fake_models import QuerySide, Unloadable, WordLengths


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([""], "The query is empty"),
        ([" \n"], "The query is empty"),
        (["x" * 100_001], "The query has 100,001 characters; at most 100,000 are searched for"),
        ([], "Say what to search for: a text, a row (--row KEY) or a file (-i FILE)"),
        (["a", "--row", "1"], "Search by a text or by --row, not by both at once"),
        (["-i", "nosuch"], "nosuch cannot be read: No such file or directory"),
        (["a", "-n", "0"], "The number of matches must be a whole number from 1 on, not 0"),
        (["a", "-n", "-3"], "The number of matches must be a whole number from 1 on, not -3"),
        (["a", "-c", "nosuch"], "notes has no column 'nosuch'; it has id, title, body"),
        (["a", "--min-score", "nan"], "--min-score is a number from -1 to 1, not nan"),
        (["a", "--mode", "words"], "notes has no full-text index"),
        (["a", "--mode", "both"], "notes has no full-text index"),
        (["a", "--mode", "words", "--min-score", "0"], "The mode 'words' gives no scores"),
        (["--row", "1", "--mode", "both"], "The mode 'both' looks for words, so it takes a text and no row"),
        (["--row", "77"], "notes has no row '77'"),
        (["--row", "1", "--row", "2"], "The key of notes is id: give one value, or all in a JSON array"),
        (["--row", "\udcff"], "This is not valid UTF-8: '\\udcff'"),
        (["\udcff"], "The model word-lengths does not take binary content"),
    ],
)
def test_what_is_wrong_is_a_sentence(embed, notes, table, args, message):
    """Every mistake is one sentence and exit status 1, and no model is asked."""
    table(notes, "notes", "body")
    model = WordLengths()
    result = embed("search", notes, "notes", *args, models=[model], status=1)
    assert message in result.stderr
    assert (result.stderr.count("\n"), model.calls) == (1, [])


def test_an_unknown_collection(embed, notes, table):
    """Its name is in the message, whatever was embedded before."""
    assert "There is no collection 'nosuch'" in embed("search", notes, "nosuch", "a", status=1).stderr
    table(notes, "notes", "body")
    assert "There is no collection 'nosuch'" in embed("similar", notes, "nosuch", "1", status=1).stderr


def test_a_row_without_a_vector(embed, notes, table, execute):
    """A row that is new, or changed, cannot be searched by."""
    table(notes, "notes", "body")
    execute(notes, "insert into notes values (4, 'new', 'new')", "update notes set body = 'changed' where id = 2")
    assert 'The row "4" of notes has no vector' in embed("similar", notes, "notes", 4, status=1).stderr
    assert "changed since it was embedded" in embed("similar", notes, "notes", 2, status=1).stderr


def test_a_model_that_is_gone(embed, notes, table, plugins_dir):
    """By text the sentence says which plugin is missing; by row it works."""
    table(notes, "notes", "body", "-m", "lengths", "--plugins-dir", plugins_dir, models=[QuerySide("other")])
    message = embed("search", notes, "notes", "a", status=1).stderr
    assert "The model word-lengths of the collection 'notes' is not installed" in message
    assert "It came with the plugin fake_embedding_models." in message
    assert len(json.loads(embed("similar", notes, "notes", 1, "-f", "json").stdout)) == 2


def test_a_model_that_cannot_be_loaded(embed, notes, table):
    """What it says is told."""
    table(notes, "notes", "body", model=WordLengths("unloadable"))
    assert "no such weights" in embed("search", notes, "notes", "a", models=[Unloadable()], status=1).stderr
