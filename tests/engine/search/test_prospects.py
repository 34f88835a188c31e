"""How many of the candidates are scored: as many as may be among the best, and no more."""

from contextlib import closing

import numpy as np
import pytest
from searched import large_notes, searching

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.exact import cosines
from datasette_embeddings.engine.search import candidates, meaning, prospects, views
from datasette_embeddings.engine.vectors import encode

COUNT, DIMENSIONS = 3000, 128
QUERY = np.random.default_rng(1).normal(size=DIMENSIONS)


def at_cosines(wanted):
    """A random vector at each of these cosines from the query."""
    aside = np.random.default_rng(2).normal(size=(len(wanted), DIMENSIONS))
    aside -= np.outer(aside @ QUERY, QUERY) / (QUERY @ QUERY)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    wanted = np.asarray(wanted)[:, None]
    return (wanted * QUERY / np.linalg.norm(QUERY) + np.sqrt(1 - wanted**2) * aside).astype(np.float32)


@pytest.fixture(autouse=True)
def by_codes(monkeypatch):
    monkeypatch.setattr(views, "EXACT_UP_TO", 0)


@pytest.fixture
def reads(monkeypatch):
    """The ids of the vectors that were read, a list for each time."""
    found, original = [], candidates.read_stored

    def reading(conn, collection, vector_ids, dimensions):
        found.append(list(vector_ids))
        return original(conn, collection, vector_ids, dimensions)

    monkeypatch.setattr(candidates, "read_stored", reading)
    return found


def nearest(path, k=10):
    with searching(path) as search:
        return [match.key[0] for match in search.nearest(encode(QUERY), k)]


def best(vectors, k=10):
    return (1 + np.argsort(-cosines(QUERY, vectors))[:k]).tolist()


def test_where_the_best_stand_out(tmp_path, reads):
    """The first part of the candidates is scored, and says that the others cannot be nearer."""
    vectors = at_cosines(np.r_[np.linspace(0.9, 0.8, 40), np.linspace(0.1, -0.2, COUNT - 40)])
    assert nearest(large_notes(tmp_path / "data.db", vectors)) == best(vectors)
    assert [len(ids) for ids in reads] == [prospects.FIRST * meaning.POOL]


def test_where_they_do_not(tmp_path, reads):
    """Of a crowd at one distance every candidate is scored, each once."""
    vectors = at_cosines(0.5 + np.random.default_rng(3).normal(size=COUNT) / 100)
    nearest(large_notes(tmp_path / "data.db", vectors))
    scored = [each for ids in reads for each in ids]
    assert (len(scored), len(set(scored))) == (meaning.POOL, meaning.POOL)


@pytest.mark.parametrize("changed", [35, 40])
def test_where_the_best_have_changed(tmp_path, reads, changed):
    """Rows that are no longer true make place for those that the scores alone had ruled out."""
    vectors = at_cosines(np.r_[np.linspace(0.9, 0.8, 40), np.linspace(0.5, 0.2, 160), np.linspace(0.1, -0.2, 2800)])
    path = large_notes(tmp_path / "data.db", vectors)
    with closing(connect(path)) as conn, conn:
        conn.execute("update notes set body = 'another' where id <= ?", (changed,))
    assert nearest(path) == [number for number in best(vectors, 50) if number > changed][:10]
    assert len(reads) > 1


def test_a_row_like_a_row(tmp_path, reads):
    """The row itself is not scored, and takes nobody's place."""
    vectors = at_cosines(np.r_[1.0, np.linspace(0.9, 0.8, 40), np.linspace(0.1, -0.2, COUNT - 41)])
    path = large_notes(tmp_path / "data.db", vectors)
    with searching(path) as search:
        assert [match.key[0] for match in search.similar((1,))] == best(vectors, 11)[1:]
    assert 1 not in reads[0]


def test_the_highest_scores_that_estimates_allow():
    """A line through the known scores and their spread above it; where none is known, anything."""
    estimates = np.array([0.9, 0.8, 0.7, 0.6], np.float32)

    def highest(known):
        return prospects.highest_scores(estimates, estimates[: len(known)], np.array(known))

    assert highest(estimates[:3].astype(np.float64) / 2) == pytest.approx(estimates / 2, abs=1e-5)
    # a line of slope 1 at most, and not one that falls
    assert highest([0.9, 0.5]) == pytest.approx(0.7 + estimates - 0.85 + prospects.ERRORS * 0.15, abs=1e-5)
    assert highest([0.5, 0.7]) == pytest.approx([0.6 + prospects.ERRORS * 0.1] * 4, abs=1e-5)
    assert (highest([]) == np.inf).all()
    equal = np.full(4, 0.5, np.float32)
    assert prospects.highest_scores(equal, equal[:2], np.full(2, 0.7)) == pytest.approx([0.7] * 4, abs=1e-5)
