"""Which rows may be ranked: row keys that a person lists, or the keys of the rows that a query selects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import EmbedError
from ..identifiers import quote
from ..rows import from_json
from ..tables import SourceTable

MOST_BINARY = 30_000  # keys with binary in them, each a parameter of its own; SQLite takes 32,766


@dataclass(frozen=True)
class Among:
    """A query that selects the key columns of the rows, in order, and its named parameters."""

    sql: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def joined(self, source: SourceTable, table: str, select: str, *, stored: bool) -> str:
        """A query that selects from a table (alias `t`), by its stored or its source's key columns, the rows listed."""
        names = [f"k{number}" for number in range(len(source.keys))]
        columns = [key.stored if stored else key.name for key in source.keys]
        on = " and ".join(f"t.{quote(column)} = f.{name}" for column, name in zip(columns, names, strict=True))
        return (
            f"with f({', '.join(names)}) as ({self.sql}) select {select} from f cross join {quote(table)} as t on {on}"
        )


def listed(source: SourceTable, text: object) -> Among:
    """The rows whose keys a JSON array lists; keys that no row has are passed over."""
    keys = _parsed(source, text)
    if any(isinstance(part, dict) for key in keys for part in (key if isinstance(key, list) else [key])):
        return _bound(source, keys)
    several = len(source.keys) > 1
    values = [f"json_extract(j.value, '$[{number}]')" if several else "j.value" for number in range(len(source.keys))]
    return Among(f"select {', '.join(values)} from json_each(:embed_among) as j", {"embed_among": text})


def _parsed(source: SourceTable, text: object) -> list[object]:
    try:
        keys = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        keys = None
    if not isinstance(keys, list):
        raise EmbedError("`among` is a JSON array of row keys, as json_group_array() makes it")
    for key in keys:
        if isinstance(key, list) != (len(source.keys) > 1) or (isinstance(key, list) and len(key) != len(source.keys)):
            columns = ", ".join(column.stored for column in source.keys)
            shape = f"an array of {columns}" if len(source.keys) > 1 else f"a value of {columns}"
            raise EmbedError(f"Each row key in `among` is {shape}, not {json.dumps(key, ensure_ascii=False)[:100]}")
    return keys


def _bound(source: SourceTable, keys: list[object]) -> Among:
    """Keys with binary in them: JSON has none, so each is bound by itself."""
    parameters: dict[str, object] = {}
    rows = []
    for key in keys:
        names = []
        for part in key if isinstance(key, list) else [key]:
            names.append(f":embed_{len(parameters)}")
            parameters[names[-1][1:]] = from_json(part)
        rows.append(f"({', '.join(names)})")
    if len(parameters) > MOST_BINARY:
        raise EmbedError(f"`among` takes at most {MOST_BINARY:,} keys that hold binary")
    return Among(f"values {', '.join(rows)}", parameters)
