"""What a job may hand to the model, and what it may spend there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import EmbedError
from ..models import EmbeddingModel
from ..prices import price_of

Given = Mapping[str, object]  # max_cost and max_rows, each as far as somebody said it; None lifts that limit
NOTHING: Given = {}


@dataclass(frozen=True)
class Limits:
    """A job's limits; None is no limit."""

    max_cost: float | None = None  # US dollars
    max_rows: int | None = None  # contents: a row has one, or one for each chunk

    def changed(self, given: Given) -> Limits:
        """What was given in place of these limits, as far as it was; EmbedError where it is none."""
        return Limits(_cost(given.get("max_cost", self.max_cost)), _rows(given.get("max_rows", self.max_rows)))


def check_affordable(given: Given, model: EmbeddingModel, *, binary: bool = False) -> None:
    """EmbedError where money is to be limited and nobody knows what there is to pay."""
    if given.get("max_cost") is None or price_of(model, binary=binary) is not None:
        return
    if binary:
        raise EmbedError("Binary has no tokens, so max_cost cannot be kept: give max_rows")
    raise EmbedError(
        f"The model {model.model_id} names no price, so max_cost cannot be kept: give max_rows, or the model's price "
        'under "prices" in the configuration of the plugin datasette-embed'
    )


def _cost(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise EmbedError("max_cost must be a number of US dollars above 0, or null for no limit")
    return float(value)


def _rows(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EmbedError("max_rows must be a whole number above 0, or null for no limit")
    return value
