"""Exact nearest vectors, held against ten lines of float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasette_embeddings.engine.exact import BLOCK, SCORED, ExactIndex, cosines, product, runs, unit_rows

NUMBERS = st.integers(-3, 3).map(float)
SCALES = st.sampled_from([1.0, 1e30, 1e-30, 3e38, 1e-42])


@st.composite
def collections(draw):
    """Vector ids with holes and float32 vectors: zero ones, duplicates, huge and tiny norms."""
    dimensions = draw(st.integers(1, 9))
    rows = st.lists(NUMBERS, min_size=dimensions, max_size=dimensions)
    vectors = draw(st.lists(st.tuples(rows, SCALES), max_size=30))
    ids = draw(st.lists(st.integers(0, 3 * BLOCK), min_size=len(vectors), max_size=len(vectors), unique=True))
    matrix = np.array([row for row, _ in vectors], np.float64).reshape(-1, dimensions)
    scales = np.array([scale for _, scale in vectors])[:, None] / 3
    query = draw(rows)
    return np.sort(np.array(ids, np.int64)), (matrix * scales).astype(np.float32), np.array(query)


def reference(ids, vectors, query, among=None):
    """Every id with a score, best first: the cosine in float64, equal ones by id."""
    scored = []
    for vector_id, row in zip(ids.tolist(), vectors.astype(np.float64), strict=True):
        norms = np.sqrt((row * row).sum()) * np.sqrt((query * query).sum())
        if norms and (among is None or vector_id in among):
            scored.append((-(row * query).sum() / norms, vector_id))
    return [(vector_id, -score) for score, vector_id in sorted(scored)]


def index_of(ids, vectors):
    return ExactIndex.from_vectors([(ids[:7], vectors[:7]), (ids[7:], vectors[7:])])


@settings(max_examples=150)
@given(collections(), st.integers(1, 40), st.booleans())
def test_nearest_then_cosines_is_the_reference(collection, k, restricted):
    """Rescored by cosines(), what nearest() gives holds the k best of the reference, and nothing without a score."""
    ids, vectors, query = collection
    among = ids[::2] if restricted else None
    found = index_of(ids, vectors).nearest(query, k, among).ids
    rows = vectors[np.searchsorted(ids, found)]
    scores = dict(zip(found.tolist(), cosines(query, rows).tolist(), strict=True))
    expected = reference(ids, vectors, query, None if among is None else among.tolist())
    assert len(scores) == len(found) >= min(k, len(expected))
    # ties at the end of the k may be told apart by the last bit of a sum: compare the scores, and who has more
    best = sorted(scores.values(), reverse=True)[:k]
    assert best == pytest.approx([score for _, score in expected[:k]], abs=1e-12)
    certain = {vector_id for vector_id, score in expected[:k] if score > best[-1] + 1e-9} if best else set()
    assert certain <= set(scores)


@settings(max_examples=100)
@given(collections())
def test_replacing_blocks_is_building_anew(collection):
    """with_block() gives what from_vectors() would, and leaves the index that it was called on as it was."""
    ids, vectors, query = collection
    before = index_of(ids, vectors)
    after = before
    for number in range(4):
        after = after.with_block(number, ids[:0], vectors[:0])
    assert (len(after), len(after.nearest(query, 5).ids)) == (0, 0)
    for number, run in runs(ids // BLOCK):
        after = after.with_block(number, ids[run], vectors[run])
    assert after.nearest(query, 5).ids.tolist() == before.nearest(query, 5).ids.tolist()


def test_no_rows():
    """An empty index has nothing near, and says that it is empty."""
    index = ExactIndex.from_vectors([])
    assert (len(index), index.nbytes, index.nearest(np.ones(3), 10).ids.tolist()) == (0, 0, [])


@pytest.mark.parametrize(("query", "k"), [([0.0, 0.0], 5), ([1.0, 0.0], 0)])
def test_nothing_asked_nothing_found(query, k):
    """A zero query and a k of 0 find nothing."""
    index = ExactIndex.from_vectors([(np.arange(3), np.eye(3, 2) + 1)])
    assert index.nearest(np.array(query), k).ids.tolist() == []


def test_all_ties_are_found():
    """Equal vectors are all candidates, so that the caller can order them by key."""
    index = ExactIndex.from_vectors([(np.arange(50), np.ones((50, 8), np.float32))])
    assert index.nearest(np.ones(8), 10).ids.tolist() == list(range(50))


def test_among_takes_any_order_and_strangers():
    """`among` may repeat ids, come in any order, and name ids that are not there."""
    index = ExactIndex.from_vectors([(np.arange(5), np.eye(5) + 1)])
    assert sorted(index.nearest(np.ones(5), 5, np.array([9999, 4, -7, 1, 4])).ids.tolist()) == [1, 4]


@pytest.mark.parametrize("dimensions", [1, 3, 31, 383, 384, 7681, 8192, 8193, 20_001])
def test_equal_vectors_get_equal_scores_wherever_they_stand(dimensions):
    """A score is the same to the last bit whatever else was asked for, or ties would fall in any order."""
    rng = np.random.default_rng(1)
    query, row = rng.standard_normal((2, dimensions)).astype(np.float32)
    alone = cosines(query, row[None, :])[0]
    count = 2 * max(1, SCORED // dimensions) + 3  # computed in three parts or more
    others = rng.standard_normal((count - 1, dimensions)).astype(np.float32)
    for place in range(0, count, -(-count // 100)):
        assert cosines(query, np.insert(others, place, row, axis=0))[place] == alone


@pytest.mark.parametrize("scale", [1e30, 1e-30, 3.4e38, 1e-44])
def test_norms_neither_overflow_nor_vanish(scale):
    """A vector of any float32 length points where it points."""
    vectors = (np.array([[1.0, 0.0], [0.0, -1.0]]) * scale).astype(np.float32)
    assert cosines(np.array([scale, 0.0]), vectors).tolist() == [1.0, 0.0]
    assert unit_rows(vectors)[0].tolist() == [[1.0, 0.0], [0.0, -1.0]]


def test_cosines_of_zero_vectors_are_nan():
    """A zero vector has no cosine, on either side."""
    assert np.isnan(cosines(np.ones(2), np.zeros((1, 2)))).all()
    assert np.isnan(cosines(np.zeros(2), np.ones((1, 2)))).all()
    assert cosines(np.ones(2), np.empty((0, 2))).tolist() == []


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (700, 1000)])
def test_product_is_the_product(shape):
    """Cut into steps, a product is what it was."""
    matrix = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    vector = np.arange(shape[1], dtype=np.float32)
    assert product(matrix, vector) == pytest.approx(matrix.astype(np.float64) @ vector, abs=0.1)
