"""Which columns LLM embedded."""

from contextlib import closing

import pytest
from embedded import make_file
from llm_files import collection

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.llm.guessing import Guess, guess
from datasette_embeddings.engine.llm.tables import find_collection
from datasette_embeddings.engine.tables import source_table

COLUMNS = "id integer primary key, title text, body text, year integer"
ROWS = [(1, "Bread", "Mix and bake", 2001), (2, "Bicycles", None, 2002), (3, "Birds", "Swifts sleep", None)]


@pytest.fixture
def guessed(tmp_path):
    """guessed(**contents): what a collection of LLM's is taken for that has these contents by id."""

    def run(columns=COLUMNS, rows=ROWS, **contents):
        data = make_file(tmp_path / "data.db", f"create table notes ({columns})", notes=rows)
        file = tmp_path / "embeddings.db"
        collection(file, **{id: ([1.0], content) for id, content in contents.items()})
        with closing(connect(data)) as conn, closing(connect(file)) as llms:
            return guess(conn, source_table(conn, "notes"), llms, find_collection(llms, "notes"))

    return run


def test_one_column(guessed):
    """A single column is its own content."""
    assert guessed(**{"1": "Bread", "2": "Bicycles", "3": "Birds"}) == Guess(("title",))


def test_columns_as_we_join_them(guessed):
    """By newlines, without those that are NULL."""
    found = guessed(**{"1": "Bread\nMix and bake", "2": "Bicycles", "3": "Birds\nSwifts sleep"})
    assert found == Guess(("title", "body"))


def test_columns_as_llm_joins_them(guessed):
    """By blanks, with nothing between two for one that is NULL."""
    found = guessed(**{"1": "Bread Mix and bake 2001", "2": "Bicycles  2002", "3": "Birds Swifts sleep "})
    assert found == Guess((), "{{ title }} {{ body }} {{ year }}")


def test_rows_that_changed_meanwhile(guessed):
    """What fits the most rows is taken, even where some fit nothing."""
    assert guessed(**{"1": "Mix and bake", "2": "nothing now", "3": "Swifts sleep"}) == Guess(("body",))


def test_nothing_fits(guessed):
    """Contents of another making, and ids of no row, are not guessed at."""
    assert guessed(**{"1": "Bread: Mix and bake", "x": "Bread"}) is None


def test_names_that_no_template_takes(guessed):
    """A column that a template cannot name is no reason to fail."""
    columns = 'id integer primary key, chunk text, "a }} b" text'
    assert guessed(columns, [(1, "x", "y")], **{"1": "x y"}) is None
