"""How the long texts of a collection are cut into chunks: what a person may wish, and how it is stored."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .errors import EmbedError

TOKENS, CHARACTERS = UNITS = ("tokens", "characters")
SMALLEST, LARGEST = 16, 10_000_000  # sizes that make sense, in either unit
_MEMBERS = ("unit", "size", "overlap")


@dataclass(frozen=True)
class Chunking:
    """Texts whose content would have more than `size` are cut; without a size, those longer than the model reads."""

    unit: str = TOKENS
    size: int | None = None  # of a whole content: the chunk, what the template adds, and the model's special tokens
    overlap: int | None = None  # the most that a chunk repeats of the one before it; None: a tenth of the size

    def __str__(self) -> str:
        if self.size is None:
            return "cut where they are longer than the model reads"
        overlap = "" if self.overlap is None else f", {self.overlap:,} of them in common"
        return f"cut into chunks of up to {self.size:,} {self.unit}{overlap}"

    def as_json(self) -> dict[str, object]:
        """The members by name."""
        return asdict(self)


AUTOMATIC = Chunking()  # what a new collection gets where nobody said anything


def stored_chunking(chunking: Chunking | None) -> str | None:
    """The column `chunking` of a collection: JSON, or None where nothing is cut."""
    return None if chunking is None else json.dumps(chunking.as_json())


def chunking_of(given: object) -> Chunking | None:
    """What JSON says: an object with `size`, `unit` and `overlap`; true for the default; false or null for none."""
    if given is None or isinstance(given, bool):
        return AUTOMATIC if given else None
    if not isinstance(given, dict):
        raise EmbedError(f"The chunking is an object with size, unit and overlap, or false, not {_shown(given)}")
    if unknown := next((name for name in given if name not in _MEMBERS), None):
        raise EmbedError(
            f"The chunking has a member {unknown!r}, which means nothing here; it may have size, unit and overlap"
        )
    unit = given.get("unit")
    if unit is not None and unit not in UNITS:
        raise EmbedError(f"The unit of chunks is tokens or characters, not {_shown(unit)}")
    size = _number("size", given.get("size"), SMALLEST, LARGEST)
    if size is None and unit == CHARACTERS:
        raise EmbedError("How many characters a chunk has must be said: give its size too")
    most = (size or LARGEST) // 2
    return Chunking(unit or TOKENS, size, _number("overlap", given.get("overlap"), 0, most))


def _number(name: str, given: object, least: int, most: int) -> int | None:
    if given is None:
        return None
    if type(given) is not int or not least <= given <= most:
        raise EmbedError(f"The {name} of chunks is a whole number from {least} to {most:,}, not {_shown(given)}")
    return given


def _shown(given: object) -> str:
    return json.dumps(given, ensure_ascii=False, default=str)[:50]
