"""Vectors as BLOBs of little-endian float32 (no header: what sqlite-vec and LLM store), and their arithmetic."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import VectorError

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

ALIKE = 0.999  # cosine; MiniLM with bfloat16 weights against float32: 0.9998 at least


def encode(values: object) -> bytes:
    """A BLOB from a sequence of finite numbers or a float32 row."""
    import numpy as np

    try:
        with np.errstate(over="ignore"):  # what overflows float32 is refused as not finite
            array = np.asarray(values, dtype="<f4")
    except (TypeError, ValueError, OverflowError) as error:
        raise VectorError("A vector is a list of numbers") from error
    if array.ndim != 1 or not array.size:
        raise VectorError("A vector is a list of numbers, and not an empty one")
    if not np.isfinite(array).all():
        raise VectorError("A vector holds finite 32-bit numbers only: no NaN, no infinity, nothing beyond 3.4e38")
    return array.tobytes()


def decode(blob: object) -> Floats:
    """The numbers of a BLOB as float64; VectorError where it is no vector."""
    import numpy as np

    if not isinstance(blob, bytes):
        raise VectorError(f"A vector is a BLOB of 32-bit floats, not {_sql_type(blob)}")
    if not blob or len(blob) % 4:
        raise VectorError(f"A vector is a BLOB of 32-bit floats; {len(blob)} bytes are none")
    array = np.frombuffer(blob, dtype="<f4").astype(np.float64)
    if not np.isfinite(array).all():
        raise VectorError("This BLOB is no vector: it holds NaN or infinity")
    return array


def from_json(text: object) -> bytes:
    """A BLOB from a JSON array of numbers."""
    if not isinstance(text, str):
        raise VectorError(f"embed_encode() takes a JSON array as text, not {_sql_type(text)}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VectorError(f"embed_encode() takes a JSON array of numbers: {error}") from error
    if not isinstance(values, list) or any(type(value) not in (int, float) for value in values):
        raise VectorError("embed_encode() takes a JSON array of numbers")
    return encode(values)


def to_json(blob: object) -> str:
    """A JSON array whose numbers give the same BLOB again."""
    import numpy as np

    values = decode(blob).astype(np.float32)
    # Shortest decimal of each float32, not of the float64 it widens to: 0.1 and not 0.10000000149011612.
    return "[" + ", ".join(str(value) for value in values) + "]"


def dot(a: object, b: object) -> float:
    """The dot product, in float64."""
    left, right = pair(a, b)
    return float(left @ right)


def cosine(a: object, b: object) -> float | None:
    """The cosine similarity from -1 to 1, in float64; None where either vector is zero."""
    left, right = pair(a, b)
    norms = math.sqrt(float(left @ left)) * math.sqrt(float(right @ right))
    return max(-1.0, min(1.0, float(left @ right) / norms)) if norms else None


def l2(a: object, b: object) -> float:
    """The Euclidean distance, in float64."""
    left, right = pair(a, b)
    difference = left - right
    return math.sqrt(float(difference @ difference))


def normalized(blob: object) -> bytes | None:
    """The vector scaled to length 1; None for a zero vector."""
    array = decode(blob)
    norm = math.sqrt(float(array @ array))
    return encode(array / norm) if norm else None


def mean_direction(blobs: Sequence[bytes]) -> bytes:
    """The mean of the vectors, each scaled to length 1; of one vector itself, and zeros where none has a direction."""
    if len(blobs) == 1:
        return blobs[0]
    units = [decode(unit) for blob in blobs if (unit := normalized(blob)) is not None]
    return encode(sum(units[1:], units[0]) / len(units)) if units else blobs[0]


def is_alike(a: bytes, b: bytes) -> bool:
    """True where two vectors differ by no more than float32 and bfloat16 weights of one model make them differ."""
    return a == b or (cosine(a, b) or 0.0) >= ALIKE


def pair(a: object, b: object) -> tuple[Floats, Floats]:
    """Two vectors of one length, as float64."""
    left, right = decode(a), decode(b)
    if left.size != right.size:
        raise VectorError(f"Vectors of different lengths cannot be compared: {left.size} and {right.size} dimensions")
    return left, right


class Average:
    """The mean of vectors, one step at a time, in float64."""

    def __init__(self) -> None:
        self.total: Floats | None = None
        self.count = 0

    def step(self, blob: object) -> None:
        """Add one vector; NULL is left out, as avg() does."""
        if blob is None:
            return
        array = decode(blob)
        if self.total is not None and self.total.size != array.size:
            raise VectorError(
                f"embed_average() got vectors of different lengths: {self.total.size} and {array.size} dimensions"
            )
        self.total = array if self.total is None else self.total + array
        self.count += 1

    def finalize(self) -> bytes | None:
        """The mean vector, or None where there was none."""
        return None if self.total is None else encode(self.total / self.count)


def _sql_type(value: object) -> str:
    names = {bytes: "a BLOB", str: "text", int: "an integer", float: "a real number", type(None): "NULL"}
    return names.get(type(value), type(value).__name__)
