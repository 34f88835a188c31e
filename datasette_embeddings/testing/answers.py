"""What a model answers by itself, and how far two vectors are from each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..engine.models import EmbeddingModel, load


def answered(model: EmbeddingModel, contents: Sequence[str | bytes]) -> list[list[float]]:
    """What the model itself answers, unchecked, in calls as large as it takes."""
    load(model)
    step = model.batch_size or len(contents)
    parts = [contents[start : start + step] for start in range(0, len(contents), step)]
    return [[float(number) for number in vector] for part in parts for vector in model.embed_batch(list(part))]


def cosine_distance(a: Sequence[float], b: Sequence[float]) -> float:
    """0.0 for vectors of one direction, 1.0 at right angles and where just one of them is all zeros."""
    lengths = math.hypot(*a) * math.hypot(*b)
    if lengths == 0:
        return float(any(a) or any(b))
    return 1 - sum(x * y for x, y in zip(a, b, strict=False)) / lengths
