"""Keys of models: another place that may keep them, and how an error tells nothing of them."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote

SHORTEST = 4  # characters: what is shorter is nobody's key, and parts of words would be struck out for it
STRUCK = "***"


class KeyStore(Protocol):
    """A place beside the configuration and the environment that may hold a key; used by several threads."""

    @property
    def place(self) -> str | None:
        """Where a person would put the key, as it goes on after "put it"; None: nowhere at present."""

    def find(self) -> str | None:
        """The key, or None."""

    def forget(self) -> None:
        """The key was refused: look for it anew the next time."""


def shows_key(error: BaseException, keys: Iterable[str]) -> bool:
    """Whether a log of the error, which tells its causes too, would show one of the keys."""
    shown = "".join(traceback.format_exception(error))
    return any(form in shown for form in _forms(keys))


def without_keys(text: str, keys: Iterable[str]) -> str:
    """The text with the keys struck out, as they are and as they stand in addresses."""
    for form in _forms(keys):
        text = text.replace(form, STRUCK)
    return text


def _forms(keys: Iterable[str]) -> list[str]:
    """What to look for, the longest first: one may be the beginning of another."""
    long = [key for key in keys if len(key) >= SHORTEST]
    return sorted({*long, *(quote(key, safe="") for key in long)}, key=len, reverse=True)
