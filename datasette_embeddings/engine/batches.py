"""Stretches of rows, sorted into unchanged, empty, known, failing and to be embedded; and batches for the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .contents import Content, Recipe
from .cutting import Chunk, Cutter, Place, undivided
from .errors import EmbedError, ModelError, ModelUnavailable
from .rows import Key, Position, Row
from .vector_table import StoredVector

STRETCH_BYTES = 64_000_000  # of contents held at a time
STRETCH_TEXT = 500_000  # characters of LONG texts, which it takes seconds to cut, and which become many contents
LONG = 1_000  # characters; shorter texts are seldom cut


@dataclass(frozen=True)
class Failure:
    """A row that could not be embedded, and why."""

    row: Row
    message: str
    may_pass: bool = False  # another attempt may do better, though the row is the same


class Alike(NamedTuple):
    """Rows of the same content, and its chunks."""

    places: tuple[Place, ...]  # of the chunks: plain tuples, which cost Python's garbage collector nothing
    known: dict[bytes, bytes]  # vectors of chunks that were embedded before, by content hash
    unknown: dict[bytes, Content]  # the contents that need a vector, by hash
    rows: list[Row]

    @property
    def length(self) -> int:
        """Characters or bytes of the longest content that needs a vector."""
        return max(map(len, self.unknown.values()))

    def stored(self, vectors: Mapping[bytes, bytes]) -> Iterator[StoredVector]:
        """What is written of every row; the vectors by content hash are those that were unknown."""
        for row in self.rows:
            for number, place in enumerate(self.places):
                content_hash = place[-1]
                vector = vectors[content_hash] if content_hash in self.unknown else self.known[content_hash]
                yield stored(row, place, vector, number)


@dataclass
class Stretch:
    """Rows read together, so that their contents can be sorted by length together: the next step of the walk."""

    after: Position | None = None  # where it begins
    position: Position | None = None  # of the last row read; of listed rows, the mark of their keys
    walked: int = 0
    unchanged: int = 0
    empty: int = 0
    listed: list[Key] = field(default_factory=list)  # keys met, where the walk is over listed ones
    stale: list[Key] = field(default_factory=list)  # keys whose vector must go
    postponed: list[str] = field(default_factory=list)  # rows that failed before and are not due, by key_json(position)
    uncut: list[Row] = field(default_factory=list)  # rows whose text may be too long
    cut: list[tuple[Row, tuple[Chunk, ...]]] = field(default_factory=list)  # the same, after cut_all()
    known: list[Alike] = field(default_factory=list)  # rows whose chunks were all embedded before
    failures: list[Failure] = field(default_factory=list)
    waiting: dict[tuple[Place, ...], Alike] = field(default_factory=dict)  # rows for the model, by their chunks
    contents: set[bytes] = field(default_factory=set)  # hashes of what the model gets
    size: int = 0  # characters and bytes of what is waiting or uncut
    long: int = 0  # characters of the uncut texts that are LONG

    def is_full(self, target: int) -> bool:
        """True once the model has `target` contents to embed, or they are large enough otherwise."""
        is_large = self.size >= STRETCH_BYTES or self.long >= STRETCH_TEXT
        return is_large or len(self.contents) + len(self.uncut) >= target

    def set_aside(self, row: Row, content: Content) -> None:
        """Keep a changed row until cut_all()."""
        self.uncut.append(row)
        self.size += len(content)
        self.long += len(content) if len(content) > LONG else 0

    def cut_all(self, cutter: Cutter | None, recipe: Recipe) -> None:
        """Cut the rows whose text may be too long."""
        for row in self.uncut:
            assert row.content is not None
            try:
                cut = cutter.chunks if cutter else undivided
                self.cut.append((row, cut(recipe, row.values, row.content)))
            except ModelUnavailable:
                raise
            except EmbedError as error:
                self.failures.append(Failure(row, str(error), may_pass=isinstance(error, ModelError)))
        self.uncut.clear()

    def place(self, row: Row, chunks: tuple[Chunk, ...], found: Mapping[bytes, bytes]) -> None:
        """Put a changed row with those that need the model, or with those whose chunks were all embedded before."""
        places = tuple([chunk.place for chunk in chunks])
        alike = self.waiting.get(places)
        if alike is None:
            alike = Alike(places, {}, {}, [])
            for chunk in chunks:
                if chunk.content_hash in found:
                    alike.known[chunk.content_hash] = found[chunk.content_hash]
                else:
                    alike.unknown[chunk.content_hash] = chunk.content
            if alike.unknown:
                self.waiting[places] = alike
                self.contents.update(alike.unknown)
            else:
                self.known.append(alike)
        alike.rows.append(row)

    def forget(self, embedded: int) -> int:
        """Take up to so many unchanged rows out of the counts, because they are counted as embedded; how many."""
        met = min(self.unchanged, embedded)
        self.unchanged -= met
        self.walked -= met
        return met

    def batches(self, size: Callable[[], int]) -> Iterator[Batch]:
        """The contents in batches of neighbouring lengths, the longest first; the last batch completes the stretch.

        A row's chunks stay together, so that no more than one row is half done after a batch. `size` is asked before
        each batch.
        """
        contents: dict[bytes, Content] = {}
        rows: list[Alike] = []
        given: set[bytes] = set()
        target = size()
        for alike in sorted(self.waiting.values(), key=lambda alike: -alike.length):
            for content_hash, content in alike.unknown.items():
                if content_hash in given:
                    continue
                if contents and len(contents) >= target:
                    yield Batch(contents, tuple(rows), (alike,))
                    contents, rows, target = {}, [], size()
                given.add(content_hash)
                contents[content_hash] = content
            rows.append(alike)
        yield Batch(contents, tuple(rows), completes=self)


@dataclass(frozen=True)
class Batch:
    """What one call of the model embeds and one transaction writes."""

    contents: Mapping[bytes, Content]  # for the model, by hash
    rows: tuple[Alike, ...]  # that have all their vectors with it
    unfinished: tuple[Alike, ...] = ()  # rows that have only some of them
    completes: Stretch | None = None  # the last batch of a stretch writes the rest of it, and moves the job's position

    @property
    def walked(self) -> int:
        """How many rows are dealt with once it is written."""
        embedded = sum(len(alike.rows) for alike in self.rows)
        if self.completes is None:
            return embedded
        return embedded + self.completes.walked - sum(len(alike.rows) for alike in self.completes.waiting.values())

    def parted(self, done: Mapping[bytes, object]) -> tuple[list[Alike], list[Alike]]:
        """Its rows whose contents are all done, and the others."""
        whole: list[Alike] = []
        others: list[Alike] = []
        for alike in self.rows:
            (whole if alike.unknown.keys() <= done.keys() else others).append(alike)
        return whole, others

    def only(self, done: Mapping[bytes, object]) -> Batch:
        """The batch without the rows of which a content is not done; without any of them it completes nothing."""
        whole, others = self.parted(done)
        return Batch(self.contents, tuple(whole), (*others, *self.unfinished)) if others else self


def stored(row: Row, place: Place, vector: bytes, number: int = 0) -> StoredVector:
    """A row's vector as it will be written: of the whole row, or of one of its chunks."""
    start, end, content_hash = place
    row_hash = None if content_hash == row.content_hash else row.content_hash
    return StoredVector(row.key, end, content_hash, vector, number, start, row_hash)
