"""Cutting a row's text into chunks that the model reads whole, each dressed as the row is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from .contents import Content, Recipe, content_hash
from .errors import EmbedError
from .splitting import Measure, Span, Splitter

Place = tuple[int, int, bytes]  # of a chunk: start, end and content hash

LEAST_ROOM = 4  # a quarter of what a content may be is left for the chunk at least


class Chunk(NamedTuple):
    """A part of one row's text that gets its own vector."""

    start: int  # characters in the joined columns
    end: int
    content: Content  # as the model gets it
    content_hash: bytes

    @property
    def place(self) -> Place:
        """Where it is, and its hash."""
        return self.start, self.end, self.content_hash


@dataclass(frozen=True)
class Cutter:
    """Cuts what is longer than a model reads, or than somebody wished."""

    measure: Measure  # of a content: its tokens or characters
    limit: int  # the most that a content may measure
    overlap: int  # the most that a chunk may repeat of the one before it
    short: int  # no content of so many ASCII characters measures more than the limit
    rough: Measure | None = None  # of a chunk by itself: nearly the same, and far quicker; None: its characters

    def chunks(self, recipe: Recipe, values: Sequence[object], whole: Content) -> tuple[Chunk, ...]:
        """The chunks of a row whose content undivided is `whole`; EmbedError where its template leaves them no room."""
        if self.leaves_whole(recipe, whole):
            return undivided(recipe, values, whole)
        text = recipe.text(values)
        spans = self._spans(text, lambda chunk: recipe.dressed(values, chunk)) or [(0, 0)]
        return tuple(_chunk(start, end, recipe.dressed(values, text[start:end])) for start, end in spans)

    def leaves_whole(self, recipe: Recipe, whole: Content) -> bool:
        """True where a row of this content is one chunk."""
        return not isinstance(whole, str) or not recipe.is_divisible or self.fits(whole)

    def fits(self, content: str) -> bool:
        """True where the content may go to the model as it is."""
        return (len(content) <= self.short and content.isascii()) or self.measure(content) <= self.limit

    def _spans(self, text: str, dress: Callable[[str], str]) -> list[Span]:
        taken = self.measure(dress(""))
        room = self.limit - taken
        if room < self.limit // LEAST_ROOM:
            raise EmbedError(
                f"The template takes {taken:,} of the {self.limit:,} tokens or characters that a content may have, "
                "which leaves too little room for the row's text"
            )

        def exact(chunk: str) -> int:
            return self.measure(dress(chunk)) - taken

        overlap = min(self.overlap, room // 2)
        finely = Splitter(room, overlap, exact)
        spans: list[Span] = []
        for start, end in Splitter(room, overlap, self.rough).spans(text):
            if exact(text[start:end]) <= room:
                spans.append((start, end))
            else:
                spans += [(start + first, start + last) for first, last in finely.spans(text[start:end])]
        # The overlap may reach back to where the chunk before began, which is then all in the one after it.
        return [span for span, after in zip_longest(spans, spans[1:]) if after is None or after[0] > span[0]]


def undivided(
    recipe: Recipe, values: Sequence[object], whole: Content, whole_hash: bytes | None = None
) -> tuple[Chunk, ...]:
    """The row as one chunk; whoever has its hash saves making it again."""
    length = len(recipe.text(values)) if recipe.pieces and recipe.is_divisible else len(whole)
    return (Chunk(0, length, whole, whole_hash or content_hash(whole)),)


def _chunk(start: int, end: int, content: Content) -> Chunk:
    return Chunk(start, end, content, content_hash(content))
