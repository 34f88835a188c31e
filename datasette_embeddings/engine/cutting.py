"""Cutting a text into chunks, at the borders of paragraphs, sentences and words, so that the model reads all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .contents import Content, Recipe, content_hash
from .errors import EmbedError

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter

Measure = Callable[[str], int]
Span = tuple[int, int]

LEAST_ROOM = 4  # a quarter of what a content may be is left for the chunk at least
# Characters cut at a time, for each token or character that a chunk may have: the splitter looks at all of its text
# again and again, so that a megabyte without a space would take it minutes.
WINDOW = 16


class Chunk(NamedTuple):
    """A part of one row's text that gets its own vector."""

    start: int  # characters in the joined columns
    end: int
    content: Content  # as the model gets it
    content_hash: bytes


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
        if not isinstance(whole, str) or not recipe.is_divisible or self.fits(whole):
            return undivided(recipe, values, whole)
        text = recipe.text(values)
        spans = self._spans(text, lambda chunk: recipe.dressed(values, chunk)) or [(0, 0)]
        return tuple(_chunk(start, end, recipe.dressed(values, text[start:end])) for start, end in spans)

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
        spans: list[Span] = []
        for start, end in _windows(text, _splitter(self.rough, room, overlap), room):
            if exact(text[start:end]) <= room:
                spans.append((start, end))
            else:
                finer = _windows(text[start:end], _splitter(exact, room, overlap), room)
                spans += [(start + first, start + last) for first, last in finer]
        return spans


def undivided(recipe: Recipe, values: Sequence[object], whole: Content) -> tuple[Chunk, ...]:
    """The row as one chunk."""
    length = len(recipe.text(values)) if recipe.pieces and recipe.is_divisible else len(whole)
    return (_chunk(0, length, whole),)


def _chunk(start: int, end: int, content: Content) -> Chunk:
    return Chunk(start, end, content, content_hash(content))


def _windows(text: str, splitter: TextSplitter, room: int) -> Iterator[Span]:
    """Where the chunks of a text of any length begin and end; what a window ends in is cut again with what follows."""
    start, width = 0, WINDOW * room
    while start < len(text):
        parts = splitter.chunk_indices(text[start : start + width])
        following = width
        if start + width < len(text) and len(parts) > 1:
            following = parts.pop()[0]
        yield from ((start + first, start + first + len(part)) for first, part in parts)
        start += following


def _splitter(measure: Measure | None, room: int, overlap: int) -> TextSplitter:
    from semantic_text_splitter import TextSplitter  # only those who cut something need it

    if measure is None:
        return TextSplitter(room, overlap)
    return TextSplitter.from_callback(measure, room, overlap)
