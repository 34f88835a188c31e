"""Search by meaning: what is found, in which order, and what is left out because its row no longer says it."""

import pytest
from embedded import embed, write
from searched import Numbers, counted, keys, nearest, notes, searching

from datasette_embeddings.engine.errors import Conflict, EmbedError, NotFound, UnknownColumn, VectorError
from datasette_embeddings.engine.search import candidates, views
from datasette_embeddings.engine.vectors import encode

COMPASS = {1: [1, 0], 2: [1, 1], 3: [0, 1], 4: [-1, 1], 5: [-1, 0]}


@pytest.fixture(params=["exact", "codes"])
def path(request, tmp_path, monkeypatch):
    """Five notes whose vectors turn away from east, searched both ways."""
    if request.param == "codes":
        monkeypatch.setattr(views, "EXACT_UP_TO", 0)
    return notes(tmp_path / "data.db", COMPASS)


def test_nearest_first(path):
    """Matches come best first, each with its cosine."""
    assert nearest(path, [1, 0], 3) == [(1, 1.0), (2, pytest.approx(0.5**0.5, abs=1e-15)), (3, 0.0)]


@pytest.mark.parametrize("k", [5, 6, 1000, 10**9, 10**30, 1e30])
def test_more_than_there_is(path, k):
    """A k beyond the table gives every row once."""
    assert keys(path, [1, 0], k) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("k", [0, -1, 2.5, "10", None, True, float("inf"), float("nan"), b"3"])
def test_counts_that_are_none(path, k):
    """What is no whole number from 1 on is refused with a sentence."""
    with pytest.raises(EmbedError, match="whole number from 1 on"):
        nearest(path, [1, 0], k)


def test_a_zero_query_is_near_nothing(path):
    """A zero vector has no direction, so nothing is found."""
    assert nearest(path, [0, 0]) == []


def test_a_query_of_another_length(path):
    """A query of another length is an error that names both."""
    with pytest.raises(VectorError, match="The query has 3 dimensions; the vectors of 'notes' have 2"):
        nearest(path, [1, 0, 0])


def test_equal_scores_by_key(tmp_path):
    """Ties are ordered by key, whatever order they were embedded in."""
    same = {key: [1, 1] for key in ("b", "B", "é", "a")}
    path = notes(tmp_path / "data.db", same, "id text primary key, body")
    assert keys(path, [1, 1], 3) == ["B", "a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        "update notes set body = '[1, 0.5]' where id = 1",
        "update notes set body = ' ' where id = 1",
        "update notes set body = null where id = 1",
        "delete from notes where id = 1",
        "update notes set id = 99 where id = 1",
        "insert or replace into notes values (1, 'other')",
    ],
)
def test_a_row_that_changed_makes_room(path, change):
    """A row that is gone, blank or changed is left out, and the next one takes its place."""
    write(path, change)
    assert keys(path, [1, 0], 4) == [2, 3, 4, 5]


def test_when_every_row_changed(path):
    """Where no row says what was embedded, nothing is found."""
    write(path, "update notes set body = body || ' '")
    assert keys(path, [1, 0], 1) == []


def test_a_change_taken_back(path):
    """A row that says again what was embedded is found again."""
    write(path, "update notes set body = 'x' where id = 1")
    write(path, "update notes set body = '[1, 0]' where id = 1")
    assert keys(path, [1, 0], 1) == [1]


def test_many_stale_rows_before_the_first_true_one(tmp_path, monkeypatch):
    """However many of the best are stale, k are given where k exist."""
    monkeypatch.setattr(views, "EXACT_UP_TO", 0)
    path = notes(tmp_path / "data.db", {number: [1000 - number, 1] for number in range(1000)})
    write(path, "update notes set body = '' where id < 990")
    assert keys(path, [1, 0], 7) == list(range(990, 997))


def test_similar_leaves_the_row_out(path):
    """A row is not similar to itself."""
    with searching(path) as search:
        assert [match.key for match in search.similar((1,), 2)] == [(2,), (3,)]
        assert len(search.similar((1,), 100)) == 4


def test_similar_to_a_row_without_a_vector(path):
    """A row that has no vector, or that does not exist, is an error that says so."""
    write(path, "insert into notes values (6, '[1, 0]')")
    for missing in (6, 77):
        with searching(path) as search, pytest.raises(NotFound, match=f'The row "{missing}" of notes has no vector'):
            search.similar((missing,))


def test_similar_to_a_row_that_changed(path):
    """A row whose vector is not of its present content is an error that says what to do."""
    write(path, "update notes set body = 'x' where id = 2")
    with (
        searching(path) as search,
        pytest.raises(NotFound, match="changed since it was embedded: update"),
    ):
        search.similar((2,))


def test_an_empty_collection(tmp_path):
    """A table without rows has matches for nothing, and no error."""
    path = notes(tmp_path / "data.db", {})
    assert keys(path, [1, 0]) == []


def test_a_collection_that_became_empty(path):
    """Once all rows are gone from the collection too, nothing is found."""
    write(path, "delete from notes")
    embed(path, "notes", ["body"], Numbers())
    assert keys(path, [1, 0]) == []


def test_a_table_that_is_gone(path):
    """A dropped table, a dropped column and a changed key are errors with a sentence."""
    write(path, "alter table notes rename column body to text")
    with searching(path) as search, pytest.raises(UnknownColumn, match="body"):
        search.nearest(encode([1, 0]))
    write(path, "alter table notes rename column id to number")
    with pytest.raises(Conflict, match="another primary key"):
        keys(path, [1, 0])
    write(path, "drop table notes")
    with pytest.raises(NotFound, match="no table 'notes'"):
        keys(path, [1, 0])


def test_a_vector_that_is_replaced_meanwhile(path, monkeypatch):
    """Between the score and the check the row may be embedded anew: the old score is then nobody's."""
    original = candidates.current

    def meanwhile(*arguments):
        write(path, "update notes set body = '[0, -1]' where id = 1")
        embed(path, "notes", ["body"], Numbers())
        monkeypatch.setattr("datasette_embeddings.engine.search.meaning.current", original)
        return original(*arguments)

    monkeypatch.setattr("datasette_embeddings.engine.search.meaning.current", meanwhile)
    with searching(path) as search:
        search.conn.commit()  # as a reader that keeps no one state
        assert (1,) not in [match.key for match in search.nearest(encode([1, 0]), 1)]


def test_candidates_are_read_in_parts(tmp_path, monkeypatch):
    """However many rows are asked for, only so many are held at a time."""
    path = notes(tmp_path / "data.db", {number: [number, 1] for number in range(25)})
    monkeypatch.setattr(candidates, "BATCH", 10)
    sizes = counted(monkeypatch, candidates, "cosines")
    assert len(keys(path, [1, 0], 10**9)) == 25
    assert [len(blobs) for _, blobs in sizes] == [10, 10, 5]
