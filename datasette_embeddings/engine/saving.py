"""Saving a batch: its vectors, its failures and how far the job has come, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import jobs
from .batches import Alike, Batch, Failure, Stretch
from .changing import is_complete, take_place
from .code_table import record
from .collections import Collection, collection_by_id, new_token
from .errors import ContentRefused, EmbedError
from .failures import forget_settled, forget_unmet, keep, postpone
from .follow.notes import forget_some, stored_notes
from .follow.shape import begin_comparison, end_comparison
from .kept import forget_kept, keep_chunks
from .listing import Listing
from .positions import Start, position_json
from .rows import Key
from .sources import TableChanged, schema_version
from .tables import SourceTable
from .transactions import transaction
from .vector_table import StoredVector, delete_gone, delete_surplus, delete_vectors, find_gone, save_vectors

Outcome = bytes | EmbedError  # of one content: its vector, or why it has none


@dataclass(frozen=True)
class Claim:
    """A job that this process runs, and what it needs of it."""

    job_id: int
    owner: str
    collection_id: int
    source: SourceTable
    schema_version: int  # of the file when the walk began
    shape: str  # of the table at that moment
    listing: Listing | None = None  # what is walked instead of every row
    answers: int = 0  # the last note that was there before the first row was read, where every row is


def begin(conn: sqlite3.Connection, claim: Claim, start: Start, total: int | None) -> None:
    """Begin the walk where the job goes on; at the first row, `total` says how many there are."""
    with transaction(conn):
        nothing = dict.fromkeys(jobs.COUNTS, 0)
        first = None if total is None else (position_json(None, claim.schema_version, nothing), total)
        jobs.begin(conn, claim.job_id, claim.owner, start.counts, first)
        if first and claim.listing is None:
            begin_comparison(conn, claim.collection_id, claim.job_id, claim.shape)


def save(
    conn: sqlite3.Connection,
    claim: Claim,
    batch: Batch,
    outcomes: Mapping[bytes, Outcome],
    asked: int,
    tokens: int,
    rate: float | None,
) -> None:
    """Write the batch and move the job on; LeaseLost or TableChanged leave the file as it was.

    `asked` is how many contents the model was given for it, and `tokens` how many these had, where they are priced.
    """
    rest = batch.completes or Stretch()
    vectors = {content_hash: outcome for content_hash, outcome in outcomes.items() if isinstance(outcome, bytes)}
    made, others = batch.parted(vectors)
    failures = [*rest.failures, *(failure for alike in others for failure in _failures(alike, outcomes))]
    with transaction(conn):
        if not claim.source.stable and schema_version(conn) != claim.schema_version:
            raise TableChanged("The table changed its shape, or the file was vacuumed")
        removed = _write(conn, claim, [*rest.known, *made], vectors, [*rest.stale, *_without_vector(failures)])
        keep_chunks(conn, claim.collection_id, claim.job_id, _spare([*others, *batch.unfinished], vectors))
        keep(conn, claim.collection_id, claim.job_id, failures)
        postponed = postpone(conn, claim.collection_id, claim.job_id, rest.postponed)
        jobs.advance(
            conn,
            claim.job_id,
            claim.owner,
            rate,
            rows_done=batch.walked,
            unchanged=rest.unchanged,
            empty=rest.empty,
            reused=_rows(rest.known),
            embedded=_rows(made),
            failed=len(failures) + len(rest.postponed) - postponed,
            postponed=postponed,
            removed=removed,
            contents=asked,
            tokens=tokens,
        )
        if batch.completes:
            _complete(conn, claim, batch.completes)


def keep_vectors(
    conn: sqlite3.Connection, collection_id: int, source: SourceTable, vectors: Sequence[StoredVector]
) -> None:
    """Write vectors that no job has made, each of a row that is not cut, in the caller's transaction."""
    written = _write_vectors(conn, collection_id, source, vectors)
    collection = collection_by_id(conn, collection_id)
    surplus = delete_surplus(conn, collection.vector_table, source, [(vector.key, 1) for vector in vectors])
    _changed(conn, collection, written, surplus)


def _complete(conn: sqlite3.Connection, claim: Claim, stretch: Stretch) -> None:
    """Move the job's position to the stretch's end; what was listed for it is dealt with.

    What failed before and no longer does is no failure any more.
    """
    # Who dies within the next stretch leaves counts beyond the position; who goes on begins with these.
    counts = jobs.counts(jobs.get_job(conn, claim.job_id))
    jobs.move(conn, claim.job_id, position_json(stretch.position, claim.schema_version, counts))
    if claim.listing and stretch.position:
        forget_settled(conn, claim.collection_id, claim.job_id, stretch.listed)
        claim.listing.settle(conn, stretch.after, stretch.position)


def gone_vectors(conn: sqlite3.Connection, claim: Claim) -> list[int]:
    """The ids of vectors whose row is gone, some at a time; only reads."""
    _check_schema(conn, claim)
    return find_gone(conn, collection_by_id(conn, claim.collection_id).vector_table, claim.source)


def sweep(conn: sqlite3.Connection, claim: Claim, ids: Sequence[int]) -> None:
    """Drop what gone_vectors() found."""
    with transaction(conn):
        jobs.check(conn, claim.job_id, claim.owner)
        _check_schema(conn, claim)
        collection = collection_by_id(conn, claim.collection_id)
        gone = delete_gone(conn, collection.vector_table, claim.source, ids)
        _changed(conn, collection, {}, gone.vector_ids)
        conn.execute("update _embed_jobs set removed = removed + ? where id = ?", (gone.rows, claim.job_id))


def _check_schema(conn: sqlite3.Connection, claim: Claim) -> None:
    if schema_version(conn) != claim.schema_version:
        raise TableChanged("The table may be another one than the one that was walked")


def forget_notes(conn: sqlite3.Connection, claim: Claim) -> bool:
    """Drop some of the notes that a walk over every row has answered; False where none of them is left."""
    with transaction(conn):
        jobs.check(conn, claim.job_id, claim.owner)
        notes = stored_notes(conn, collection_by_id(conn, claim.collection_id).name)
        return notes is not None and forget_some(conn, notes, claim.answers)


def finish(conn: sqlite3.Connection, claim: Claim) -> None:
    """End the job; after every row, errors not met are gone, and where every row failed so has the job.

    A successor that is complete by it takes the place of the collection that it replaces.
    """
    with transaction(conn):
        status, reason = (jobs.FINISHED, None) if claim.listing else _verdict(conn, claim)
        every_row = claim.listing is None and not jobs.get_job(conn, claim.job_id).postponed
        forget_kept(conn, claim.collection_id, claim.job_id, every_row=every_row)
        jobs.end(conn, claim.job_id, claim.owner, status, reason)
        if claim.listing is None:
            end_comparison(conn, claim.collection_id, claim.job_id)
        collection = collection_by_id(conn, claim.collection_id)
        if collection.replaces is not None and status == jobs.FINISHED and is_complete(conn, collection):
            take_place(conn, collection)


def _verdict(conn: sqlite3.Connection, claim: Claim) -> tuple[str, str | None]:
    """How a pass over every row has ended, and why."""
    forget_unmet(conn, claim.collection_id, claim.job_id)
    job = jobs.get_job(conn, claim.job_id)
    if not (job.failed or job.postponed) or job.embedded or job.reused or job.unchanged:
        return jobs.FINISHED, None
    message = conn.execute(
        "select message from _embed_errors where collection_id = ? order by rowid limit 1", (claim.collection_id,)
    ).fetchone()
    conn.execute("update _embed_jobs set position = null where id = ?", (job.id,))  # resumed, it tries again
    return jobs.FAILED, f"Every row failed: {message[0]}" if message else "Every row failed"


def _failures(alike: Alike, outcomes: Mapping[bytes, Outcome]) -> list[Failure]:
    """A failure of each of the rows, which names the first chunk that failed."""
    errors = {
        number: outcome
        for number, (_, _, content_hash) in enumerate(alike.places, 1)
        if isinstance(outcome := outcomes.get(content_hash), EmbedError)
    }
    number, error = min(errors.items())
    message = str(error) if len(alike.places) == 1 else f"Chunk {number} of {len(alike.places)}: {error}"
    may_pass = not any(isinstance(error, ContentRefused) for error in errors.values())
    return [Failure(row, message, may_pass) for row in alike.rows]


def _spare(unfinished: Sequence[Alike], vectors: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The vectors of rows that cannot be written yet, because other chunks of theirs have none."""
    spare: dict[bytes, bytes] = {}
    for alike in unfinished:
        spare.update(alike.known)
        spare.update((content_hash, vectors[content_hash]) for content_hash in alike.unknown if content_hash in vectors)
    return spare


def _rows(several: Sequence[Alike]) -> int:
    return sum(len(alike.rows) for alike in several)


def _write(
    conn: sqlite3.Connection, claim: Claim, done: Sequence[Alike], vectors: Mapping[bytes, bytes], gone: Sequence[Key]
) -> int:
    """Write rows with all their chunks, in place of all they had, and delete others; how many rows that were."""
    new = [vector for alike in done for vector in alike.stored(vectors)]
    written = _write_vectors(conn, claim.collection_id, claim.source, new)
    collection = collection_by_id(conn, claim.collection_id)
    table = collection.vector_table
    counts = [(row.key, len(alike.places)) for alike in done for row in alike.rows if row.stored_hash is not None]
    surplus = delete_surplus(conn, table, claim.source, counts) if collection.definition.chunking else []
    deleted = delete_vectors(conn, table, claim.source, gone)
    _changed(conn, collection, written, [*surplus, *deleted.vector_ids])
    return deleted.rows


def _write_vectors(
    conn: sqlite3.Connection, collection_id: int, source: SourceTable, vectors: Sequence[StoredVector]
) -> dict[int, bytes]:
    if not vectors:
        return {}
    collection = collection_by_id(conn, collection_id)
    if collection.dimensions is None:
        conn.execute(
            "update _embed_collections set dimensions = ? where id = ?", (len(vectors[0].vector) // 4, collection.id)
        )
    return save_vectors(conn, collection.vector_table, source, vectors)


def _changed(
    conn: sqlite3.Connection, collection: Collection, written: Mapping[int, bytes], deleted: Sequence[int]
) -> None:
    """Bring the codes up to date, and give the collection a new token: what was cached of it is no longer believed."""
    if not written and not deleted:
        return
    token = new_token()
    record(conn, collection.codes, token, written, deleted)
    conn.execute("update _embed_collections set token = ? where id = ?", (token, collection.id))


def _without_vector(failures: Sequence[Failure]) -> list[tuple[object, ...]]:
    return [failure.row.key for failure in failures if failure.row.stored_hash is not None]
