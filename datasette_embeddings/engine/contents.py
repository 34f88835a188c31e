"""What a row's content is: columns joined, a template filled in, or one column's bytes; and its hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import BadTemplate, UnknownColumn

Content = str | bytes
PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
CHUNK = "chunk"  # in a template: the joined columns, or the part of them that one vector stands for


def content_hash(content: Content) -> bytes:
    """16 bytes of BLAKE2b; a text and the same bytes as binary content differ."""
    if isinstance(content, str):
        # A lone surrogate is hashed as itself; SQLite's own texts never hold one.
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16, person=b"text").digest()
    return hashlib.blake2b(content, digest_size=16, person=b"binary").digest()


@dataclass(frozen=True)
class Recipe:
    """How one row's values become its content; `reads` are the columns to select, in this order."""

    reads: tuple[str, ...]
    joined: int  # the first so many of `reads` are joined by newlines
    pieces: tuple[str | int | None, ...] = ()  # of a template: literal text, an index into reads, None for the chunk
    binary: bool = False

    def content(self, values: Sequence[object]) -> Content | None:
        """The content of a row that has these values (text, bytes or None), or None where it has nothing to embed."""
        if self.binary:
            value = values[0]
            blank = not value.strip() if isinstance(value, str) else not value
            return value if isinstance(value, bytes | str) and not blank else None
        if not self.pieces:
            text = self.text(values)
            return text if text.strip() else None
        if all(value is None or not str(value).strip() for value in values):
            return None
        return self.dressed(values, self.text(values))

    @property
    def is_divisible(self) -> bool:
        """Whether a part of the joined columns can stand in a content of its own."""
        return not self.binary and (not self.pieces or None in self.pieces)

    def text(self, values: Sequence[object]) -> str:
        """The joined columns: what is cut into chunks."""
        return "\n".join([str(value) for value in values[: self.joined] if value is not None])

    def dressed(self, values: Sequence[object], chunk: str) -> str:
        """The content that a chunk of this row's text becomes."""
        if not self.pieces:
            return chunk
        return "".join([chunk if piece is None else _filled(piece, values) for piece in self.pieces])


def make_recipe(
    table: str, known: Sequence[str], columns: Sequence[str], template: str | None = None, *, binary: bool = False
) -> Recipe:
    """Check the columns and the template against the columns that the table has."""
    joined = tuple(dict.fromkeys(find_column(table, known, column) for column in columns))
    if template is None:
        if not joined:
            raise UnknownColumn(f"Choose at least one column of {table} to embed")
        return Recipe(joined, len(joined), binary=binary)
    reads = list(joined)
    pieces: list[str | int | None] = []
    for index, part in enumerate(PLACEHOLDER.split(template)):
        if index % 2 == 0:
            pieces += [part] if part else []
        elif part == CHUNK and joined:
            pieces.append(None)
        else:
            pieces.append(_read(reads, _template_column(table, known, part)))
    if all(isinstance(piece, str) for piece in pieces):
        raise BadTemplate(f"The template names no column of {table}; write a column as {{{{ {known[0]} }}}}")
    return Recipe(tuple(reads), len(joined), tuple(pieces))


def _filled(piece: str | int, values: Sequence[object]) -> str:
    if isinstance(piece, str):
        return piece
    return "" if values[piece] is None else str(values[piece])


def _read(reads: list[str], column: str) -> int:
    if column not in reads:
        reads.append(column)
    return reads.index(column)


def _template_column(table: str, known: Sequence[str], name: str) -> str:
    if name == CHUNK:
        hint = " (a column of that name is {{ row.chunk }})" if CHUNK in known else ""
        raise BadTemplate(f"{{{{ chunk }}}} in a template stands for the joined columns: name the columns too{hint}")
    for candidate in (name, name.removeprefix("row.")):
        try:
            return find_column(table, known, candidate)
        except UnknownColumn:
            continue
    raise BadTemplate(f"The template names the column {name!r}, which {table} does not have")


def find_column(table: str, known: Sequence[str], name: str) -> str:
    """The column as the table spells it: SQLite's names ignore case."""
    if name in known:
        return name
    for column in known:
        if column.lower() == name.lower():
            return column
    raise UnknownColumn(f"{table} has no column {name!r}; it has {', '.join(known)}")
