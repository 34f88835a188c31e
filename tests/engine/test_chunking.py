"""The wish how long texts are cut: as JSON, as stored, as a sentence."""

import json

import pytest

from datasette_embeddings.engine.chunking import AUTOMATIC, Chunking, chunking_of, stored_chunking
from datasette_embeddings.engine.errors import EmbedError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (False, None),
        (True, AUTOMATIC),
        ({}, AUTOMATIC),
        ({"size": None, "unit": "tokens", "overlap": None}, AUTOMATIC),
        ({"size": 200}, Chunking("tokens", 200, None)),
        ({"size": 200, "unit": "characters", "overlap": 0}, Chunking("characters", 200, 0)),
        ({"overlap": 20}, Chunking("tokens", None, 20)),
    ],
)
def test_what_json_says(given, expected):
    """What is left out is the default, and what is stored is read back."""
    assert chunking_of(given) == expected
    stored = stored_chunking(expected)
    assert expected == (chunking_of(json.loads(stored)) if stored else None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (200, "The chunking is an object with size, unit and overlap, or false, not 200"),
        ([], r"or false, not \[\]"),
        ({"length": 200}, "has a member 'length', which means nothing here"),
        ({"size": "200"}, 'The size of chunks is a whole number from 16 to 10,000,000, not "200"'),
        ({"size": 15}, "The size of chunks is a whole number from 16"),
        ({"size": 20.5}, "The size of chunks is a whole number"),
        ({"size": True}, "The size of chunks is a whole number"),
        ({"unit": "words"}, 'The unit of chunks is tokens or characters, not "words"'),
        ({"unit": "characters"}, "How many characters a chunk has must be said"),
        ({"size": 200, "overlap": 101}, "The overlap of chunks is a whole number from 0 to 100, not 101"),
        ({"overlap": -1}, "The overlap of chunks is a whole number from 0"),
    ],
)
def test_wishes_that_make_no_sense(given, message):
    """Each is an error that names the member and says what it may be."""
    with pytest.raises(EmbedError, match=message):
        chunking_of(given)


def test_in_words():
    """As the pages and the command line say it."""
    assert str(AUTOMATIC) == "cut where they are longer than the model reads"
    assert str(Chunking("characters", 1200)) == "cut into chunks of up to 1,200 characters"
    assert str(Chunking("tokens", 200, 20)) == "cut into chunks of up to 200 tokens, 20 of them in common"
