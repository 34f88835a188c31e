"""Stored vectors, read in one step of SQLite: byte for byte what is stored, in whatever encoding the file is."""

from contextlib import closing

import pytest
from embedded import create, make_file
from searched import Numbers

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.contents import content_hash
from datasette_embeddings.engine.errors import VectorError
from datasette_embeddings.engine.search.stored import read_stored

# Bytes that end a text, that are no UTF-8, and with which a text of either encoding begins.
BLOBS = {3: bytes(8), 4: b"\0\xff\xfe\x80\xc0\xaf\0\0", 5: b"\xef\xbb\xbf,,,,'", 9: b"\xfe\xff\xd8\0a\0b,"}
INSERT = (
    "insert into _embed_vectors_notes"
    " (id, chunk, chunk_start, chunk_end, content_hash, vector, vector_id, row_hash) values (?, 0, 0, 1, ?, ?, ?, ?)"
)


@pytest.fixture(params=["UTF-8", "UTF-16le", "UTF-16be"])
def conn(tmp_path, request):
    """A file in this encoding, with these vectors; the content of the last one's row is not that of its chunk."""
    script = f"pragma encoding = '{request.param}'; create table notes (id integer primary key, body)"
    path = make_file(tmp_path / "data.db", script)
    create(path, "notes", ["body"], Numbers())
    with closing(connect(path)) as conn:
        assert conn.execute("pragma encoding").fetchone()[0] == request.param
        for number, blob in BLOBS.items():
            row_hash = content_hash("row") if number == 9 else None
            conn.execute(INSERT, (number, content_hash(str(number)), blob, number, row_hash))
        yield conn


def read(conn, ids):
    return read_stored(conn, get_collection(conn, "notes"), ids, 2)


def test_every_byte(conn):
    """Vectors come with their ids and hashes, those that there are."""
    found = read(conn, [9, 4, 77, 5, 3, 3])
    vectors = {number: row.tobytes() for number, row in zip(found.ids, found.vectors, strict=True)}
    assert vectors == BLOBS
    hashes = {number: bytes.fromhex(text) for number, text in zip(found.ids, found.hashes, strict=True)}
    assert hashes == {**{number: content_hash(str(number)) for number in BLOBS}, 9: content_hash("row")}


def test_none_of_them(conn):
    """Ids that are not there, or none at all, have no vectors."""
    for ids in ([], [77, -1]):
        found = read(conn, ids)
        assert (found.ids, found.hashes, found.vectors.shape) == ([], [], (0, 2))


def test_another_length(conn):
    """A vector that does not have the dimensions of the others is an error, not a score."""
    conn.execute("update _embed_vectors_notes set vector = x'00000000' where id = 4")
    with pytest.raises(
        VectorError, match="A vector stored for 'notes' does not have 2 dimensions: embed its row again"
    ):
        read(conn, [3, 4])


def test_other_lengths_that_add_up(conn):
    """One that is too short and one that is too long are as wrong together."""
    conn.execute("update _embed_vectors_notes set vector = zeroblob(4) where id = 4")
    conn.execute("update _embed_vectors_notes set vector = zeroblob(12) where id = 5")
    with pytest.raises(VectorError, match="does not have 2 dimensions"):
        read(conn, [3, 4, 5])


class UntilNul:
    """`group_concat` as it is in SQLite 3.36, for what is given to it in the test."""

    def __init__(self):
        self.text = b""

    def step(self, value, separator=","):
        given = value if isinstance(value, bytes) else str(value).encode()
        self.text += (separator.encode() if self.text else b"") + given

    def finalize(self):
        return self.text.partition(b"\0")[0].decode(errors="replace")


def test_an_old_sqlite(conn):
    """Where joined bytes end at the first NUL, vectors are whole all the same."""
    conn.create_aggregate("group_concat", -1, UntilNul)
    test_every_byte(conn)
