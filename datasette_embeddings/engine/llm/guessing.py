"""Which columns a collection of LLM's was made of: those whose contents have the hashes that LLM kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ..contents import make_recipe
from ..errors import EmbedError
from ..identifiers import quote
from ..tables import SourceTable
from .ids import id_of, md5_of
from .tables import LLMCollection

SAMPLE = 50  # rows compared
READ = 5000  # rows in which they are looked for
NEIGHBOURS = 8  # columns that may have been put together


@dataclass(frozen=True)
class Guess:
    """What a collection is made of, as create_collection() takes it."""

    columns: tuple[str, ...]
    template: str | None = None


def guess(
    conn: sqlite3.Connection, source: SourceTable, file: sqlite3.Connection, theirs: LLMCollection
) -> Guess | None:
    """Neighbouring columns joined by newlines, as ours are, or by blanks, as `llm embed-multi --sql` does; or None."""
    sample = list(islice(_sample(conn, source, file, theirs), SAMPLE))
    agreeing, best = 0, None
    for candidate in _candidates(source.names):
        agree = _agreement(source, candidate, sample)
        if agree > agreeing:  # not >=: the shorter come first
            agreeing, best = agree, candidate
    return best


def _candidates(names: tuple[str, ...]) -> Iterator[Guess]:
    for length in range(1, min(len(names), NEIGHBOURS) + 1):
        for start in range(len(names) - length + 1):
            columns = names[start : start + length]
            yield Guess(columns)
            if length > 1:
                yield Guess((), " ".join(f"{{{{ {name} }}}}" for name in columns))


def _agreement(source: SourceTable, candidate: Guess, sample: Sequence[tuple[Mapping[str, str | None], bytes]]) -> int:
    try:
        recipe = make_recipe(source.name, source.names, candidate.columns, candidate.template)
    except EmbedError:  # a name that cannot stand in a template
        return 0
    contents = ((recipe.content([values[name] for name in recipe.reads]), md5) for values, md5 in sample)
    return sum(content is not None and md5_of(content) == md5 for content, md5 in contents)


def _sample(
    conn: sqlite3.Connection, source: SourceTable, file: sqlite3.Connection, theirs: LLMCollection
) -> Iterator[tuple[dict[str, str | None], bytes]]:
    """Rows that LLM has a vector of: their values as text by column, and the hash that LLM kept."""
    keys = [quote(key.name) for key in source.keys]
    texts = [f"cast({quote(name)} as text)" for name in source.names]
    for row in conn.execute(f"select {', '.join([*keys, *texts])} from {quote(source.name)} limit {READ}").fetchall():
        found = file.execute(
            "select content_hash from embeddings where collection_id = ? and id = ?",
            (theirs.id, id_of(row[: len(keys)])),
        ).fetchone()
        if found is not None:
            yield dict(zip(source.names, row[len(keys) :], strict=True)), found[0]
