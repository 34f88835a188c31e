"""Quoting of table and column names, the one way that a person's names enter SQL."""

from __future__ import annotations


def quote(name: str) -> str:
    """An SQL identifier, whatever the name holds."""
    return '"' + name.replace('"', '""') + '"'
