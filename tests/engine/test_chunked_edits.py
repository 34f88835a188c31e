"""Whatever becomes of long texts, after a pass a file holds what a fresh embedding would; nothing was paid twice."""

import tempfile
from contextlib import closing
from pathlib import Path

from chunked import ShortSighted, numbered_words
from embedded import embed, make_file, read
from fake_models import Failing
from hypothesis import given, settings
from hypothesis import strategies as st

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.contents import content_hash

NOTES = "create table notes (id integer primary key, body text)"
STORED = (
    "select id, chunk, chunk_start, chunk_end, content_hash, row_hash, vector from _embed_vectors_notes order by 1, 2"
)
PAID = "select content_hash from _embed_vectors_notes union select content_hash from _embed_kept"
PARAGRAPHS = st.sampled_from(
    [
        *(numbered_words(12, start) + "." for start in range(0, 72, 12)),
        "short",
        numbered_words(30, 90),
        "this must FAIL",
    ]
)
EDITS = st.dictionaries(st.integers(1, 4), st.none() | st.lists(PARAGRAPHS, max_size=6), max_size=4)


class Reader(Failing, ShortSighted):
    """Reads little, and fails where a content says so."""


def edit(path, texts):
    """Write these texts, paragraph by paragraph; None deletes the row."""
    with closing(connect(path)) as conn, conn:
        for key, paragraphs in texts.items():
            conn.execute("delete from notes where id = ?", (key,))
            if paragraphs is not None:
                conn.execute("insert into notes values (?, ?)", (key, "\n\n".join(paragraphs)))


def fresh(path, folder):
    """What a first embedding of the present rows stores."""
    other = make_file(folder / "fresh.db", NOTES)
    rows = read(path, "select id, body from notes")
    with closing(connect(other)) as conn, conn:
        conn.executemany("insert into notes values (?, ?)", rows)
    embed(other, "notes", ["body"], Reader())
    stored = read(other, STORED)
    other.unlink()
    return stored


@settings(max_examples=25)
@given(st.lists(EDITS, min_size=1, max_size=5))
def test_edits_and_passes(passes):
    """Every row has exactly the chunks of its present text, and the model gets nothing that is stored or kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = make_file(Path(folder) / "data.db", NOTES)
        embed(path, "notes", ["body"], Reader())
        for texts in passes:
            edit(path, texts)
            paid = set(read(path, PAID))
            embed(path, "notes", ["body"], model := Reader())
            assert read(path, STORED) == fresh(path, Path(folder))
            given_to_it = [(content_hash(content),) for content in model.contents]
            assert len(given_to_it) == len(set(given_to_it) - paid)
