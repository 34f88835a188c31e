"""One-bit codes: packed, changed, scanned, and found again as slow Python finds them."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import PATIENCE

from datasette_embeddings.engine.codes import SLOTS, CodeIndex, centre_of, index, pack_block, patch_block
from datasette_embeddings.engine.codes.blocks import unpack_block
from datasette_embeddings.engine.codes.chunks import CHUNK, Draft
from datasette_embeddings.engine.codes.scan import Part, nearest_codes
from datasette_embeddings.engine.codes.signs import Signs, signs_of
from datasette_embeddings.engine.codes.turns import Turns
from datasette_embeddings.engine.errors import VectorError

DIMENSIONS = st.sampled_from([1, 2, 63, 64, 65, 130])
SCALES = np.array([1.0, 1e30, 1e-30, 0.0, 1e-42])


@st.composite
def collections(draw):
    """Scattered vector ids, their vectors (some zero, some equal, of all lengths), a query, a centre."""
    dimensions, seed, count = draw(DIMENSIONS), draw(st.integers(0, 2**32)), draw(st.integers(0, 60))
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(draw(st.sampled_from([60, 3 * SLOTS, 3 * CHUNK])), count, replace=False)).astype(np.int64)
    vectors = rng.integers(-2, 3, (count, dimensions)) * rng.choice(SCALES, (count, 1))
    centre = draw(st.sampled_from([0.0, 0.3])) * rng.standard_normal(dimensions) / np.sqrt(dimensions)
    query = rng.integers(-2, 3, dimensions).astype(np.float32)
    return ids, vectors.astype(np.float32), query, centre.astype(np.float32)


def blocks_of(ids, vectors, centre):
    """The packed blocks of these vectors, as the file holds them."""
    numbers = ids // SLOTS
    return {
        int(number): pack_block(centre, ids[numbers == number] % SLOTS, vectors[numbers == number])
        for number in np.unique(numbers)
    }


def found(codes, query, **options):
    return codes.nearest(query, 10_000, **options).ids.tolist()


def by_bits(ids, vectors, query, centre, size):
    """The ids of the `size` codes nearest the query's in bits, the lower id first, one at a time."""

    def bits(vector):
        vector = vector.astype(np.float64)
        return (vector / np.sqrt(vector @ vector)).astype(np.float32) > centre

    scored = [((bits(v) != bits(query)).sum(), i) for i, v in zip(ids.tolist(), vectors, strict=True) if v.any()]
    return [i for _, i in sorted(scored)[:size]]


@settings(max_examples=100)
@given(collections())
def test_every_direction_is_found(collection):
    """Asked for more than there are, all vectors with a direction are found, once each, and no others."""
    ids, vectors, query, centre = collection
    codes = CodeIndex.from_blocks(centre, blocks_of(ids, vectors, centre).items())
    expected = ids[vectors.any(axis=1)].tolist()
    assert len(codes) == len(expected)
    assert sorted(found(codes, query)) == (expected if query.any() else [])


@settings(max_examples=100)
@given(collections(), st.integers(1, 20))
def test_the_scan_is_a_sort_by_bits(collection, size):
    """The pool of a scan is what sorting all codes by the bits that differ gives."""
    ids, vectors, query, _ = collection
    if not query.any():
        return
    centre = np.zeros(vectors.shape[1], np.float32)
    codes = CodeIndex.from_vectors(centre, [(ids, vectors)])
    pool = nearest_codes(signs_of(query[None, :], centre).words, codes._parts(None), size)
    assert pool.tolist() == sorted(by_bits(ids, vectors, query, centre, size))


@settings(max_examples=100)
@given(collections(), st.data())
def test_among_is_a_filter_before_the_ranking(collection, data):
    """`among` gives what the same codes give where nothing else is stored, in any order and with strangers."""
    ids, vectors, query, centre = collection
    chosen = data.draw(st.lists(st.sampled_from([*ids.tolist(), 10**12, -5]), max_size=80))
    kept = np.isin(ids, chosen)
    alone = CodeIndex.from_vectors(centre, [(ids[kept], vectors[kept])])
    codes = CodeIndex.from_vectors(centre, [(ids, vectors)])
    assert found(codes, query, among=np.array(chosen, np.int64)) == found(alone, query)


def test_a_wide_filter_is_scanned(monkeypatch):
    """A filter that leaves more than the pool goes through the scan, and hides all other codes from it."""
    monkeypatch.setattr(index, "POOL", 20)
    rng = np.random.default_rng(3)
    vectors, query = rng.standard_normal((2 * SLOTS, 70)), rng.standard_normal(70)
    ids, centre = np.arange(2 * SLOTS), np.zeros(70, np.float32)
    codes = CodeIndex.from_vectors(centre, [(ids, vectors)])
    monkeypatch.setattr(index, "SCANNED", 2 * SLOTS)
    odd = rng.permutation(ids[1::2])
    alone = CodeIndex.from_vectors(centre, [(ids[1::2], vectors[1::2])])
    assert codes.nearest(query, 5, odd).ids.tolist() == alone.nearest(query, 5).ids.tolist()


def test_a_narrow_filter_is_not_scanned(monkeypatch):
    """A filter that leaves few of very many gets its estimates at once, which is quicker and nearer to the truth."""
    monkeypatch.setattr(index, "POOL", 20)
    rng = np.random.default_rng(3)
    vectors, query = rng.standard_normal((2 * SLOTS, 70)), rng.standard_normal(70)
    codes = CodeIndex.from_vectors(np.zeros(70, np.float32), [(np.arange(2 * SLOTS), vectors)])
    monkeypatch.setattr(index, "nearest_codes", None)
    few = np.arange(0, 2 * SLOTS, index.SCANNED)
    assert sorted(codes.nearest(query, len(few), few).ids.tolist()) == few.tolist()
    assert len(codes.nearest(query, 5, few).ids) == 5


@settings(max_examples=50)
@given(collections(), collections())
def test_a_patched_block_is_a_new_one(before, after):
    """Emptying what was there and writing something else leaves no trace."""
    old, new = before[0] % SLOTS, np.unique(after[0] % SLOTS)
    centre = after[3]
    dimensions = len(centre)
    garbage = np.resize(before[1], (len(old), dimensions)) if len(old) else np.empty((0, dimensions))
    vectors = after[1][: len(new)]
    patched = patch_block(pack_block(centre, old, garbage), centre, new, vectors, emptied=old)
    assert patched == pack_block(centre, new, vectors)


@settings(max_examples=50)
@given(collections())
def test_blocks_come_and_go(collection):
    """with_blocks() is a load of the present blocks; the index that it was called on stays as it was."""
    ids, vectors, query, centre = collection
    blocks = blocks_of(ids, vectors, centre)
    codes = CodeIndex.from_blocks(centre, blocks.items())
    gone = dict.fromkeys(list(blocks)[::2])
    left = {number: blob for number, blob in blocks.items() if number not in gone}
    fewer = codes.with_blocks(gone.items())
    assert found(fewer, query) == found(CodeIndex.from_blocks(centre, left.items()), query)
    assert found(codes, query) == found(fewer.with_blocks(blocks.items()), query)


def test_a_block_has_the_size_that_the_file_expects():
    """384 dimensions make 51,200 bytes; a BLOB of another size is refused with a sentence."""
    blob = pack_block(np.zeros(384, np.float32), np.array([5]), np.ones((1, 384)))
    assert len(blob) == 51_200
    assert unpack_block(blob, 384).words[:, 5].tolist() == [2**64 - 1] * 6
    with pytest.raises(VectorError, match="256 dimensions cannot have 51200 bytes"):
        unpack_block(blob, 256)


@pytest.mark.parametrize("dimensions", [1, 384, 4096])
def test_from_one_dimension_to_4096(dimensions):
    """Any number of dimensions finds the vector that was asked for first."""
    vectors = np.random.default_rng(4).standard_normal((300, dimensions))
    codes = CodeIndex.from_vectors(centre_of(vectors), [(np.arange(300), vectors)])
    first = vectors[codes.nearest(vectors[7], 1).ids[0]]
    assert np.sign(first).tolist() == np.sign(vectors[7]).tolist()


def scanned(codes, query, count):
    """What a scan of the (n, width) codes finds for the (width,) query, all in one chunk, in order of the slots."""
    draft = Draft(64 * codes.shape[1])
    draft.write(np.arange(len(codes)), Signs(codes.T, np.zeros(len(codes), np.float32)))
    return nearest_codes(query[:, None], [Part(0, draft.finish(), None)], count).tolist()


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 300), st.integers(0, 2**32))
def test_few_codes_are_all_compared_in_full(width, count, seed):
    """Twice as many as are wanted, of any width: those that differ in the fewest bits, the lower id where equal."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, (2 * count, width), np.uint64) & rng.integers(0, 8, (2 * count, 1), np.uint64)
    bits = np.bitwise_count(codes).sum(axis=1, dtype=np.int64)
    assert scanned(codes, np.zeros(width, np.uint64), count) == sorted(np.argsort(bits, kind="stable")[:count].tolist())


@pytest.mark.parametrize("width", [6, 12])
def test_of_many_codes_the_near_ones_are_found(width):
    """Codes that are near in all words are among thousands that are so in some of them only."""
    rng = np.random.default_rng(8)
    codes = rng.integers(0, 2**64, (60_000, width), np.uint64)
    near = np.sort(rng.choice(60_000, 200, replace=False))
    codes[near] &= codes[near[::-1]]  # a quarter of the bits is left
    assert scanned(codes, np.zeros(width, np.uint64), 200) == near.tolist()


def test_enough_are_found_where_a_sample_of_them_misleads():
    """Nearer codes lie just where the sample looks: as many as are wanted come back all the same."""
    codes = np.full((60_000, 6), 2**64 - 1, np.uint64)
    codes[: 16 * 900 : 16] = 0
    found = scanned(codes, np.zeros(6, np.uint64), 1_000)
    assert found == sorted([*range(0, 16 * 900, 16), *[i for i in range(1_000) if i % 16][:100]])


def test_what_differs_in_every_bit_is_the_farthest():
    """256 bits are one more than a byte can count."""
    codes = np.random.default_rng(8).integers(0, 2**64, (60_000, 6), np.uint64)
    codes[1_000:50_000] = 2**64 - 1
    bits = np.bitwise_count(codes).sum(axis=1, dtype=np.int64)
    found = scanned(codes, np.zeros(6, np.uint64), 500)
    assert len(found) == 500
    assert bits[found].max() < 192


@pytest.mark.parametrize("shape", [lambda vectors: vectors, lambda vectors: vectors + 5])
def test_candidates_hold_the_nearest(shape):
    """200 candidates of 20,000 hold the ten nearest, also where all point almost the same way, as E5's do."""
    rng = np.random.default_rng(5)
    topics = rng.standard_normal((400, 256))
    vectors = shape(topics[rng.integers(0, 400, 20_000)] + rng.standard_normal((20_000, 256))).astype(np.float32)
    codes = CodeIndex.from_vectors(centre_of(vectors[::7]), [(np.arange(20_000), vectors)])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = {i: np.argsort(-(unit @ unit[i]))[:10] for i in rng.integers(0, 20_000, 20).tolist()}
    kept = [np.isin(ids, codes.nearest(vectors[i], 200).ids).sum() for i, ids in nearest.items()]
    assert sum(kept) / 200 >= 0.98


def test_threads_share_an_index():
    """Ten threads at once get the answers that one gets."""
    rng = np.random.default_rng(6)
    vectors = rng.standard_normal((20_000, 64))
    codes = CodeIndex.from_vectors(centre_of(vectors), [(np.arange(20_000), vectors)])
    expected = [codes.nearest(vectors[i], 50).ids.tolist() for i in range(10)]
    answers = [None] * 10
    threads = [
        threading.Thread(target=lambda i=i: answers.__setitem__(i, codes.nearest(vectors[i], 50).ids.tolist()))
        for i in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == expected


def test_turns_are_taken_in_order():
    """Who waits first goes first."""
    turns, order = Turns(1), []

    def take(number):
        with turns.turn():
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with turns.turn():
        for number, thread in enumerate(threads):
            thread.start()
            wait_until(lambda number=number: len(turns._waiting) > number)
    for thread in threads:
        thread.join(PATIENCE)
    assert order == [0, 1, 2, 3, 4]


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0)  # let the other thread run


def test_turns_after_a_fork():
    """Those who had turns, or waited, are not in the new process: all turns are free there."""
    turns = Turns(1)
    with turns.turn():
        turns.reset()
        with turns.turn() as alone:
            assert alone


def test_a_turn_that_fails_is_passed_on():
    """An error ends a turn as anything else does."""
    turns = Turns(1)

    def fail():
        with turns.turn():
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            fail()


def test_centre_of_nothing():
    """No vectors, or only zero vectors, have the centre zero."""
    assert centre_of(np.empty((0, 3))).tolist() == centre_of(np.zeros((2, 3))).tolist() == [0, 0, 0]
