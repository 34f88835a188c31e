"""Vectors as BLOBs: what is one, what is none, and their arithmetic."""

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_embeddings.engine import vectors
from datasette_embeddings.engine.errors import VectorError

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


def blob(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


def test_a_vector_is_little_endian_float32():
    """The BLOB is what sqlite-vec and LLM store: no header, four bytes a number."""
    assert vectors.encode([1.0, -2.5]) == blob(1.0, -2.5) == vectors.encode(np.array([1, -2.5], dtype=">f8"))
    assert vectors.decode(blob(1.0, -2.5)).tolist() == [1.0, -2.5]


@pytest.mark.parametrize("values", [[], [[1]], 5, "x", [1, "x"], [float("nan")], [math.inf], [1e39], [10**400], {}])
def test_what_is_no_vector(values):
    """Nothing, nested lists, text and what is not finite in 32 bits are refused."""
    with pytest.raises(VectorError):
        vectors.encode(values)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "not text"),
        (1, "not an integer"),
        (1.5, "not a real number"),
        (None, "not NULL"),
        (b"", "0 bytes are none"),
        (b"12345", "5 bytes are none"),
        (blob(1, math.nan), "NaN or infinity"),
        (blob(-math.inf), "NaN or infinity"),
    ],
)
def test_what_is_no_blob_of_a_vector(value, message):
    """The error says what it got instead."""
    with pytest.raises(VectorError, match=message):
        vectors.decode(value)


@given(st.lists(finite, min_size=1, max_size=40))
def test_json_round_trip(numbers):
    """JSON holds every number exactly, in the fewest digits."""
    text = vectors.to_json(blob(*numbers))
    assert vectors.from_json(text) == blob(*numbers)
    assert [struct.pack("<f", number) for number in json.loads(text)] == [struct.pack("<f", n) for n in numbers]


def test_json_is_short():
    """0.1 is written as 0.1, although 32 bits hold 0.10000000149."""
    assert vectors.to_json(blob(0.1, 1e-30, -0.0)) == "[0.1, 1e-30, -0.0]"


def test_json_that_is_no_vector():
    """What embed_encode() does not take is named."""
    for text in ("x", "{}", "[]", "[null]", "[true]", '["1"]', "[[1]]", "[NaN]", "[1e39]", "[" * 100_000, "5"):
        with pytest.raises(VectorError):
            vectors.from_json(text)
    with pytest.raises(VectorError, match="not a BLOB"):
        vectors.from_json(b"[1]")


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=20))
def test_cosine_is_a_cosine(pairs):
    """Never beyond 1 or -1, the same both ways, and None only for a zero vector."""
    a, b = (blob(*numbers) for numbers in zip(*pairs, strict=True))
    cosine = vectors.cosine(a, b)
    assert cosine == vectors.cosine(b, a)
    if cosine is None:
        assert not vectors.decode(a).any() or not vectors.decode(b).any()
    else:
        assert -1 <= cosine <= 1


def test_the_arithmetic():
    """Cosine, dot product, distance and normal form of vectors one can check by hand."""
    a, b, zero = blob(3, 4), blob(4, 3), blob(0, 0)
    assert vectors.cosine(a, b) == pytest.approx(0.96)
    assert (vectors.dot(a, b), vectors.l2(a, b)) == (24.0, pytest.approx(math.sqrt(2)))
    assert vectors.normalized(a) == blob(0.6, 0.8)
    assert (vectors.cosine(a, zero), vectors.normalized(zero), vectors.l2(a, zero)) == (None, None, 5.0)


def test_extremes():
    """The largest and the smallest numbers of 32 bits neither overflow nor vanish."""
    large, small = blob(3.4e38, 3.4e38), blob(1e-45, 1e-45)
    assert vectors.cosine(large, small) == pytest.approx(1.0)
    assert vectors.decode(vectors.normalized(large)).tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    assert math.isfinite(vectors.dot(large, large))


@pytest.mark.parametrize("function", [vectors.cosine, vectors.dot, vectors.l2])
def test_different_lengths(function):
    """Vectors of different lengths are never compared."""
    with pytest.raises(VectorError, match="cannot be compared: 2 and 3 dimensions"):
        function(blob(1, 2), blob(1, 2, 3))


def test_an_average():
    """NULL is left out, nothing has no average, and one length holds for all."""
    average = vectors.Average()
    assert average.finalize() is None
    for value in (blob(1, 2), None, blob(3, 4)):
        average.step(value)
    assert average.finalize() == blob(2, 3)
    with pytest.raises(VectorError, match="2 and 1 dimensions"):
        average.step(blob(1))
