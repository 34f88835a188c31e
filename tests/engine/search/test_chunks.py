"""Search over rows in chunks: answers are rows, the best chunk counts, and what is told of it is true of the row."""

import pytest
from chunked import ShortSighted
from embedded import embed, make_file, write
from searched import PARAGRAPHS, Numbers, chunked_notes, counted, in_chunks, nearest, searching

from datasette_embeddings.engine.search import candidates, listed, meaning, passages, search_both, views
from datasette_embeddings.engine.vectors import encode

EAST, NORTH, WEST, NEARLY_EAST = [1, 0], [0, 1], [-1, 0], [2, 1]
ROWS = {1: [NORTH, EAST, WEST], 2: [NEARLY_EAST], 3: [WEST, NORTH, NEARLY_EAST, NORTH]}


@pytest.fixture(params=["exact", "codes"])
def way(request, monkeypatch):
    """Both ways to search."""
    if request.param == "codes":
        monkeypatch.setattr(views, "EXACT_UP_TO", 0)


@pytest.fixture
def path(tmp_path, way):
    return chunked_notes(tmp_path / "data.db", ROWS)


def found(path, vector, k=10, **options):
    """The matches, and their passages."""
    with searching(path) as search:
        matches = search.nearest(encode(vector), k, **options)
        return matches, passages(search.conn, search.collection, search.source, matches)


def test_the_best_chunk_counts(path):
    """Each row is one match with the score of its nearest chunk; equal scores are ordered by key."""
    assert [(key, round(score, 6)) for key, score in nearest(path, EAST)] == [(1, 1.0), (2, 0.894427), (3, 0.894427)]


def test_a_match_tells_its_chunk(path):
    """Its number, its range, and the text that stands there; a row that is whole has none."""
    (first, second, third), texts = found(path, EAST)
    assert (first.chunk.number, first.chunk.start, first.chunk.end) == (1, 64, 126)
    assert (second.chunk, third.chunk.number) == (None, 2)
    assert [text and text.split() for text in texts] == [["[1,", "0", "]"], None, ["[2,", "1", "]"]]


def test_a_match_as_json(path):
    """`chunk` is the one that the score is of, `chunks` are those of the row that were near, best first."""
    with searching(path) as search:
        first, second, _ = (match.as_json(search.source) for match in search.nearest(encode(EAST), 3))
    assert first["chunk"] == {"number": 1, "start": 64, "end": 126}
    assert first["chunks"] == [{"number": 1, "start": 64, "end": 126, "score": 1.0}]
    assert second.keys() == {"id", "key", "score"}


def test_other_chunks_that_are_near(tmp_path, way):
    """Of a row, those chunks are listed that are nearer than the last match, five at most."""
    rows = {1: [[10, number] for number in range(9, 0, -1)], 2: [[10, 7.5]], 3: [[0, 1]]}
    matches, _ = found(chunked_notes(tmp_path / "data.db", rows), EAST, 2)
    assert [chunk.number for chunk in matches[0].chunks] == [8, 7, 6, 5, 4]
    assert [chunk.score for chunk in matches[0].chunks] == sorted([c.score for c in matches[0].chunks], reverse=True)
    rows[2] = [[10, 2.5]]
    matches, _ = found(chunked_notes(tmp_path / "other.db", rows), EAST, 2)
    assert [chunk.number for chunk in matches[0].chunks] == [8, 7]


def test_a_row_whose_chunks_crowd_the_best(tmp_path, way, monkeypatch):
    """However many chunks of one row are nearest, k rows are given where k exist."""
    monkeypatch.setattr(meaning, "POOL", 2)
    monkeypatch.setattr(meaning, "POOL_EACH", 1)
    rows = {1: [[100, number] for number in range(60)], 2: [[1, 1]], 3: [[0, 1]], 4: [[-1, 1]]}
    path = chunked_notes(tmp_path / "data.db", rows)
    assert [key for key, _ in nearest(path, EAST, 3)] == [1, 2, 3]
    assert [key for key, _ in nearest(path, EAST, 100)] == [1, 2, 3, 4]


@pytest.mark.parametrize("body", [" ", "x", in_chunks(NORTH, EAST, NORTH)])
def test_a_row_that_changed_goes_with_all_its_chunks(path, body):
    """Although its best chunk stands in the row still, the row is no longer what was embedded."""
    write(path, "update notes set body = ? where id = 1", body)
    assert [key for key, _ in nearest(path, EAST)] == [2, 3]


def test_a_row_is_checked_once(tmp_path, monkeypatch):
    """However many of its chunks are candidates, its text is read and hashed one time."""
    path = chunked_notes(tmp_path / "data.db", {1: [[100, number] for number in range(60)], 2: [EAST]})
    hashed = counted(monkeypatch, candidates, "content_hash")
    assert len(nearest(path, EAST, 50)) == 2
    assert len(hashed) == 2


def test_among(path):
    """A row that is listed is ranked with all its chunks, another with none."""
    with searching(path) as search:
        matches = search.nearest(encode(EAST), among=listed(search.source, "[3]"))
    assert [(match.key, match.chunk.number) for match in matches] == [((3,), 2)]


def test_similar_rows(path):
    """A row is compared by the mean direction of its chunks, and none of them is an answer."""
    with searching(path) as search:
        near = search.nearest(encode([0, 1]))  # the mean of north, east and west
        assert [match.key for match in search.similar((1,))] == [match.key for match in near if match.key != (1,)]
        assert search.similar((1,))[0].chunk.number == 1


def test_both_rankings(tmp_path):
    """A row that only the words found has the score and the chunk that are its best."""
    path = make_file(
        tmp_path / "data.db",
        "create table notes (id integer primary key, body text);"
        "create virtual table notes_fts using fts5 (body, content=notes, content_rowid=id)",
        notes=[(number, in_chunks(WEST, [-9, number], WEST)) for number in range(1, 40)],
    )
    write(path, "insert into notes_fts (notes_fts) values ('rebuild')")
    embed(path, "notes", ["body"], Numbers(), chunking=PARAGRAPHS)
    with searching(path) as search:
        (match,) = search_both(search, "1", encode(EAST), 1)
        assert (match.key, match.ranks, match.chunk.number) == ((1,), {"words": 1}, 1)
        assert match.score == search.nearest(encode(EAST), 100)[-1].score


def test_passages_of_dressed_chunks(tmp_path):
    """The passage is of the joined columns, without what the template puts around it."""
    body = "one two three. " * 3 + "\n\n" + "four five six. " * 3
    path = make_file(
        tmp_path / "data.db",
        "create table notes (id integer primary key, title text, body text)",
        notes=[(1, "A title", body)],
    )
    embed(path, "notes", ["title", "body"], ShortSighted(), template="About {{ title }}: {{ chunk }}")
    with searching(path) as search:
        matches = search.nearest(encode([5, 1, *[4] * 12, 0, 0]))
        (text,) = passages(search.conn, search.collection, search.source, matches)
    assert text == f"A title\n{body}"[matches[0].chunk.start : matches[0].chunk.end]
