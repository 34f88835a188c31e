"""Collections of ours in LLM's tables."""

import signal
import subprocess
import sys
from contextlib import closing

import pytest
from embedded import embed, make_file, read, write
from fake_models import ByteCounts, WordLengths, word_lengths
from llm_files import ROWS, collection, ids
from searched import Numbers

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.errors import Conflict
from datasette_embeddings.engine.llm.exporting import EMPTY, PENDING, SAME_ID, ZERO, Target, export_collection
from datasette_embeddings.engine.llm.ids import md5_of
from datasette_embeddings.engine.vectors import encode


@pytest.fixture
def export(tmp_path):
    """export(path, collection="notes", **target): the tally; what was written is in export.file."""
    file = tmp_path / "embeddings.db"

    def run(path, collection="notes", **target):
        with closing(connect(path)) as conn, closing(connect(file, create=True)) as llms:
            found = get_collection(conn, collection)
            return export_collection(conn, found, llms, Target(**{"name": collection, **target}), lambda *_: None)

    run.file = file
    return run


def test_what_is_written(notes, export):
    """Each row is an embedding of the collection, by its key, with the hash that LLM would have given it."""
    embed(notes, "notes", ["title"], WordLengths())
    tally = export(notes)
    assert (tally.walked, tally.moved, dict(tally.left_out)) == (3, 3, {})
    assert read(export.file, "select name, model from collections") == [("notes", "word-lengths")]
    titles = {"1": "Bread", "2": "Bicycles", "3": "Birds"}
    expected = [(id, encode(word_lengths(title)), None, None, md5_of(title)) for id, title in titles.items()]
    assert read(export.file, ROWS) == expected
    assert read(export.file, "select count(*) from embeddings where updated > 1.7e9 and metadata is null") == [(3,)]


def test_contents_are_copied_if_wanted(notes, export, tmp_path):
    """With store=True the contents come along, text and binary each in its own column."""
    embed(notes, "notes", ["title"], WordLengths())
    export(notes, store=True)
    assert read(export.file, "select content, content_blob from embeddings where id = '2'") == [("Bicycles", None)]
    images = make_file(tmp_path / "i.db", "create table images (id integer primary key, b blob)", images=[(1, b"\x10")])
    embed(images, "images", ["b"], ByteCounts())
    export(images, "images", store=True)
    assert read(export.file, "select content, content_blob from embeddings where collection_id = 2") == [
        (None, b"\x10")
    ]


def test_a_model_of_llms_goes_by_its_own_id(notes, export):
    """What ours calls llm/<id> after a clash is <id> in LLM."""
    embed(notes, "notes", ["title"], WordLengths("llm/somebody/model"))
    export(notes)
    assert read(export.file, "select model from collections") == [("somebody/model",)]


def test_what_is_left_out(tmp_path, export):
    """Rows that changed, are new, are empty or have a vector of zeros stay behind, each with its reason."""
    rows = [(1, "[1, 0]"), (2, "[0, 1]"), (3, None), (4, "[0, 0]"), (5, "[1, 1]")]
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body text)", notes=rows)
    embed(path, "notes", ["body"], Numbers())
    write(path, "update notes set body = '[3, 4]' where id = 2")
    write(path, "insert into notes values (6, '[1, 2]')")
    tally = export(path)
    assert ids(export.file) == ["1", "5"]
    assert dict(tally.left_out) == {PENDING: 2, EMPTY: 1, ZERO: 1}


@pytest.mark.parametrize(
    ("columns", "ending", "rows", "written"),
    [
        ("year integer, n integer, body text, primary key (year, n)", "", [(2024, 1, "a b")], ["[2024, 1]"]),
        ("body text", "", [("a b",), ("c",)], ["1", "2"]),
        ("code text primary key, body text", "without rowid", [("007", "a"), ("x,y", "b")], ["007", "x,y"]),
    ],
)
def test_keys(tmp_path, export, columns, ending, rows, written):
    """Keys of every form have an id."""
    path = make_file(tmp_path / "data.db", f"create table notes ({columns}) {ending}", notes=rows)
    embed(path, "notes", ["body"], WordLengths())
    export(path)
    assert ids(export.file) == written


def test_two_keys_that_are_written_alike(tmp_path, export):
    """Of a number and a text that look the same, one is exported and the other counted."""
    script = "create table notes (id blob primary key, body text)"
    path = make_file(tmp_path / "data.db", script, notes=[(7, "a b"), ("7", "c d")])
    embed(path, "notes", ["body"], WordLengths())
    tally = export(path)
    assert (ids(export.file), tally.moved, dict(tally.left_out)) == (["7"], 1, {SAME_ID: 1})


def test_a_row_of_several_chunks(notes, export):
    """Each chunk has an id of its own, and no hash: LLM embedded no such content."""
    embed(notes, "notes", ["title"], WordLengths())
    write(
        notes,
        'insert into "_embed_vectors_notes" (id, chunk, chunk_start, chunk_end, content_hash, vector, row_hash)'
        ' select id, 1, 3, 8, zeroblob(16), ?, content_hash from "_embed_vectors_notes" where id = 2',
        encode([1.0] * 16),
    )
    write(notes, 'update "_embed_vectors_notes" set row_hash = content_hash where id = 2 and chunk = 0')
    assert export(notes, store=True).moved == 4
    assert ids(export.file) == ["1", "2#0", "2#1", "3"]
    assert read(export.file, "select count(content), count(content_hash) from embeddings") == [(2, 2)]


def test_a_file_that_llm_made(notes, export):
    """Its other collections stay as they are; one of the same name is replaced only if that is wanted."""
    collection(export.file, "other", x=([1.0], "x"))
    collection(export.file, "notes", old=([1.0, 2.0], "old"))
    embed(notes, "notes", ["title"], WordLengths())
    before = read(export.file, ROWS)
    with pytest.raises(Conflict, match="LLM has a collection 'notes'"):
        export(notes)
    assert read(export.file, ROWS) == before
    export(notes, replace=True)
    assert ids(export.file) == ["x", "1", "2", "3"]


def test_another_name(notes, export):
    """LLM may call it otherwise."""
    embed(notes, "notes", ["title"], WordLengths())
    for name in ("first", "second"):
        export(notes, name=name)
    assert read(export.file, "select name from collections order by id") == [("first",), ("second",)]


KILLED = """
import os, signal, sys
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.llm.exporting import Target, export_collection

def report(done, total):
    print(done, total, flush=True)
    if done == 2000:
        os.kill(os.getpid(), signal.SIGKILL)

conn, file = connect(sys.argv[1]), connect(sys.argv[2])
export_collection(conn, get_collection(conn, "notes"), file, Target("notes", replace=True), report)
"""


def test_a_kill_loses_nothing(tmp_path, export):
    """Killed in the middle, LLM has what it had before; the next export writes everything."""
    rows = [(number, f"[{number}, 1]") for number in range(1, 2501)]
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body text)", notes=rows)
    embed(path, "notes", ["body"], Numbers())
    collection(export.file, "notes", old=([1.0, 2.0], "old"))
    before = read(export.file, ROWS)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, path, export.file], capture_output=True, text=True, check=False
    )
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "1000 2500\n2000 2500\n"), killed.stderr
    assert read(export.file, ROWS) == before
    assert export(path, replace=True).moved == 2500
    assert read(export.file, "pragma integrity_check") == [("ok",)]
