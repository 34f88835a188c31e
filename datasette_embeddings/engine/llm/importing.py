"""A collection of LLM's to a collection of ours."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ..access import Access
from ..batches import stored
from ..collections import Collection
from ..cutting import Chunk, Cutter, undivided
from ..errors import VectorError
from ..rows import Position, Reader, Row, count_rows, reader
from ..saving import keep_vectors
from ..tables import source_table
from ..transactions import transaction
from ..vectors import decode
from .ids import id_of, md5_of
from .tables import LLMCollection
from .tally import EMPTY, Report, Tally

STRETCH = 1000  # rows read and written in one transaction

CHANGED = "a content that the row does not have now"
CUT = "a text that is longer than the model reads"
NO_VECTOR = "bytes that are no vector"


def import_collection(
    access: Access,
    collection: Collection,
    file: sqlite3.Connection,
    theirs: LLMCollection,
    dimensions: int | None,
    report: Report,
    cutter: Cutter | None = None,
) -> Tally:
    """Take over the vectors of rows whose content is what LLM embedded; `dimensions` are those of the model, if known.

    What the `cutter` would cut is left out, because LLM had only its beginning embedded.

    Each transaction writes a thousand rows, so an import that was stopped goes on where it was.
    """
    rows = access.read(lambda conn: reader(source_table(conn, collection.table), collection))
    total = access.read(lambda conn: count_rows(conn, collection.table))
    length = collection.dimensions or dimensions or _most_common_length(file, theirs)
    importer = Importer(rows, collection.id, file, theirs, length, cutter, Tally())
    while access.write(importer.stretch):
        report(importer.tally.walked, total)
    foreign = _count(file, theirs) - importer.met
    importer.tally.leave_out(f"no row of {collection.table}", foreign)
    return importer.tally


@dataclass
class Importer:
    """Looks up the vectors of rows in LLM's file, and counts what it leaves there."""

    rows: Reader
    collection_id: int
    file: sqlite3.Connection
    theirs: LLMCollection
    length: int | None
    cutter: Cutter | None
    tally: Tally
    met: int = 0  # of LLM's vectors, those that belong to a row
    after: Position | None = None  # the last row

    def stretch(self, conn: sqlite3.Connection) -> bool:
        """Import the next rows; False where there are none."""
        with transaction(conn):
            rows = list(self.rows.rows(conn, self.after, STRETCH))
            found = ((row, self._vector(row)) for row in rows)
            vectors = [stored(row, self._whole(row).place, vector) for row, vector in found if vector is not None]
            keep_vectors(conn, self.collection_id, self.rows.source, vectors)
        self.tally.walked += len(rows)
        self.after = rows[-1].position if rows else None
        return bool(rows)

    def _whole(self, row: Row) -> Chunk:
        assert row.content is not None
        return undivided(self.rows.recipe, row.values, row.content)[0]

    def _vector(self, row: Row) -> bytes | None:
        """The vector to be stored for this row, or None."""
        found = self.file.execute(
            "select embedding, content_hash from embeddings where collection_id = ? and id = ?",
            (self.theirs.id, id_of(row.key)),
        ).fetchone()
        if found is None or row.key_fault is not None:
            return None
        self.met += 1
        if row.is_current:
            self.tally.there += 1
            return None
        if (fault := self._fault(row, *found)) is not None:
            self.tally.leave_out(fault)
            return None
        self.tally.moved += 1
        return bytes(found[0])

    def _fault(self, row: Row, embedding: object, content_hash: object) -> str | None:
        """Why the vector cannot be this row's."""
        if row.content is None:
            return EMPTY
        if md5_of(row.content) != content_hash:
            return CHANGED
        if self.cutter and not self.cutter.leaves_whole(self.rows.recipe, row.content):
            return CUT
        try:
            length = decode(embedding).size
        except VectorError:
            return NO_VECTOR
        return None if length == self.length else f"a vector of {length} instead of {self.length} dimensions"


def _most_common_length(file: sqlite3.Connection, theirs: LLMCollection) -> int | None:
    row = file.execute(
        "select length(embedding) / 4 from embeddings where collection_id = ? and typeof(embedding) = 'blob'"
        " group by 1 order by count(*) desc limit 1",
        (theirs.id,),
    ).fetchone()
    return row[0] if row else None


def _count(file: sqlite3.Connection, theirs: LLMCollection) -> int:
    return int(file.execute("select count(*) from embeddings where collection_id = ?", (theirs.id,)).fetchone()[0])
