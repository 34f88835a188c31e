"""Filters restrict the rows before they are ranked, as on Datasette's own table page."""

import sqlite3
from contextlib import closing
from urllib.parse import urlencode

import pytest
from clients import get, get_json, post_json
from datasette import hookimpl
from datasette.filters import FilterArguments, Filters
from fake_models import WordLengths

SIMILAR = "/data/notes/-/similar"
OPERATORS = [(key, no_argument) for key, _, no_argument in Filters([]).lookups()]
ROWS = [  # year, title, tags, day
    (1900, "Apple pie", '["a", "b"]', "2020-01-01"),
    (1950, "apple", '["b"]', "2020-01-02T10:00"),
    (2000, "Pear", "[]", None),
    (None, "", '["a"]', "nonsense"),
    (-5, None, "[1]", "2020-01-01 12:00"),
    (1950, "100%_sure", "[]", ""),
]
VALUES = {
    "year": ["1950", "1900,2000", "[1950, -5]", "9"],
    "title": ["apple", "Apple pie", "%pp%", "*pp*", "100%", ""],
    "tags": ["a", "b", "1"],
    "day": ["2020-01-01", "2020"],
}


@pytest.fixture
def path(tmp_path, embed):
    """Six notes, one more that was never embedded, and a full-text index."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "create table notes (id integer primary key, year integer, title text, tags text, day text, q text)"
        )
        for number, row in enumerate(ROWS, 1):
            conn.execute("insert into notes values (?, ?, ?, ?, ?, ?)", (number, *row, "x" * number))
        conn.execute('create virtual table notes_fts using fts5(title, content="notes", content_rowid="id")')
        conn.execute("insert into notes_fts(notes_fts) values ('rebuild')")
    embed(path, "notes", "q")
    return path


async def both(datasette, arguments):
    """The keys on the table page and those of a search with the same arguments, each in order of the keys."""
    table = await get_json(datasette, f"/data/notes.json?_shape=objects&_size=max&{arguments}")
    found = await get_json(datasette, f"{SIMILAR}.json?q=xxx&_size=max&{arguments}")
    return [row["id"] for row in table["rows"]], sorted(match["row"]["id"] for match in found["matches"])


@pytest.mark.parametrize("operator", OPERATORS, ids=[operator[0] for operator in OPERATORS])
async def test_every_operator(make_datasette, path, operator):
    """A search finds just the rows that the table page shows, whatever the operator."""
    key, no_argument = operator
    datasette = make_datasette(path, models=[WordLengths()])
    somewhere = set()
    for column, values in VALUES.items():
        if key.startswith("array") and column != "tags":
            continue
        for value in ["1"] if no_argument else values:
            expected, found = await both(datasette, urlencode({f"{column}__{key}": value}))
            assert found == expected, (column, value)
            somewhere |= set(found)
    assert somewhere


@pytest.mark.parametrize(
    "arguments",
    [
        "year=1950",
        "year__gt=1900&title__contains=apple",
        "year__gt=1900&year__lt=2000",
        "title=apple&title=Pear",
        "YEAR=1950",
        "q__exact=xx",
        "_where=year%3E1900",
        "_where=year%3E1900&_where=title+is+not+null",
        "_search=apple",
        "_search_title=pear",
        "_search=apple&year=1950",
        "year__in=[]",
    ],
)
async def test_several_filters(make_datasette, path, arguments):
    """Filters of columns, SQL and full text, alone and together."""
    expected, found = await both(make_datasette(path, models=[WordLengths()]), arguments)
    assert found == expected


async def test_ten_asked_for_are_ten_given(make_datasette, tmp_path, embed):
    """The rows are restricted before they are ranked, not after."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table notes (id integer primary key, kind text, body text)")
        kinds = ("usual", "rare")
        texts = (f"{'a' * (n % 7 + 1)} {'b' * (n % 50 + 1)}" for n in range(1000))
        rows = [(n, kinds[n % 50 == 0], text) for n, text in enumerate(texts, 1)]
        conn.executemany("insert into notes values (?, ?, ?)", rows)
    embed(path, "notes", "body")
    datasette = make_datasette(path, models=[WordLengths()])
    data = await get_json(datasette, SIMILAR + ".json?q=a+bbbbbbbbbbbbb&kind=rare")
    assert [match["row"]["kind"] for match in data["matches"]] == ["rare"] * 10
    data = await get_json(datasette, SIMILAR + ".json?row=1&kind=rare&_size=max")
    assert len(data["matches"]) == 20


async def test_a_table_without_a_key(make_datasette, tmp_path, embed):
    """Its rowid is a column to filter by."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table notes (body text)")
        conn.executemany("insert into notes values (?)", [("a b",), ("a bb",), ("a bbb",)])
    embed(path, "notes", "body")
    datasette = make_datasette(path, models=[WordLengths()])
    data = await get_json(datasette, SIMILAR + ".json?q=a+bbb&rowid__lt=3")
    assert [match["row"]["rowid"] for match in data["matches"]] == [2, 1]
    assert "<option>rowid</option>" in (await get(datasette, SIMILAR)).text


async def test_where_takes_its_permission(make_datasette, path):
    """Who may not execute SQL may not filter by it."""
    datasette = make_datasette(path, models=[WordLengths()], config={"allow_sql": False})
    for suffix in ("", ".json"):
        response = await get(datasette, SIMILAR + suffix + "?q=x&_where=1")
        assert response.status_code == 403
        assert "not allowed" in response.text


class OnlyOdd:
    """A plugin that filters by an argument of its own."""

    __name__ = "OnlyOdd"

    @hookimpl
    def filters_from_request(self, request, table):
        if request.args.get("_odd"):
            return FilterArguments(["id % :odd_two"], params={"odd_two": 2}, human_descriptions=["is odd"])


async def test_other_plugins(make_datasette, path):
    """What another plugin filters by restricts the rows, is said on the page and can be taken away."""
    datasette = make_datasette(path, models=[WordLengths()], plugins=[OnlyOdd()])
    data = await get_json(datasette, SIMILAR + ".json?q=x&_odd=1&year__gt=0")
    assert sorted(match["row"]["id"] for match in data["matches"]) == [1, 3]
    assert data["filters"] == "where is odd and year > 0"
    page = (await get(datasette, SIMILAR + "?q=x&_odd=1&year__gt=0")).text
    assert "where is odd and year &gt; 0" in page
    assert f'href="{SIMILAR}?q=x&amp;year__gt=0"' in page
    assert '<input type="hidden" name="_odd" value="1">' in page


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ("q=x&_filter_column=year&_filter_op=gt&_filter_value=1900", "q=x&year__gt=1900"),
        ("q=x&_filter_column_1=year&_filter_op_1=lt&_filter_value_1=3&_filter_column=", "q=x&year__lt=3"),
        ("q=x&_filter_column_1=&_filter_op_1=lt&_filter_value_1=3", "q=x"),
        ("q=x&_filter_column=title&_filter_op=isnull__1&_filter_value=", "q=x&title__isnull=1"),
        ("q=&row=1&_mode=meaning&_size=10&_min_score=&_filter_column=", "row=1"),
        ("q=x&row=1&_mode=both&_size=5&_min_score=0.5&_filter_column=", "q=x&_mode=both&_size=5&_min_score=0.5"),
        ("q=x&_odd=1&_filter_column=q&_filter_op=exact&_filter_value=q", "q=x&_odd=1&q__exact=q"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".json", ".csv"])
async def test_the_form(make_datasette, path, fields, address, suffix):
    """The form works without JavaScript, as on the table page: its fields become a plain address."""
    datasette = make_datasette(path, models=[WordLengths()])
    response = await get(datasette, f"{SIMILAR}{suffix}?{fields}")
    assert response.status_code == 302
    assert response.headers["location"] == f"{SIMILAR}{suffix}?{address}"


async def test_the_form_shows_the_filters(make_datasette, path):
    """Each filter can be changed, in a row of its own."""
    page = (
        await get(make_datasette(path, models=[WordLengths()]), SIMILAR + "?q=x&year__gt=1900&title__isnull=1")
    ).text
    assert "<option selected>year</option>" in page
    assert 'name="_filter_value_2" value="1900"' in page
    assert '<option value="isnull__1" selected>' in page


async def test_a_wrong_filter_leaves_the_others(make_datasette, path):
    """The form keeps what was asked for, so that only what is wrong has to be mended."""
    response = await get(make_datasette(path, models=[WordLengths()]), SIMILAR + "?q=x&year__gt=1900&nosuch=1")
    assert response.status_code == 400
    assert 'value="1900"' in response.text


async def test_a_filter_that_never_ends(make_datasette, path):
    """A search ends within the time that a query may take."""
    datasette = make_datasette(path, models=[WordLengths()], settings={"sql_time_limit_ms": 100})
    endless = "(with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n)"
    data = await get_json(datasette, f"{SIMILAR}.json?{urlencode({'q': 'x', '_where': endless})}", status=400)
    assert "took longer than the 100 ms" in data["error"]


async def test_filters_of_a_vector(make_datasette, path):
    """What is posted is filtered as what is asked by address."""
    datasette = make_datasette(path, models=[WordLengths()])
    response = await post_json(datasette, SIMILAR + ".json?year=1950", {"vector": [1.0] * 16})
    assert sorted(match["row"]["id"] for match in response.json()["matches"]) == [2, 6]
