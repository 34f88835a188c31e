"""Keys as LLM's ids, and contents as LLM's hashes."""

import pytest

from datasette_embeddings.engine.llm.ids import id_of, md5_of
from datasette_embeddings.engine.rows import BrokenText


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ((17,), "17"),
        (("a/b, c",), "a/b, c"),
        ((1.5,), "1.5"),
        ((2024, 17), "[2024, 17]"),
        (("é", 1), '["é", 1]'),
        ((b"\x00",), '[{"$base64": true, "encoded": "AA=="}]'),
        ((BrokenText(b"\xff"),), '[{"$text": "/w=="}]'),
    ],
)
def test_ids(key, written):
    """One text or number is written as it is, any other key as the JSON array that a match has."""
    assert id_of(key) == written


def test_hashes_are_llms():
    """A text and binary have the hash that LLM keeps of them; a lone surrogate has one too."""
    llm = pytest.importorskip("llm")
    for content in ("Bread and ünïcode", b"\x00\xff"):
        assert md5_of(content) == llm.Collection.content_hash(content)
    assert len(md5_of("\ud800")) == 16
