"""Long texts with the real MiniLM: what stands at their end is read, and found."""

import pytest
from embedded import embed, make_file, read
from searched import searching

from datasette_embeddings.engine.search import passages
from datasette_embeddings.engine.vectors import encode

pytestmark = pytest.mark.minilm

LEDGER = "\n\n".join(
    f"Page {page} of the ledger lists the ships that came into the harbour in the {week}th week of the year, where "
    "each of them came from, under which flag, how many tons it carried and what the captain paid to the customs house."
    for page, week in enumerate(range(20, 50), 1)
)
BREAD = "Knead the dough, let it rise for an hour, and put the loaf into a hot oven until its crust is brown."
NOTES = "create table notes (id integer primary key, title text, body text)"


@pytest.fixture(scope="module")
def minilm():
    plugin = pytest.importorskip("datasette_embed_sentence_transformers")
    return plugin.MiniLM(plugin.MINILM, plugin.Settings())


@pytest.fixture
def path(tmp_path):
    """A long text about something else that ends with a recipe, and two short ones."""
    rows = [
        (1, "Ledger", f"{LEDGER}\n\n{BREAD}"),
        (2, "Bicycle", "Oil the chain when it squeaks, and pump up the tyres."),
        (3, "Shop", "On Mondays the shop has flour and yeast."),
    ]
    return make_file(tmp_path / "data.db", NOTES, notes=rows)


def first(path, model, name):
    """The key and the passage of the nearest row to a question about bread."""
    with searching(path, name) as search:
        (match,) = search.nearest(encode(model.embed_query("How do I bake bread?")), 1)
        return match.key, passages(search.conn, search.collection, search.source, [match])[0]


def test_the_end_of_a_long_text_is_found(path, minilm):
    """Its passage is the nearest of all; where nothing is cut, MiniLM never saw it."""
    embed(path, "notes", ["body"], minilm, template="{{ title }}\n{{ chunk }}")
    embed(path, "notes", ["body"], minilm, name="whole", chunking=None)
    key, passage = first(path, minilm, "notes")
    assert key == (1,)
    assert passage.endswith(BREAD)
    assert first(path, minilm, "whole") == ((3,), None)


def test_every_chunk_is_read_whole(path, minilm):
    """By the model's own count, special tokens and template included, and most chunks are well filled."""
    embed(path, "notes", ["body"], minilm, template="{{ title }}\n{{ chunk }}")
    body = read(path, "select body from notes where id = 1")[0][0]
    spans = read(path, "select chunk_start, chunk_end from _embed_vectors_notes where id = 1 order by chunk")
    counts = [minilm.count_tokens(f"Ledger\n{body[start:end]}") for start, end in spans]
    assert max(counts) <= minilm.max_tokens
    assert sorted(counts)[len(counts) // 2] > minilm.max_tokens / 2
