"""What a model returned, checked: as many vectors as contents, all of one length, every number finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ModelResultError, describe

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def checked(name: str, rows: Any, count: int, declared: int | None) -> Matrix:
    """What a model returned, as a (count, dimensions) float32 array, or ModelResultError saying what is wrong.

    The message begins with `name`; `declared` is the length that the model said its vectors have.
    """
    import numpy as np

    if getattr(rows, "ndim", 2) != 2:
        raise ModelResultError(f"{name} returned an array of {rows.ndim} dimensions where 2 were expected")
    if len(rows) != count:
        raise ModelResultError(f"{name} returned {len(rows)} vectors for {count} contents")
    lengths = {rows.shape[1]} if hasattr(rows, "shape") else {_length(name, row) for row in rows}
    if len(lengths) > 1:
        raise ModelResultError(f"{name} returned vectors of different lengths: {sorted(lengths)}")
    (length,) = lengths or {declared or 0}
    if length == 0:
        raise ModelResultError(f"{name} returned empty vectors")
    if declared is not None and length != declared:
        raise ModelResultError(f"{name} returned vectors of length {length}; it declares {declared}")
    try:
        with np.errstate(over="ignore"):  # what overflows is not finite, and is refused below
            # A copy: a model may return the same buffer from every call.
            vectors = np.array(rows, dtype=np.float32, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelResultError(f"{name} returned something other than numbers: {describe(error)}") from error
    if vectors.ndim != 2:
        raise ModelResultError(f"{name} returned an array of {vectors.ndim} dimensions where 2 were expected")
    if not np.isfinite(vectors).all():
        bad = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ModelResultError(f"{name} returned a vector with NaN or infinity (content {bad + 1} of {count})")
    return vectors


def _length(name: str, row: Any) -> int:
    try:
        return len(row)
    except TypeError:
        raise ModelResultError(f"{name} returned {type(row).__name__} where a vector was expected") from None
