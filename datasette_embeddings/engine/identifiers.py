"""Names of tables and columns: quoted, the one way that a person's names enter SQL, and new ones beside them."""

from __future__ import annotations

from collections.abc import Collection


def quote(name: str) -> str:
    """An SQL identifier, whatever the name holds."""
    return '"' + name.replace('"', '""') + '"'


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, with underscores before it as long as one of those taken is the same but for case."""
    while name.lower() in {other.lower() for other in taken}:
        name = f"_{name}"
    return name
