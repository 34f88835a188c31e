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
    if not all(is_json(part) for key in keys for part in key):
        return _packed(source, keys)
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


def is_json(part: object) -> bool:
    """False for what JSON has no form for, or that SQLite does not read back: binary, and texts with a NUL."""
    return not isinstance(part, bytes) and part not in (math.inf, -math.inf) and "\0" not in str(part)


def _packed(source: SourceTable, keys: list[Key]) -> Among:
    """Such keys: the bytes of all of them in one parameter, and in the JSON where each begins and ends."""
    binary = bytearray()
    rows = [f"[{', '.join([_written(part, binary) for part in key])}]" for key in keys]
    values = ", ".join(_read(f"$[{number}]") for number in range(len(source.keys)))
    parameters = {"embed_among": f"[{', '.join(rows)}]", "embed_binary": bytes(binary)}
    return Among(f"select {values} from json_each(:embed_among) as j", parameters)


def _written(part: object, binary: bytearray) -> str:
    """A value as JSON: itself, or [where it begins in the bytes, how many they are, 1 for text]."""
    if isinstance(part, float) and math.isinf(part):
        return "1e999" if part > 0 else "-1e999"
    if is_json(part):
        return json.dumps(part)
    data = part if isinstance(part, bytes) else str(part).encode()
    binary += data
    return json.dumps([len(binary) - len(data) + 1, len(data), int(isinstance(part, str))])


def _read(path: str) -> str:
    """SQL for the value that _written() wrote at this path."""
    part = f"substr(:embed_binary, json_extract(j.value, '{path}[0]'), json_extract(j.value, '{path}[1]'))"
    cast = f"case json_extract(j.value, '{path}[2]') when 1 then cast({part} as text) else {part} end"
    return f"case json_type(j.value, '{path}') when 'array' then {cast} else json_extract(j.value, '{path}') end"
