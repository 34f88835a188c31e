"""The table of a collection's packed codes: a row for each 1,024 vector ids, changed together with their vectors."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .identifiers import free_name, quote

if TYPE_CHECKING:
    from .exact import Floats

SLOTS = 1024  # as in codes/blocks.py: vector id i is slot i % SLOTS of block i // SLOTS
CENTRE_AFTER = 2 * SLOTS  # vectors, after which a collection gets its centre
CENTRE_SAMPLE = 8192  # vectors that it is taken from


@dataclass(frozen=True)
class Codes:
    """One collection's codes: where they are, and what they are made from."""

    collection_id: int
    table: str
    vector_table: str
    dimensions: int


def create_code_table(conn: sqlite3.Connection, name: str) -> None:
    """Create the table, and the index that tells what changed without reading the codes."""
    conn.execute(
        f"""create table {quote(name)} (
    block integer primary key, -- vector_id / {SLOTS}
    token integer not null, -- random 64 bits, replaced by every change of the block's vectors
    codes blob not null
)"""
    )
    taken = [row[0] for row in conn.execute("select name from sqlite_master")]  # by a table that was renamed since
    conn.execute(f"create index {quote(free_name(f'{name}_token', taken))} on {quote(name)} (block, token)")


def drop_code_table(conn: sqlite3.Connection, name: str) -> None:
    """Drop the table with its index."""
    conn.execute(f"drop table if exists {quote(name)}")


def block_tokens(conn: sqlite3.Connection, codes: Codes) -> dict[int, int]:
    """The token of every block: what changed since is what has another one."""
    return {row[0]: row[1] for row in conn.execute(f"select block, token from {quote(codes.table)}")}


def read_blocks(conn: sqlite3.Connection, codes: Codes, blocks: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """The packed codes of these blocks, as far as they are there."""
    for block in blocks:
        row = conn.execute(f"select codes from {quote(codes.table)} where block = ?", (block,)).fetchone()
        if row is not None:
            yield block, row[0]


def read_vectors(conn: sqlite3.Connection, codes: Codes, block: int) -> dict[int, bytes]:
    """A block's vectors by vector id, in order."""
    rows = conn.execute(
        f"select vector_id, vector from {quote(codes.vector_table)}"
        " where vector_id >= ? and vector_id < ? order by vector_id",
        (block * SLOTS, (block + 1) * SLOTS),
    )
    return {row[0]: row[1] for row in rows}


def read_centre(conn: sqlite3.Connection, codes: Codes) -> Floats:
    """The centre that the codes are made with; zeros where the collection has none yet."""
    import numpy as np

    blob = _stored_centre(conn, codes)
    return np.zeros(codes.dimensions, np.float32) if blob is None else np.frombuffer(blob, "<f4")


def record(
    conn: sqlite3.Connection, codes: Codes, token: int, written: Mapping[int, bytes], deleted: Iterable[int]
) -> None:
    """Bring the blocks of these vector ids up to date, in the transaction that changed the vectors."""
    changes: defaultdict[int, tuple[dict[int, bytes], list[int]]] = defaultdict(lambda: ({}, []))
    for vector_id, vector in written.items():
        changes[vector_id // SLOTS][0][vector_id] = vector
    for vector_id in deleted:
        changes[vector_id // SLOTS][1].append(vector_id)
    centre = read_centre(conn, codes)
    for block, (filled, emptied) in changes.items():
        _patch(conn, codes, token, block, centre, filled, emptied)
    if _stored_centre(conn, codes) is None and _has_enough(conn, codes):
        rebuild(conn, codes, token)


def rebuild(conn: sqlite3.Connection, codes: Codes, token: int) -> None:
    """Pack every vector anew, around a centre taken over all of them."""
    import numpy as np

    from .codes.signs import centre_of

    conn.execute(f"delete from {quote(codes.table)}")
    sample = _sample(conn, codes)
    if not sample:
        return
    centre = centre_of(_matrix(sample, codes.dimensions))
    conn.execute(
        "update _embed_collections set centre = ? where id = ?", (centre.astype("<f4").tobytes(), codes.collection_id)
    )
    last = conn.execute(f"select max(vector_id) from {quote(codes.vector_table)}").fetchone()[0]
    for block in range(last // SLOTS + 1):
        if vectors := read_vectors(conn, codes, block):
            _patch(conn, codes, token, block, np.asarray(centre, np.float32), vectors, [])


def _patch(
    conn: sqlite3.Connection,
    codes: Codes,
    token: int,
    block: int,
    centre: Floats,
    filled: Mapping[int, bytes],
    emptied: list[int],
) -> None:
    import numpy as np

    from .codes.blocks import patch_block

    if emptied and not _has_vectors(conn, codes, block):
        conn.execute(f"delete from {quote(codes.table)} where block = ?", (block,))
        return
    first = block * SLOTS
    packed = patch_block(
        next((blob for _, blob in read_blocks(conn, codes, [block])), None),
        centre,
        np.asarray(list(filled), np.int64) - first,
        _matrix(filled.values(), codes.dimensions),
        emptied=np.asarray(emptied, np.int64) - first,
    )
    conn.execute(
        f"insert into {quote(codes.table)} (block, token, codes) values (?, ?, ?)"
        " on conflict (block) do update set token = excluded.token, codes = excluded.codes",
        (block, token, packed),
    )


def _matrix(vectors: Iterable[bytes], dimensions: int) -> Floats:
    import numpy as np

    return np.frombuffer(b"".join(vectors), "<f4").astype(np.float32, copy=False).reshape(-1, dimensions)


def _stored_centre(conn: sqlite3.Connection, codes: Codes) -> bytes | None:
    row = conn.execute("select centre from _embed_collections where id = ?", (codes.collection_id,)).fetchone()
    return None if row is None else row[0]


def _has_vectors(conn: sqlite3.Connection, codes: Codes, block: int) -> bool:
    sql = f"select 1 from {quote(codes.vector_table)} where vector_id >= ? and vector_id < ? limit 1"
    return conn.execute(sql, (block * SLOTS, (block + 1) * SLOTS)).fetchone() is not None


def _has_enough(conn: sqlite3.Connection, codes: Codes) -> bool:
    sql = f"select 1 from {quote(codes.vector_table)} limit 1 offset {CENTRE_AFTER - 1}"
    return conn.execute(sql).fetchone() is not None


def _sample(conn: sqlite3.Connection, codes: Codes) -> list[bytes]:
    """Vectors drawn evenly over the whole table; ids that are gone are stood in for by the next ones."""
    first, last = conn.execute(f"select min(vector_id), max(vector_id) from {quote(codes.vector_table)}").fetchone()
    if last is None:
        return []
    step = max(1, (last - first) // CENTRE_SAMPLE)
    wanted = "[" + ",".join(map(str, range(first, last + 1, step))) + "]"
    following = f"(select min(vector_id) from {quote(codes.vector_table)} where vector_id >= j.value)"
    sql = (
        f"select vector from {quote(codes.vector_table)} where vector_id in (select {following} from json_each(?) as j)"
    )
    return [row[0] for row in conn.execute(sql, (wanted,))]
