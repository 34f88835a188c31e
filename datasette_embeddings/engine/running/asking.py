"""Asking the model for the vectors of a batch: what passes is waited for, what fails is halved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..contents import Content
from ..errors import ModelError, ModelResultError, ModelUnavailable
from ..fingerprint import fingerprint
from ..models import EmbeddingModel, embed_contents, is_ready, load
from ..saving import Outcome
from .pace import Pace
from .waiting import Patience

if TYPE_CHECKING:
    from ..results import Matrix


class Asking:
    """One model, asked for the vectors of one collection."""

    def __init__(
        self,
        model: EmbeddingModel,
        dimensions: int | None,
        pace: Pace,
        patience: Patience,
        recognise: Callable[[bytes | None], None],
    ) -> None:
        self.model, self.dimensions = model, dimensions  # those of the vectors that the collection holds
        self._pace, self._patience = pace, patience
        self._recognise: Callable[[bytes | None], None] | None = recognise  # raises where it is another model by now

    def outcomes(self, contents: Sequence[Content]) -> Iterator[Outcome]:
        """One outcome for each content, in order: a batch that fails is halved until the content at fault is alone.

        What ends this early (ModelUnavailable, and what Patience.call() raises) leaves the outcomes before it good.
        """
        if not contents:
            return
        try:
            vectors = self._patience.call(lambda: self._vectors(contents))
        except ModelUnavailable:
            raise
        except ModelError as error:
            if len(contents) > 1:
                middle = len(contents) // 2
                yield from self.outcomes(contents[:middle])
                yield from self.outcomes(contents[middle:])
                return
            self._pace.failed(error)
            yield error
        else:
            self._pace.succeeded()
            yield from (row.astype("<f4", copy=False).tobytes() for row in vectors)

    def of_one_length(self, outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes with a failure in place of each vector that cannot be compared with the others.

        ModelUnavailable where the model now gives vectors of another length throughout.
        """
        lengths = Counter(len(outcome) // 4 for outcome in outcomes if isinstance(outcome, bytes))
        if not lengths:
            return outcomes
        (usual, _), *_ = lengths.most_common(1)
        name = f"The model {self.model.model_id}"
        if self.dimensions is not None and self.dimensions not in lengths:
            raise ModelUnavailable(
                f"{name} now gives vectors of {usual} dimensions, and this collection holds vectors of "
                f"{self.dimensions}: they cannot be compared. Was the model changed?"
            )
        self.dimensions = self.dimensions or usual
        odd = f"{name} returned a vector of {{}} dimensions where the others have {self.dimensions}"
        return [
            ModelResultError(odd.format(len(outcome) // 4))
            if isinstance(outcome, bytes) and len(outcome) != 4 * self.dimensions
            else outcome
            for outcome in outcomes
        ]

    def _vectors(self, contents: Sequence[Content]) -> Matrix:
        if not is_ready(self.model):  # only now: where nothing has changed, no model is needed
            load(self.model)
        if self._recognise is not None:
            self._recognise(fingerprint(self.model))
            self._recognise = None
            self._pace.start()
        with self._pace.timed(len(contents)):
            return embed_contents(self.model, contents)
