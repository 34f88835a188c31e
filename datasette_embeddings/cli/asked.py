"""What somebody searches for and how, checked as far as no database is needed for it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..engine.contents import Content
from ..engine.errors import EmbedError
from ..engine.models import EmbeddingModel
from ..searching import check_query
from .content import read_bytes

MEANING, WORDS, BOTH = MODES = ("meaning", "words", "both")


@dataclass(frozen=True)
class Asked:
    """One query, which is `data` or `row`, and how it is answered."""

    collection: str
    data: bytes | None  # a text in UTF-8, or binary
    row: tuple[str, ...]  # a row key as it was typed
    mode: str
    limit: int
    where: str | None  # a condition on the source table
    columns: tuple[str, ...]
    min_score: float | None

    @property
    def text(self) -> str:
        """The query where it must be a text."""
        try:
            return check_query((self.data or b"").decode())
        except UnicodeDecodeError as error:
            raise EmbedError(f"The query is not valid UTF-8 (byte {error.start + 1}), so it is no text") from error

    def content(self, model: EmbeddingModel) -> Content:
        """What the model is asked: a text, or the bytes where they are none or the model takes no text."""
        if self.data and (self._is_binary or not model.supports_text):
            return self.data
        return self.text

    @property
    def _is_binary(self) -> bool:
        try:
            (self.data or b"").decode()
        except UnicodeDecodeError:
            return True
        return False


def check(asked: Asked) -> Asked:
    """The same, or an error that says what cannot be answered."""
    if asked.mode != MEANING:
        if asked.row:
            raise EmbedError(f"The mode {asked.mode!r} looks for words, so it takes a text and no row")
        _ = asked.text  # it is one
    if asked.min_score is not None:
        if asked.mode == WORDS:
            raise EmbedError("The mode 'words' gives no scores, so --min-score would leave nothing")
        if not -1 <= asked.min_score <= 1:
            raise EmbedError(f"--min-score is a number from -1 to 1, not {asked.min_score}")
    return asked


def data_of(text: str | None, row: tuple[str, ...], path: str | None) -> bytes | None:
    """The query's bytes; None where it is a row. EmbedError unless exactly one of them was given."""
    given = [name for name, value in (("a text", text), ("--row", row or None), ("-i", path)) if value is not None]
    if not given:
        raise EmbedError("Say what to search for: a text, a row (--row KEY) or a file (-i FILE)")
    if len(given) > 1:
        raise EmbedError(f"Search by {given[0]} or by {given[1]}, not by both at once")
    if text is not None:
        return os.fsencode(text)
    return read_bytes(path) if path is not None else None
