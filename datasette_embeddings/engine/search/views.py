"""The state of a collection as held in memory: an index of its vectors, renewed block by block when they change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..code_table import SLOTS, Codes, block_tokens, read_blocks, read_centre, read_vectors
from ..codes import CodeIndex
from ..exact import ExactIndex, Floats, Ids

EXACT_UP_TO = 32_768  # vectors of MEASURED dimensions or more; docs/search-internals.md has the measurement
MEASURED = 384
# Shorter vectors are exact in larger collections, which costs no more: their codes have too few bits to tell them
# apart. Not without end, because reading many short vectors takes as long as reading many long ones.
SHORTEST = 64


@dataclass(frozen=True)
class View:
    """An index of a collection's vectors, and the tokens by which one sees whether it is still true."""

    token: int  # of the collection
    tokens: dict[int, int]  # of each block
    index: ExactIndex | CodeIndex

    @property
    def is_exact(self) -> bool:
        """True where float32 vectors are in memory, and not only their codes."""
        return isinstance(self.index, ExactIndex)


def load(conn: sqlite3.Connection, codes: Codes, token: int, room: int) -> View:
    """The view of what this connection sees; the caller keeps one read transaction open meanwhile.

    `room`: bytes of memory that exact vectors may take; more are searched by their codes.
    """
    tokens = block_tokens(conn, codes)
    if _is_small(tokens, codes, room):
        index: ExactIndex | CodeIndex = ExactIndex.from_vectors(_batches(conn, codes, sorted(tokens)))
    else:
        index = CodeIndex.from_blocks(read_centre(conn, codes), read_blocks(conn, codes, sorted(tokens)))
    return View(token, tokens, index)


def renew(view: View, conn: sqlite3.Connection, codes: Codes, token: int, room: int) -> View:
    """This view brought to what the connection sees: only the blocks that changed are read."""
    tokens = block_tokens(conn, codes)
    changed = [block for block in tokens if tokens[block] != view.tokens.get(block)]
    gone = [block for block in view.tokens if block not in tokens]
    if view.is_exact != _is_small(tokens, codes, room) or len(changed) > len(tokens) // 2:
        return load(conn, codes, token, room)
    if isinstance(view.index, ExactIndex):
        exact = view.index
        for block in (*changed, *gone):
            exact = exact.with_block(block, *_block(conn, codes, block))
        return View(token, tokens, exact)
    if not np.array_equal(view.index.centre, read_centre(conn, codes)):
        return load(conn, codes, token, room)
    blocks = [*read_blocks(conn, codes, changed), *((block, None) for block in gone)]
    return View(token, tokens, view.index.with_blocks(blocks))


def _is_small(tokens: dict[int, int], codes: Codes, room: int) -> bool:
    vectors = len(tokens) * SLOTS
    shorter = min(max(codes.dimensions, SHORTEST), MEASURED)
    return vectors * shorter <= EXACT_UP_TO * MEASURED and vectors * codes.dimensions * 4 <= room


def _batches(conn: sqlite3.Connection, codes: Codes, blocks: list[int]) -> Iterator[tuple[Ids, NDArray[np.floating]]]:
    for block in blocks:
        yield _block(conn, codes, block)


def _block(conn: sqlite3.Connection, codes: Codes, block: int) -> tuple[Ids, Floats]:
    vectors = read_vectors(conn, codes, block)
    ids = np.fromiter(vectors, np.int64, len(vectors))
    return ids, np.frombuffer(b"".join(vectors.values()), "<f4").reshape(len(vectors), codes.dimensions)
