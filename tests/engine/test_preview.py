"""What a person sees before embedding."""

import sqlite3
from contextlib import closing

import pytest
from fake_models import WordLengths

from datasette_embeddings.engine.contents import make_recipe
from datasette_embeddings.engine.preview import Cut, count_longer, preview, text_columns
from datasette_embeddings.engine.tables import source_table


@pytest.fixture
def conn():
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("create table t (id integer primary key, a text, b, n integer, data blob)")
        conn.executemany(
            "insert into t values (?, ?, ?, ?, ?)",
            [(1, "to be", "or", 1, b"\x01\x02"), (2, None, "not", 2, b""), (3, " ", None, 3, None)],
        )
        yield conn


def look(conn, *columns, template=None, binary=False, seconds=5.0):
    source = source_table(conn, "t")
    recipe = make_recipe("t", source.names, columns, template, binary=binary)
    return preview(conn, source, recipe, seconds)


def test_rows_and_characters(conn):
    """Rows with a content are counted, and the characters that the model will get."""
    found = look(conn, "a", "b")
    assert (found.rows, found.empty, found.size, found.complete) == (2, 1, len("to be\nor") + len("not"), True)
    assert found.first == "to be\nor"


def test_a_template(conn):
    """The template's own words are counted too."""
    assert look(conn, "a", template="A {{ a }}").sample == ("A to be",)


def test_binary(conn):
    """Of binary, the bytes are counted."""
    found = look(conn, "data", binary=True)
    assert (found.rows, found.empty, found.size) == (1, 2, 2)


def test_no_time(conn):
    """Where the time is up, what was counted so far is a lower bound."""
    conn.executemany("insert into t (a) values (?)", [("x",)] * 1000)
    found = look(conn, "a", seconds=0)
    assert not found.complete
    assert 0 < found.rows < 1000


def test_the_sample_is_bounded(conn):
    """A thousand contents are kept at most."""
    conn.executemany("insert into t (a) values (?)", [("x",)] * 2000)
    found = look(conn, "a")
    assert (found.rows, len(found.sample)) == (2001, 1000)


def test_text_columns(conn):
    """Declared text, or text by the first value; neither keys nor numbers nor binary."""
    assert text_columns(conn, source_table(conn, "t")) == ["a", "b"]


class Counting(WordLengths):
    max_tokens = 2

    def count_tokens(self, content):
        return len(content.split())


def test_contents_longer_than_the_model_reads():
    """Each content is counted by the model itself."""
    assert count_longer(Counting(), ["to be", "to be or", "not"]) == Cut(3, 1)


def test_models_that_cannot_count():
    """Without a limit, or without a count, nothing is said."""
    model = Counting()
    model.max_tokens = None
    assert count_longer(model, ["to be or"]) is None
    assert count_longer(WordLengths(), ["to be or"]) is None
    assert count_longer(Counting(), [b"binary"]) is None


def test_counting_ends_with_the_time():
    """What was counted until then is told."""
    assert count_longer(Counting(), ["to be or"] * 10, seconds=-1) == Cut(1, 1)
