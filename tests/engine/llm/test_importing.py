"""Collections of LLM's in ours."""

import signal
import subprocess
import sys
from contextlib import closing

import pytest
from chunked import ShortSighted, numbered_words
from embedded import create, embed, make_file, read, vectors, write
from fake_models import WordLengths, word_lengths
from llm_files import collection
from searched import Numbers, keys

from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.chunking import AUTOMATIC
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.llm.importing import CHANGED, CUT, NO_VECTOR, import_collection
from datasette_embeddings.engine.llm.tables import find_collection
from datasette_embeddings.engine.llm.tally import EMPTY
from datasette_embeddings.engine.measures import make_cutter

NAN = b"\0\0\xc0\x7f"


@pytest.fixture
def file(tmp_path):
    """Where LLM's collections are."""
    return tmp_path / "embeddings.db"


@pytest.fixture
def take(file):
    """take(path, dimensions=None, cutter=None): the tally of an import of LLM's notes into ours, which is there."""

    def run(path, dimensions=None, cutter=None):
        with FileAccess(path) as access, closing(connect(file)) as llms:
            ours = access.read(lambda conn: get_collection(conn, "notes"))
            theirs = find_collection(llms, "notes")
            return import_collection(access, ours, llms, theirs, dimensions, lambda *_: None, cutter)

    return run


def test_what_was_embedded_is_not_embedded_again(notes, file, take):
    """Rows whose content LLM embedded have its vectors, and the next pass hands nothing to the model."""
    collection(file, **{"1": ([1.0, 2.0], "Bread"), "2": ([3.0, 4.0], "Bicycles"), "3": ([5.0, 6.0], "Birds")})
    create(notes, "notes", ["title"], Numbers())
    tally = take(notes)
    assert (tally.walked, tally.moved, tally.there, dict(tally.left_out)) == (3, 3, 0, {})
    assert vectors(notes, "notes") == {1: [1.0, 2.0], 2: [3.0, 4.0], 3: [5.0, 6.0]}
    assert read(notes, "select dimensions from _embed_collections") == [(2,)]
    model = Numbers()
    assert embed(notes, "notes", ["title"], model).unchanged == 3
    assert model.contents == []


def test_a_text_that_is_cut(notes, file, take):
    """Of a long text LLM's model saw only the beginning: that vector is left out, and the text is embedded whole."""
    long = numbered_words(40)
    write(notes, "update notes set title = ? where id = 2", long)
    model = ShortSighted()
    collection(file, **{key: (word_lengths(text), text) for key, text in (("1", "Bread"), ("2", long), ("3", "Birds"))})
    create(notes, "notes", ["title"], model)
    tally = take(notes, cutter=make_cutter(AUTOMATIC, model))
    assert (tally.moved, dict(tally.left_out)) == (2, {CUT: 1})
    assert embed(notes, "notes", ["title"], model).embedded == 1
    assert len(model.contents) == 3


def test_again(notes, file, take):
    """What is there already is left alone."""
    collection(file, **{"1": ([1.0, 2.0], "Bread")})
    create(notes, "notes", ["title"], Numbers())
    take(notes)
    token = read(notes, "select token from _embed_collections")
    tally = take(notes)
    assert (tally.moved, tally.there) == (0, 1)
    assert read(notes, "select token from _embed_collections") == token


def test_ragged_and_foreign_rows(tmp_path, file, take):
    """What cannot be taken over is counted by its reason, and everything else is taken over."""
    rows = [(n, text) for n, text in enumerate(["a", "b", "c", "d", "e", "f", "g", "h", None], 1)]
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body text)", notes=rows)
    collection(
        file,
        **{
            "1": ([1.0, 2.0], "a"),
            "2": ([3.0, 4.0], "b"),
            "3": ([1.0, 2.0, 3.0], "c"),
            "4": (None, "d"),
            "5": (b"\0\0\0", "e"),
            "6": (b"", "f"),
            "7": (NAN * 2, "g"),
            "8": ([5.0, 6.0], "what h said before"),
            "9": ([5.0, 6.0], ""),
            "10": ([5.0, 6.0], "nobody's"),
            "a/path.md": ([5.0, 6.0], "nobody's"),
        },
    )
    create(path, "notes", ["body"], Numbers())
    tally = take(path)
    assert vectors(path, "notes") == {1: [1.0, 2.0], 2: [3.0, 4.0]}
    assert dict(tally.left_out) == {
        "a vector of 3 instead of 2 dimensions": 1,
        NO_VECTOR: 4,
        CHANGED: 1,
        EMPTY: 1,
        "no row of notes": 2,
    }
    assert sum(tally.left_out.values()) + tally.moved == 11


def test_the_models_own_length_goes_before_the_most_common(notes, file, take):
    """What has not the length of the model's vectors, or of those that are there, is not taken over."""
    collection(file, **{"1": ([1.0, 2.0], "Bread"), "2": ([3.0, 4.0], "Bicycles"), "3": ([5.0, 6.0, 7.0], "Birds")})
    create(notes, "notes", ["title"], Numbers())
    assert take(notes, dimensions=3).left_out == {"a vector of 2 instead of 3 dimensions": 2}
    assert vectors(notes, "notes") == {3: [5.0, 6.0, 7.0]}
    assert take(notes, dimensions=2).left_out == {"a vector of 2 instead of 3 dimensions": 2}


def test_a_vector_that_is_stale_gives_way(notes, file, take):
    """A row that changed after it was embedded here, and then was embedded by LLM, has LLM's vector."""
    embed(notes, "notes", ["title"], WordLengths())
    write(notes, "update notes set title = 'Rye bread' where id = 1")
    collection(file, **{"1": (word_lengths("Rye bread"), "Rye bread"), "2": ([9.0] * 16, "Bicycles")})
    tally = take(notes)
    assert (tally.moved, tally.there) == (1, 1)
    assert vectors(notes, "notes")[1] == word_lengths("Rye bread")
    assert vectors(notes, "notes")[2] == word_lengths("Bicycles")


def test_a_row_that_had_chunks(notes, file, take):
    """Of a text that was long, no chunk is left beside the imported vector of the short one."""
    write(notes, "update notes set title = ? where id = 1", numbered_words(40))
    embed(notes, "notes", ["title"], ShortSighted())
    write(notes, "update notes set title = 'Bread' where id = 1")
    collection(file, **{"1": (word_lengths("imported"), "Bread")})
    assert take(notes).moved == 1
    assert read(notes, "select chunk, row_hash from _embed_vectors_notes where id = 1") == [(0, None)]
    assert read(notes, "select count(*) from _embed_vectors_notes") == [(3,)]


def test_keys(tmp_path, file, take):
    """A compound key is found by the JSON array that an export writes, a text as it is."""
    script = "create table notes (year integer, n text, body text, primary key (year, n))"
    path = make_file(tmp_path / "data.db", script, notes=[(2024, "07", "a"), (2024, "7", "b")])
    collection(file, **{'[2024, "07"]': ([1.0], "a"), "[2024,7]": ([2.0], "b")})
    create(path, "notes", ["body"], Numbers())
    assert take(path).left_out == {"no row of notes": 1}
    assert vectors(path, "notes") == {(2024, "07"): [1.0]}


def test_search_finds_them(notes, file, take):
    """The codes and the caches know of them."""
    collection(file, **{"1": ([1.0, 0.0], "Bread"), "2": ([0.0, 1.0], "Bicycles"), "3": ([1.0, 1.0], "Birds")})
    create(notes, "notes", ["title"], Numbers())
    take(notes)
    assert keys(notes, [1.0, 0.1]) == [1, 3, 2]


KILLED = """
import os, signal, sys
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.llm.importing import import_collection
from datasette_embeddings.engine.llm.tables import find_collection

def report(done, total):
    if done == 2000:
        os.kill(os.getpid(), signal.SIGKILL)

file = connect(sys.argv[2])
with FileAccess(sys.argv[1]) as access:
    ours = access.read(lambda conn: get_collection(conn, "notes"))
    import_collection(access, ours, file, find_collection(file, "notes"), None, report)
"""


def test_a_kill_loses_nothing(tmp_path, file, take):
    """What was imported before it is there, and the next import takes over the rest."""
    rows = [(number, f"[{number}, 1]") for number in range(1, 2501)]
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body text)", notes=rows)
    collection(file, **{str(number): ([number, 1.0], body) for number, body in rows})
    create(path, "notes", ["body"], Numbers())
    killed = subprocess.run([sys.executable, "-c", KILLED, path, file], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    tally = take(path)
    assert (tally.there, tally.moved, dict(tally.left_out)) == (2000, 500, {})
    assert read(path, "pragma integrity_check") == [("ok",)]
    assert keys(path, [1.0, 1.0], 1) == [1]
