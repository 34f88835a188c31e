"""Which rows may be ranked: row keys that a person lists, or the keys of the rows that a query selects."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import EmbedError
from ..identifiers import quote
from ..tables import SourceTable
from .matches import Key, parse_json, parse_part

MOST_BOUND = 30_000  # parts of keys that JSON cannot hold, each a parameter of its own; SQLite takes 32,766


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
        # Not plainly `f`: the query may read a table of that name, and would then read itself.
        return (
            f"with _embed_among({', '.join(names)}) as ({self.sql})"
            f" select {select} from _embed_among as f cross join {quote(table)} as t on {on}"
        )


def listed(source: SourceTable, text: object) -> Among:
    """The rows whose keys a JSON array lists; keys that no row has are passed over."""
    given = parse_json(text)
    if not isinstance(given, list):
        raise EmbedError("`among` is a JSON array of row keys, as json_group_array() makes it")
    several = len(source.keys) > 1
    keys = [_key(source, key, several) for key in given]
    if any(_must_be_bound(part) for key in keys for part in key):
        return _bound(keys)
    values = [f"json_extract(j.value, '$[{number}]')" if several else "j.value" for number in range(len(source.keys))]
    return Among(f"select {', '.join(values)} from json_each(:embed_among) as j", {"embed_among": text})


def _key(source: SourceTable, given: object, several: bool) -> Key:
    """One row key as Python's values, or an error that shows it."""
    try:
        if isinstance(given, list) != several or (isinstance(given, list) and len(given) != len(source.keys)):
            raise ValueError
        return tuple(parse_part(part) for part in (given if isinstance(given, list) else [given]))
    except ValueError:
        columns = ", ".join(column.stored for column in source.keys)
        shape = f"an array of {columns}" if several else f"a value of {columns}"
        raise EmbedError(
            f"Each row key in `among` is {shape}, not {json.dumps(given, ensure_ascii=False)[:100]}"
        ) from None


def _must_be_bound(part: object) -> bool:
    """JSON has no binary and no infinity, and SQLite cuts JSON's texts at a NUL."""
    return isinstance(part, bytes) or part in (math.inf, -math.inf) or (isinstance(part, str) and "\0" in part)


def _bound(keys: list[Key]) -> Among:
    parameters: dict[str, object] = {}
    rows = []
    for key in keys:
        names = []
        for part in key:
            names.append(f":embed_{len(parameters)}")
            parameters[names[-1][1:]] = part
        rows.append(f"({', '.join(names)})")
    if len(parameters) > MOST_BOUND:
        raise EmbedError(f"`among` takes at most {MOST_BOUND:,} values that JSON has no form for, such as binary")
    return Among(f"values {', '.join(rows)}", parameters)
