"""Rows as LLM knows them: by the text of their key, and by the MD5 of their content."""

from __future__ import annotations

import hashlib

from ..contents import Content
from ..rows import Key, key_json


def id_of(key: Key) -> str:
    """A text or a number by itself; keys of several columns, and others, as the JSON array that matches have."""
    (value, *others) = key
    return str(value) if not others and isinstance(value, str | int | float) else key_json(key)


def md5_of(content: Content) -> bytes:
    """What LLM keeps as content_hash."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return hashlib.md5(data, usedforsecurity=False).digest()
