"""The walk over a table's rows, and positions as they are kept."""

from contextlib import closing

import pytest
from embedded import embed, make_file
from fake_models import WordLengths
from hypothesis import given
from hypothesis import strategies as st

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.rows import BrokenText, key_from_json, key_json, reader
from datasette_embeddings.engine.tables import source_table

values = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.binary().map(BrokenText),
)


@given(st.lists(values, min_size=1, max_size=4).map(tuple))
def test_a_key_is_kept_exactly(key):
    """Whatever a key may hold comes back from JSON as it was, its type included."""
    again = key_from_json(key_json(key))
    assert (again, [type(value) for value in again]) == (key, [type(value) for value in key])


def walked(path, table, step):
    """The keys of a walk in steps of so many rows."""
    with closing(connect(path)) as conn:
        rows_of = reader(source_table(conn, table), get_collection(conn, table))
        keys, after = [], None
        while rows := list(rows_of.rows(conn, after, step)):
            keys += [row.key for row in rows]
            after = key_from_json(key_json(rows[-1].position))
        return keys


@pytest.mark.parametrize("step", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "create",
    [
        "create table notes (a, b, body, primary key (a, b)) without rowid",
        "create table notes (a, b, body, primary key (a desc, b)) without rowid",
        "create table notes (a, b, body, primary key (a, b))",
        "create table notes (a any, b any, body, primary key (a, b))",
        "create table notes (a text collate nocase, b real, body, primary key (a, b)) without rowid",
        "create table notes (a integer, b blob, body, primary key (b, a)) without rowid",
    ],
)
def test_a_walk_in_steps_meets_every_row_once(tmp_path, create, step):
    """However often it stops, a walk neither skips nor repeats a row, with keys of every type beside each other."""
    parts = (1, 2.5, -(2**62), float("inf"), "", "1x", "b", b"", b"\xff")
    rows = [(a, b, "text") for a in parts for b in parts]
    path = make_file(tmp_path / "data.db", create, notes=rows)
    embed(path, "notes", ["body"], WordLengths())
    keys = walked(path, "notes", step)
    assert (len(keys), len(set(keys))) == (len(rows), len(rows))
