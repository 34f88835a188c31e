"""Where a text is cut: at the borders of paragraphs, sentences and words, a window at a time, and with no crumbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Measure = Callable[[str], int]
Span = tuple[int, int]  # of characters: the first, and the one after the last

# Characters cut at a time, for each token or character that a chunk may have: the splitter looks at all of its text
# again and again, so that a megabyte without a space would take it minutes.
WINDOW = 16
CRUMB = 4  # what is smaller than a quarter of a chunk, such as a heading, goes with the text below it
_UNBROKEN = str.maketrans("\r\n", "  ")


class Splitter:
    """Cuts texts into parts that measure no more than `room`, with up to `overlap` of it in common."""

    def __init__(self, room: int, overlap: int, measure: Measure | None = None) -> None:
        from semantic_text_splitter import TextSplitter  # only those who cut something need it

        self.room, self._measure = room, measure or len
        callback = TextSplitter.from_callback
        self._splitter = callback(measure, room, overlap) if measure else TextSplitter(room, overlap)

    def spans(self, text: str) -> Iterator[Span]:
        """The parts of a text of any length, without the white space around them."""
        start, width = 0, WINDOW * self.room
        while start < len(text):
            window = text[start : start + width]
            parts, following = self._parts(window, is_last=start + width >= len(text))
            yield from ((start + first, start + last) for first, last in parts)
            start += following

    def _parts(self, window: str, *, is_last: bool) -> tuple[list[Span], int]:
        """The first parts of a window, and where the next window begins: there, what is cut depends on what follows."""
        parts = self._cut(window)
        crumb = next((n for n, part in enumerate(parts[:-1]) if self._is_crumb(window[slice(*part)])), None)
        if crumb is not None:
            at = parts[crumb][0]
            # Without line breaks, to the splitter the crumb and what follows are one paragraph.
            joined = [(at + first, at + last) for first, last in self._cut(window[at:].translate(_UNBROKEN))]
            parts, is_last = [*parts[:crumb], *joined[:2]], is_last and len(joined) == 1
        return (parts, len(window)) if is_last or len(parts) < 2 else (parts[:-1], parts[-1][0])

    def _cut(self, text: str) -> list[Span]:
        return [(start, start + len(part)) for start, part in self._splitter.chunk_indices(text)]

    def _is_crumb(self, part: str) -> bool:
        return self._measure(part) * CRUMB < self.room
