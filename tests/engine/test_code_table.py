"""The table of packed codes: it follows the vectors, in their transaction."""

from contextlib import closing

import numpy as np
import pytest
from embedded import embed, read, write
from searched import Numbers, counted, embed_within, notes

from datasette_embeddings.engine import code_table
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.code_table import SLOTS, block_tokens, read_blocks, read_centre, rebuild
from datasette_embeddings.engine.codes import centre_of, pack_block
from datasette_embeddings.engine.collections import get_collection, new_token
from datasette_embeddings.engine.transactions import transaction

EDITS = (
    "update notes set body = '[3, -4]' where id in (3, 1500)",
    "delete from notes where id between 5 and 60",
    "delete from notes where id > 1023 and id < 2049",
    "insert into notes select id + 5000, body from notes where id < 50",
    "update notes set body = '[0, 0]' where id < 5",
    "update notes set body = ''",
    "insert or replace into notes select id, '[1, ' || id || ']' from notes where id % 3 = 0",
)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Vectors enough for a centre, in three blocks."""
    folder = tmp_path_factory.mktemp("codes")
    return notes(folder / "data.db", {number: [number, 7] for number in range(1, 2 * SLOTS + 100)})


@pytest.fixture
def path(large, tmp_path):
    copy = tmp_path / "data.db"
    copy.write_bytes(large.read_bytes())
    return copy


@pytest.fixture
def conn(path):
    with closing(connect(path)) as conn:
        yield conn


def codes_of(conn):
    return get_collection(conn, "notes").codes


def packed(conn):
    """What is stored, by block."""
    codes = codes_of(conn)
    return dict(read_blocks(conn, codes, block_tokens(conn, codes)))


def anew(conn):
    """What a fresh packing around the same centre gives, from the vectors as they are."""
    codes, blocks = codes_of(conn), {}
    for vector_id, vector in conn.execute("select vector_id, vector from _embed_vectors_notes order by vector_id"):
        blocks.setdefault(vector_id // SLOTS, {})[vector_id % SLOTS] = np.frombuffer(vector, "<f4")
    centre = read_centre(conn, codes)
    return {n: pack_block(centre, np.array(list(block)), np.array(list(block.values()))) for n, block in blocks.items()}


def test_codes_follow_every_edit(path):
    """After any edits the packed codes are those of a fresh packing around the same centre."""
    for edit in EDITS:
        write(path, edit)
        embed(path, "notes", ["body"], Numbers())
        with closing(connect(path)) as conn:
            assert packed(conn) == anew(conn)


def test_only_the_blocks_that_changed_get_a_new_token(path):
    """A token tells which block changed."""
    with closing(connect(path)) as conn:
        before = block_tokens(conn, codes_of(conn))
    write(path, "update notes set body = '[9, 9]' where id in (2, 3)")
    embed(path, "notes", ["body"], Numbers())
    with closing(connect(path)) as conn:
        after = block_tokens(conn, codes_of(conn))
    assert [block for block in after if after[block] != before[block]] == [0]


def test_codes_change_with_their_vectors(conn):
    """What is rolled back is rolled back of both."""
    before = packed(conn)
    conn.execute("begin")
    conn.execute("update notes set body = '[-1, -1]' where id < 10")
    embed_within(conn)
    assert packed(conn) == anew(conn) != before
    conn.rollback()
    assert packed(conn) == anew(conn) == before


def test_the_centre_is_taken_once_there_are_enough(tmp_path, monkeypatch):
    """Below so many vectors codes are made around zero; then once around their mean direction."""
    monkeypatch.setattr(code_table, "CENTRE_AFTER", 20)
    rebuilds = counted(monkeypatch, code_table, "rebuild")
    path = notes(tmp_path / "data.db", {number: [number, 1] for number in range(19)})
    assert (read(path, "select centre from _embed_collections"), rebuilds) == ([(None,)], [])
    for number in (19, 20, 21):
        write(path, "insert into notes values (?, '[1, 2]')", number)
        embed(path, "notes", ["body"], Numbers())
    vectors = np.array([[n, 1] for n in range(19)] + [[1, 2]], np.float32)
    with closing(connect(path)) as conn:
        assert read_centre(conn, codes_of(conn)) == pytest.approx(centre_of(vectors))
        assert (len(rebuilds), packed(conn)) == (1, anew(conn))


def test_a_centre_that_is_zero_is_taken_once(tmp_path, monkeypatch):
    """Vectors that cancel out have the centre zero, which is a centre: nothing is packed anew for ever."""
    monkeypatch.setattr(code_table, "CENTRE_AFTER", 4)
    rebuilds = counted(monkeypatch, code_table, "rebuild")
    path = notes(tmp_path / "data.db", {1: [1, 0], 2: [-1, 0], 3: [0, 1], 4: [0, -1]})
    write(path, "insert into notes values (5, '[1, 1]')")
    embed(path, "notes", ["body"], Numbers())
    assert len(rebuilds) == 1


def test_rebuild(conn):
    """A rebuild takes the centre over all vectors, and packs every one."""
    before = packed(conn)
    with transaction(conn):
        conn.execute("update _embed_collections set centre = null")
        conn.execute("delete from _embed_codes_notes")
        rebuild(conn, codes_of(conn), new_token())
    assert packed(conn) == anew(conn)
    assert packed(conn).keys() == before.keys()


def test_rebuild_where_ids_are_gone(path, monkeypatch):
    """Every vector is packed, whichever ids the sample would have taken are gone."""
    monkeypatch.setattr(code_table, "CENTRE_SAMPLE", 100)
    write(path, "delete from notes where id % 21 in (0, 1, 2)")
    embed(path, "notes", ["body"], Numbers())
    with closing(connect(path)) as conn, transaction(conn):
        rebuild(conn, codes_of(conn), new_token())
        assert packed(conn) == anew(conn) != {}


def test_rebuild_of_nothing(path):
    """Without vectors there are no codes, and no error."""
    write(path, "delete from notes")
    embed(path, "notes", ["body"], Numbers())
    with closing(connect(path)) as conn, transaction(conn):
        rebuild(conn, codes_of(conn), new_token())
        assert packed(conn) == {}


def test_a_block_without_vectors_is_gone(path):
    """A block that lost its last vector takes no room."""
    second = "select id from _embed_vectors_notes where vector_id >= 1024 and vector_id < 2048"
    write(path, f"delete from notes where id in ({second})")
    embed(path, "notes", ["body"], Numbers())
    assert read(path, "select block from _embed_codes_notes order by block") == [(0,), (2,)]


def test_vectors_of_any_length(tmp_path):
    """Zero, huge and tiny vectors have their place in a block too."""
    vectors = {1: [0, 0, 0], 2: [1e30, -1e30, 1], 3: [1e-30, 1e-38, -1e-30], 4: [3e38, 1e-45, 0]}
    path = notes(tmp_path / "data.db", vectors)
    with closing(connect(path)) as conn:
        assert packed(conn) == anew(conn)
