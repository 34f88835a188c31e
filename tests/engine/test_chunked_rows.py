"""Rows of several chunks: stored whole or not at all, embedded once, and changed no more than their text."""

from contextlib import closing

import pytest
from chunked import Countless, ShortSighted, numbered_words
from embedded import act, create, embed, errors, make_file, read, run, running, write
from fake_models import Failing, Held, WordLengths, word_lengths

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.chunking import Chunking
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.contents import content_hash
from datasette_embeddings.engine.jobs import latest_job
from datasette_embeddings.engine.running import pace
from datasette_embeddings.engine.status import RowCounts, count

NOTES = "create table notes (id integer primary key, title text, body text)"
VECTORS = "select id, chunk, chunk_start, chunk_end from _embed_vectors_notes order by id, chunk"
PARAGRAPHS = [numbered_words(12, start) + "." for start in (0, 12, 24, 36)]  # each nearly fills a chunk
LONG = "\n\n".join(PARAGRAPHS)


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=[(1, "Short", "a few words"), (2, "Long", LONG)])


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of two contents, so that a row has more chunks than a batch."""
    monkeypatch.setattr(pace, "FIRST_BATCH", 2)
    monkeypatch.setattr(pace, "LARGEST_BATCH", 2)


class FailingReader(Failing, ShortSighted):
    """Reads little, and fails as Failing does."""


class HeldReader(Held, ShortSighted):
    """Reads little, and waits as Held does."""


def kept(path):
    return read(path, "select count(*) from _embed_kept")[0][0]


def test_a_long_text_becomes_chunks(path):
    """Each with its number, its range in the joined columns and the hash of its content; a short row stays whole."""
    job = embed(path, "notes", ["title", "body"], model := ShortSighted())
    text = f"Long\n{LONG}"
    stored = read(path, VECTORS)
    assert stored[0] == (1, 0, 0, len("Short\na few words"))
    assert [number for _, number, _, _ in stored[1:]] == list(range(len(stored) - 1))
    parts = [text[start:end] for _, _, start, end in stored[1:]]
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert sorted(model.contents) == sorted(["Short\na few words", *parts])
    assert (job.embedded, job.rows_done, job.contents) == (2, 2, len(stored))
    assert read(path, "select content_hash from _embed_vectors_notes where id = 2 order by chunk") == [
        (content_hash(part),) for part in parts
    ]


def test_whether_a_row_is_current_stands_in_one_comparison(path):
    """Every chunk has the hash of the whole row's content; a row that is one chunk has no other."""
    embed(path, "notes", ["body"], ShortSighted())
    assert read(path, "select distinct id, row_hash from _embed_vectors_notes order by id") == [
        (1, None),
        (2, content_hash(LONG)),
    ]


def test_rows_are_counted_and_not_chunks(path):
    """Exactly, and from keys alone while a job is under way; `removed` and `reused` are rows too."""
    embed(path, "notes", ["body"], model := ShortSighted())
    write(path, "insert into notes values (3, 'Twin', ?)", LONG)
    with closing(connect(path)) as conn:
        collection = get_collection(conn, "notes")
        assert count(conn, collection, latest_job(conn, collection.id)) == RowCounts(2, 1, 0, 0)
        assert count(conn, collection, None) == RowCounts(2, 1, 0, 0, exact=False)
    assert embed(path, "notes", ["body"], model).reused == 1
    write(path, "delete from notes where id > 1")
    assert embed(path, "notes", ["body"], model).removed == 2


def test_again_embeds_nothing(path):
    """What has not changed is neither cut nor embedded again, and no row is pending."""
    embed(path, "notes", ["body"], model := ShortSighted())
    model.calls.clear()
    model.count_tokens = None  # whoever counts fails
    job = embed(path, "notes", ["body"], model)
    assert (job.status, job.unchanged, model.calls) == ("finished", 2, [])


def test_an_edit_embeds_the_chunks_that_changed(path):
    """One paragraph more and one changed: the model gets these two, and every number and range is right again."""
    embed(path, "notes", ["body"], model := ShortSighted())
    model.calls.clear()
    new = ["A paragraph that was put in front.", PARAGRAPHS[0], "Quite another second one.", *PARAGRAPHS[2:]]
    write(path, "update notes set body = ? where id = 2", "\n\n".join(new))
    job = embed(path, "notes", ["body"], model)
    assert sorted(model.contents) == sorted([new[0], new[2]])
    assert (job.embedded, job.unchanged, job.removed) == (1, 1, 0)
    assert [
        LONG_TEXT[start:end] for LONG_TEXT in ["\n\n".join(new)] for _, _, start, end in read(path, VECTORS)[1:]
    ] == new


def test_a_text_that_became_shorter(path):
    """What a row had beyond its present chunks is gone; the vectors that stay are those of their contents."""
    embed(path, "notes", ["body"], model := ShortSighted())
    write(path, "update notes set body = ? where id = 2", "\n\n".join(PARAGRAPHS[2:]))
    embed(path, "notes", ["body"], model)
    assert [(row[0], row[1]) for row in read(path, VECTORS)] == [(1, 0), (2, 0), (2, 1)]
    write(path, "update notes set body = 'now short' where id = 2")
    embed(path, "notes", ["body"], model)
    assert read(path, "select id, chunk, chunk_start, chunk_end, row_hash from _embed_vectors_notes where id = 2") == [
        (2, 0, 0, len("now short"), None)
    ]


@pytest.mark.parametrize("change", ["delete from notes where id = 2", "update notes set body = ' ' where id = 2"])
def test_rows_that_are_gone_or_empty(path, change):
    """All chunks go with their row, which counts once."""
    embed(path, "notes", ["body"], ShortSighted())
    write(path, change)
    job = embed(path, "notes", ["body"], ShortSighted())
    assert job.removed == 1
    assert [row[0] for row in read(path, VECTORS)] == [1]


def test_a_chunk_that_fails(path):
    """Its row fails and names it, other rows are saved, and once it is mended only that chunk is embedded."""
    bad = LONG.replace("w20", "FAIL")
    write(path, "update notes set body = ? where id = 2", bad)
    job = embed(path, "notes", ["body"], model := FailingReader())
    assert (job.status, job.failed, job.embedded) == ("finished", 1, 1)
    assert "Chunk 2 of 4: The model failing failed" in errors(path)[0]
    assert [row[0] for row in read(path, VECTORS)] == [1]
    model.calls.clear()
    write(path, "update notes set body = ? where id = 2", LONG)
    embed(path, "notes", ["body"], model)
    assert model.contents == [PARAGRAPHS[1]]
    assert (len(read(path, VECTORS)), kept(path)) == (5, 0)


def test_what_is_kept_of_a_row_that_fails(path):
    """Its good chunks are paid for once, however often it is tried again or left alone, and kept while it fails."""
    write(path, "update notes set body = ? where id = 2", LONG.replace("w20", "FAIL"))
    embed(path, "notes", ["body"], FailingReader())
    for postponed in (1, 0):
        assert embed(path, "notes", ["body"], model := FailingReader()).postponed == postponed
        assert (kept(path), model.contents) == (3, [])
        write(path, "update _embed_errors set retry_at = 1")
    write(path, "update notes set body = 'short' where id = 2")
    embed(path, "notes", ["body"], FailingReader())
    assert kept(path) == 0


def test_a_row_of_more_chunks_than_a_batch(path, small_batches):
    """It is in the file whole or not at all, and its chunks are paid for once, whenever the job is stopped."""
    _, job = create(path, "notes", ["body"], model := HeldReader())
    with running(path, job, model):
        model.wait_for_call()
        act(path, "pause", "notes")
        model.release()
    assert (read(path, VECTORS), kept(path)) == ([], 2)
    first = list(model.contents)
    model.calls.clear()
    act(path, "resume", "notes")
    model.open()
    job = run(path, job, model)
    assert (job.status, job.embedded, len(read(path, VECTORS))) == ("finished", 2, 5)
    assert sorted([*first, *model.contents]) == sorted(["a few words", *PARAGRAPHS])
    assert kept(path) == 0


def test_equal_texts_and_equal_chunks(path):
    """Rows of one text share the vectors of its chunks, and a chunk that stands in two texts is embedded once."""
    write(path, "insert into notes values (3, 'Twin', ?)", LONG)
    write(path, "insert into notes values (4, 'Cousin', ?)", "\n\n".join([*PARAGRAPHS[:2], numbered_words(10, 90)]))
    job = embed(path, "notes", ["body"], model := ShortSighted())
    assert sorted(model.contents) == sorted(["a few words", *PARAGRAPHS, numbered_words(10, 90)])
    assert job.embedded == 4
    assert [row[:2] for row in read(path, VECTORS)] == [
        (1, 0),
        *((2 + n // 4, n % 4) for n in range(8)),
        (4, 0),
        (4, 1),
        (4, 2),
    ]


def test_the_vectors_are_those_of_the_chunks(path):
    """What stands beside a range is the vector of that part, dressed."""
    embed(path, "notes", ["body"], ShortSighted(), template="{{ title }}:\n{{ chunk }}")
    for start, end, vector in read(
        path, "select chunk_start, chunk_end, vector from _embed_vectors_notes where id = 2"
    ):
        import numpy as np

        assert np.frombuffer(vector, "<f4").tolist() == word_lengths("Long:\n" + LONG[start:end])
    assert read(path, "select chunk_start, chunk_end from _embed_vectors_notes where id = 1") == [
        (0, len("a few words"))
    ]


def test_a_template_that_leaves_no_room(path):
    """The row fails with that reason, and the others do not."""
    write(path, "update notes set title = ? where id = 2", numbered_words(13))
    job = embed(path, "notes", ["body"], ShortSighted(), template="{{ title }}:\n{{ chunk }}")
    assert (job.status, job.failed, job.embedded) == ("finished", 1, 1)
    assert "leaves too little room for the row's text" in errors(path)[0]


def test_nothing_is_cut_where_nobody_wished_it(path):
    """Without chunking, and by a model that names no limit, a row has one vector."""
    embed(path, "notes", ["body"], ShortSighted(), chunking=None)
    embed(path, "notes", ["body"], WordLengths(), name="endless")
    for table in ("_embed_vectors_notes", "_embed_vectors_endless"):
        assert read(path, f"select id, chunk, chunk_end from {table} order by id") == [(1, 0, 11), (2, 0, len(LONG))]


def test_a_wish(path):
    """Chunks of so many characters, with a model that cannot count."""
    embed(path, "notes", ["body"], model := Countless(), chunking=Chunking("characters", 60, 0))
    assert all(len(content) <= 60 for content in model.contents)
    assert len(model.contents) > 4


def test_a_wish_that_cannot_be_fulfilled(path):
    """Where the model says so only once it is loaded, the job fails with the reason."""

    class Late(Countless):
        def load(self):
            pass

    job = embed(path, "notes", ["body"], Late(), chunking=Chunking("tokens", 30))
    assert (job.status, job.failed) == ("failed", 0)
    assert "The model countless counts no tokens: give the size of chunks in characters" in job.reason
