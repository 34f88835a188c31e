"""The pages of docs/, and what stands in their fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def text(name):
    """A page of docs/."""
    return (ROOT / "docs" / name).read_text()


def blocks(name, *kinds):
    """The fenced blocks of these kinds in a page, as (kind, text)."""
    return [(kind, body) for _, kind, body in FENCE.findall(text(name)) if kind in kinds]


def bodies(name, kind):
    """The texts of its blocks of one kind."""
    return [body for _, body in blocks(name, kind)]
