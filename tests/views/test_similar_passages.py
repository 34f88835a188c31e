"""The passage that matched, where rows are in chunks: on the page, in JSON and in CSV."""

import csv
import io

import pytest
from chunked import ShortSighted, numbered_words
from clients import get, get_json
from embedded import embed as embed_chunked
from embedded import make_file
from fake_models import WordLengths

from datasette_embeddings.engine.chunking import Chunking

SIMILAR = "/data/notes/-/similar"
LOUD = "SHOUTING <b>PARAGRAPHS</b> & MORE"
QUIET = numbered_words(12)


@pytest.fixture
def searchable(make_datasette, tmp_path):
    """Two notes: one in two chunks, the second of them loud, and one that is whole."""
    path = make_file(
        tmp_path / "data.db",
        "create table notes (id integer primary key, title text, body text)",
        notes=[(1, "Mixed", f"{QUIET}.\n\n{LOUD}"), (2, "Short", "a few words")],
    )
    embed_chunked(path, "notes", ["body"], ShortSighted(), template="{{ title }}: {{ chunk }}")
    return make_datasette(path, models=[ShortSighted()])


async def test_json(searchable):
    """`chunk` has the text too, and stands only where a row is in chunks."""
    data = await get_json(searchable, f"{SIMILAR}.json?row=2")
    (match,) = data["matches"]
    text = match["row"]["body"]
    chunk = match["chunk"]
    assert chunk["text"] == text[chunk["start"] : chunk["end"]]
    assert {chunk["number"] for chunk in match["chunks"]} == {0, 1}
    whole = (await get_json(searchable, f"{SIMILAR}.json?row=1"))["matches"][0]
    assert whole.keys() == {"score", "key", "row"}


async def test_the_page(searchable):
    """The passage is quoted, escaped, with its place in the row's text."""
    page = (await get(searchable, f"{SIMILAR}?q=Mixed:+SHOUTING+%3Cb%3EPARAGRAPHS%3C/b%3E+%26+MORE&_size=1")).text
    assert "“SHOUTING &lt;b&gt;PARAGRAPHS&lt;/b&gt; &amp; MORE”" in page
    assert f"characters {len(QUIET) + 4} to {len(QUIET) + 3 + len(LOUD)} of body" in page
    assert "the rest of this passage" not in page
    page = (await get(searchable, f"{SIMILAR}?row=1")).text
    assert "embed-passage" not in page


async def test_a_long_passage(make_datasette, tmp_path):
    """Of a long passage the page shows the beginning, and says so."""
    words = numbered_words(500)
    path = make_file(
        tmp_path / "data.db",
        "create table notes (id integer primary key, body text)",
        notes=[(1, f"{words}.\n\n{words}.")],
    )
    embed_chunked(path, "notes", ["body"], WordLengths(), chunking=Chunking("characters", 3000))
    page = (await get(make_datasette(path, models=[WordLengths()]), f"{SIMILAR}?q=w0+w1")).text
    assert f"“{words[:600]}…”" in page
    assert f"characters 1 to {len(words) + 1:,} of body; the rest of this passage is not shown" in page


async def test_csv(searchable):
    """A column more, which is empty where the row is whole; none where every row is."""
    text = (await get(searchable, f"{SIMILAR}.csv?q=a+few+words")).text
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows["2"]["passage"] == ""
    assert rows["1"]["passage"] in (f"{QUIET}.", LOUD)
    assert "passage" not in (await get(searchable, f"{SIMILAR}.csv?row=1")).text.splitlines()[0]
