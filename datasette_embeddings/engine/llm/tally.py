"""What became of the rows that were moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

Report = Callable[[int, int], None]  # told how many rows are done, and of how many

EMPTY = "nothing to embed"


@dataclass
class Tally:
    """Rows and vectors, counted."""

    walked: int = 0  # rows of the table
    moved: int = 0  # vectors
    there: int = 0  # vectors that were where they were to go
    left_out: Counter[str] = field(default_factory=Counter)  # by the reason: what they have, or have not

    def leave_out(self, reason: str, number: int = 1) -> None:
        """Count what is not moved."""
        if number:
            self.left_out[reason] += number
