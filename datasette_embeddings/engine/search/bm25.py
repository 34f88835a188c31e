"""The ranking that FTS5 has and FTS4 and FTS3 have not, from what their matchinfo() tells of a row."""

from __future__ import annotations

import math
import sqlite3
import struct

K1, B = 1.2, 0.75  # FTS5's own
LEAST = 1e-6  # as in FTS5: a word that most rows hold still counts for a little
NAME = "embed_bm25"  # gets matchinfo(…, 'pcnalx') of an FTS4 table, 'pcx' of an FTS3 table


def register(conn: sqlite3.Connection) -> None:
    """Make embed_bm25() known to the connection, unless it is: SQLite changes no function while a statement runs."""
    if conn.execute("select 1 from pragma_function_list where name = ?", (NAME,)).fetchone() is None:
        conn.create_function(NAME, 2, _bm25, deterministic=True)


def _bm25(info: bytes, has_lengths: int) -> float:
    """The less, the better, as FTS5's rank."""
    numbers = struct.unpack(f"@{len(info) // 4}I", info)
    phrases, columns = numbers[:2]
    total, shape, hits = 0, 1.0, numbers[2:]
    if has_lengths:
        total, averages, lengths = numbers[2], numbers[3 : 3 + columns], numbers[3 + columns : 3 + 2 * columns]
        hits = numbers[3 + 2 * columns :]
        shape = 1 - B + B * sum(lengths) / max(1, sum(averages))
    return -sum(
        _phrase(hits[3 * columns * number : 3 * columns * (number + 1)], total, shape) for number in range(phrases)
    )


def _phrase(hits: tuple[int, ...], total: int, shape: float) -> float:
    """What one phrase adds; `hits` are, column by column: here, in all rows, and in how many rows."""
    here, rows = sum(hits[::3]), max(hits[2::3], default=0)
    rarity = max(LEAST, math.log((total - rows + 0.5) / (rows + 0.5))) if total else 1 / max(1, rows)
    return rarity * here * (K1 + 1) / (here + K1 * shape) if here else 0.0
