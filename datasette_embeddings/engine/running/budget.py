"""What a job may still hand to the model."""

from __future__ import annotations

from collections.abc import Sequence

from ..contents import Content
from ..errors import EmbedError
from ..jobs import Job
from ..models import EmbeddingModel
from ..prices import TokenCounter, cost_of, dollars, price_of

GO_ON = "With another limit, or with none, the job goes on where it stopped"


class LimitReached(EmbedError):
    """A limit of the job keeps the next content from the model: the job pauses."""


class Budget:
    """Counts what one job hands to the model, against its limits."""

    def __init__(self, job: Job, model: EmbeddingModel, *, binary: bool = False) -> None:
        self._limits, self._contents, self._tokens = job.limits, job.contents, job.tokens
        self._planned = job.contents
        self._price = price_of(model, binary=binary)
        self._count = TokenCounter(model)
        if self._limits.max_cost is not None and self._price is None:
            raise LimitReached(
                f"The model {model.model_id} names no price any more, so the limit of "
                f"{dollars(self._limits.max_cost)} cannot be kept. {GO_ON}"
            )

    def plan(self, target: int) -> int:
        """How many of `target` contents to read next: no more than may be embedded, so that they are the table's next.

        Once all that may be embedded are planned it is `target`: equal contents may have left some room.
        """
        if self._limits.max_rows is None:
            return target
        return min(target, max(0, self._limits.max_rows - self._planned)) or target

    def planned(self, contents: int) -> None:
        """So many contents were read, and wait for their turn."""
        self._planned += contents

    def fit(self, contents: Sequence[Content]) -> list[int]:
        """The tokens of the contents that may be handed over, from the first on; where tokens have no price, zeros."""
        if self._limits.max_rows is not None:
            contents = contents[: max(0, self._limits.max_rows - self._contents)]
        if self._price is None:
            return [0] * len(contents)
        fitting: list[int] = []
        total = self._tokens
        for content in contents:
            tokens = self._count(content)
            total += tokens
            if self._limits.max_cost is not None and cost_of(total, self._price) > self._limits.max_cost:
                break
            fitting.append(tokens)
        return fitting

    def spend(self, tokens: Sequence[int]) -> int:
        """Contents of these tokens have been handed over; how many tokens in all."""
        spent = sum(tokens)
        self._contents += len(tokens)
        self._tokens += spent
        return spent

    def reached(self) -> LimitReached:
        """The limit that keeps the next content from the model, and what was spent."""
        rows, cost = self._limits.max_rows, self._limits.max_cost
        if rows is not None and self._contents >= rows:
            limit = f"The limit of {rows:,} {'row' if rows == 1 else 'rows'} is reached"
        else:
            limit = f"The next content would exceed the limit of {dollars(cost or 0)}"
        given = f"the model was given {self._contents:,} {'content' if self._contents == 1 else 'contents'}"
        if self._price is not None:
            given += f" with {self._tokens:,} tokens for {dollars(cost_of(self._tokens, self._price))}"
        return LimitReached(f"{limit}: {given}. {GO_ON}")
