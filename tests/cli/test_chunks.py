"""Long texts in a terminal: how they are cut, and what a collection tells of it."""

import json

import pytest
from chunked import ShortSighted, numbered_words
from embedded import make_file, read


@pytest.fixture
def long(tmp_path):
    """A short note and a long one."""
    return make_file(
        tmp_path / "long.db",
        "create table notes (id integer primary key, body text)",
        notes=[(1, "a few words"), (2, numbered_words(40))],
    )


def chunks(path):
    return [row[0] for row in read(path, "select id from _embed_vectors_notes order by id, chunk")]


def test_longer_texts_are_cut(table, long):
    """Without a word said, and rows are counted, not chunks."""
    result = table(long, "notes", "body", model=ShortSighted())
    assert "2 rows" in result.stdout
    assert "2 embedded" in result.stdout
    assert chunks(long) == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        (("--no-chunking",), None),
        (("--chunk-size", 16), {"unit": "tokens", "size": 16, "overlap": None}),
        (
            ("--chunk-size", 80, "--chunk-unit", "characters", "--chunk-overlap", 0),
            {"unit": "characters", "size": 80, "overlap": 0},
        ),
    ],
)
def test_a_wish(embed, table, long, options, stored):
    """It is kept with the collection; the same command without it goes on with that collection."""
    table(long, "notes", "body", *options, model=ShortSighted())
    table(long, "notes", "body", model=ShortSighted())
    (found,) = json.loads(embed("status", long, "--json").stdout)
    assert found["collection"]["chunking"] == stored


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--chunk-size", 5), "The size of chunks is a whole number from 16 to 10,000,000, not 5"),
        (("--chunk-size", 17), "The model short-sighted reads 16 tokens: chunks of 17 are too large"),
        (("--chunk-unit", "characters"), "How many characters a chunk has must be said"),
        (("--no-chunking", "--chunk-size", 20), "--no-chunking cuts no texts"),
    ],
)
def test_a_wish_that_makes_no_sense(table, long, options, message):
    """A sentence, and exit status 1."""
    assert message in table(long, "notes", "body", *options, model=ShortSighted(), status=1).stderr


def test_status(embed, table, long):
    """What is not the default is told."""
    table(long, "notes", "body", model=ShortSighted())
    assert "long texts" not in embed("status", long).stdout
    embed("change", long, "notes", "--chunk-size", 16, "--chunk-overlap", 2, models=[ShortSighted()])
    assert "  long texts: cut into chunks of up to 16 tokens, 2 of them in common\n" in embed("status", long).stdout


def test_another_chunking(embed, table, long):
    """`change` cuts anew, and what is not said stays as it is."""
    table(long, "notes", "body", model=ShortSighted())
    embed("change", long, "notes", "--no-chunking", models=[ShortSighted()])
    assert chunks(long) == [1, 2]
    embed("change", long, "notes", "--template", "A note: {{ chunk }}", models=[ShortSighted()])
    assert chunks(long) == [1, 2]
