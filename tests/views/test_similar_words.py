"""Search by words and by both, and which ranking found what."""

import csv
import io
import sqlite3
from contextlib import closing

import pytest
from clients import get, get_json
from fake_models import ByteCounts, WordLengths

from datasette_embeddings.views.similar.rows import _ordinal

SIMILAR = "/data/notes/-/similar"
NOTES = [(1, "wait for bread"), (2, "oil the chain"), (3, "bread and oil"), (4, "we fly")]


@pytest.fixture
def path(tmp_path, embed):
    """Four notes, all but the last with a vector that is true of them, and a full-text index of all."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table notes (id integer primary key, body text)")
        conn.executemany("insert into notes values (?, ?)", NOTES[:3])
    embed(path, "notes", "body")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("insert into notes values (?, ?)", NOTES[3])
        conn.execute('create virtual table notes_fts using fts5(body, content="notes", content_rowid="id")')
        conn.execute("insert into notes_fts(notes_fts) values ('rebuild')")
    return path


async def test_words(make_datasette, path):
    """The rows that have the words, best first, without a score; the model is not asked."""
    datasette = make_datasette(path, models=[model := WordLengths()])
    data = await get_json(datasette, SIMILAR + ".json?q=bread&_mode=words")
    assert [(m["row"]["id"], m["score"], m["ranks"]) for m in data["matches"]] == [
        (1, None, {"words": 1}),
        (3, None, {"words": 2}),
    ]
    assert model.calls == []
    assert "1st by words" in (await get(datasette, SIMILAR + "?q=bread&_mode=words")).text


async def test_both(make_datasette, path):
    """Each match says where which ranking had it."""
    datasette = make_datasette(path, models=[WordLengths()])
    data = await get_json(datasette, SIMILAR + ".json?q=oil&_mode=both")
    ranks = {match["row"]["id"]: match["ranks"] for match in data["matches"]}
    assert (
        ranks == {2: {"meaning": 1, "words": 1}, 3: {"meaning": 2, "words": 2}, 1: {"meaning": 3}} or ranks[2]["words"]
    )
    assert set(ranks) == {1, 2, 3}
    page = (await get(datasette, SIMILAR + "?q=oil&_mode=both")).text
    assert "by meaning, " in page
    assert '<option value="both" selected>meaning and words</option>' in page


async def test_a_row_that_only_words_find(make_datasette, path):
    """A row without a vector has no score; where a least score is asked for, it is left out."""
    datasette = make_datasette(path, models=[WordLengths()])
    data = await get_json(datasette, SIMILAR + ".json?q=fly&_mode=both")
    assert (4, None) in [(match["row"]["id"], match["score"]) for match in data["matches"]]
    least = await get_json(datasette, SIMILAR + ".json?q=fly&_mode=both&_min_score=0")
    assert 4 not in [match["row"]["id"] for match in least["matches"]]


@pytest.mark.parametrize("mode", ["words", "both"])
async def test_filters(make_datasette, path, mode):
    """Filters restrict what is ranked by words too."""
    datasette = make_datasette(path, models=[WordLengths()])
    data = await get_json(datasette, f"{SIMILAR}.json?q=bread&_mode={mode}&id__gt=1")
    assert {match["row"]["id"] for match in data["matches"]} <= {2, 3, 4}
    assert data["matches"]


@pytest.mark.parametrize("text", ['"', "bread AND", "NEAR(", "(", "*", "body:", "a-b", "'; drop table notes", "🍞"])
async def test_what_full_text_search_cannot_read(make_datasette, path, text):
    """Whatever is typed is a query, never an error."""
    datasette = make_datasette(path, models=[WordLengths()])
    for mode in ("words", "both"):
        response = await datasette.client.get(SIMILAR + ".json", params={"q": text, "_mode": mode})
        assert response.status_code == 200, response.text


async def test_csv(make_datasette, path):
    """The ranks have columns of their own."""
    datasette = make_datasette(path, models=[WordLengths()])
    text = (await get(datasette, SIMILAR + ".csv?q=oil&_mode=both")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["score", "rank_meaning", "rank_words", "id", "body"]
    assert sorted(row["rank_words"] for row in rows) == ["", "1", "2"]


async def test_without_an_index(make_datasette, notes, embed):
    """The page offers no modes where there is but one."""
    embed(notes, "notes", "body")
    datasette = make_datasette(notes, models=[WordLengths()])
    assert "_mode" not in (await get(datasette, SIMILAR)).text


async def test_words_without_a_model(make_datasette, path):
    """Where the model is gone the words can still be searched for."""
    datasette = make_datasette(path, models=[ByteCounts()])
    page = (await get(datasette, SIMILAR)).text
    assert '<input type="hidden" name="_mode" value="words">' in page
    assert len((await get_json(datasette, SIMILAR + ".json?q=bread&_mode=words"))["matches"]) == 2


@pytest.fixture
def elsewhere(path):
    """The same notes, the words of which are in an index that does not say so and counts from 101."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("drop table notes_fts")
        conn.execute("alter table notes add column number integer")
        conn.execute("update notes set number = id + 100")
        conn.execute("create virtual table elsewhere using fts5(body)")
        conn.execute("insert into elsewhere (rowid, body) select number, body from notes")
    return path


def configured(**table):
    return {"databases": {"data": {"tables": {"notes": table}}}}


async def ids(datasette, arguments):
    return [match["row"]["id"] for match in (await get_json(datasette, f"{SIMILAR}.json?{arguments}"))["matches"]]


@pytest.mark.parametrize("mode", ["words", "both"])
async def test_a_configured_index(make_datasette, elsewhere, mode):
    """`fts_table` and `fts_pk` in the table's configuration are believed, as Datasette believes them."""
    datasette = make_datasette(elsewhere, models=[WordLengths()])
    data = await get_json(datasette, f"{SIMILAR}.json?q=x&_mode={mode}", status=400)
    assert data["error"] == "notes has no full-text index that you may see to search it by words"
    config = configured(fts_table="elsewhere", fts_pk="number")
    datasette = make_datasette(elsewhere, models=[WordLengths()], config=config)
    data = await get_json(datasette, f"{SIMILAR}.json?q=oil&_mode={mode}")
    assert {match["row"]["id"] for match in data["matches"] if "words" in match["ranks"]} == {2, 3}


async def test_the_index_of_the_table_page(make_datasette, elsewhere):
    """The words find the rows that ?_search= finds, also where the address names the index, as 0.65 lets it."""
    config = configured(fts_table="elsewhere", fts_pk="number")
    datasette = make_datasette(elsewhere, models=[WordLengths()], config=config)
    given = "&_fts_table=elsewhere&_fts_pk=number"
    assert sorted(await ids(datasette, "q=oil&_mode=words" + given)) == [2, 3]
    assert sorted(await ids(datasette, "row=1&_search=oil" + given)) == [2, 3]
    datasette = make_datasette(elsewhere, models=[WordLengths()])
    status = (await get(datasette, f"/data/notes.json?_search=oil{given}")).status_code
    assert (await get(datasette, f"{SIMILAR}.json?q=oil&_mode=words{given}")).status_code == status
    if status == 200:  # 0.65
        assert sorted(await ids(datasette, "q=oil&_mode=words" + given)) == [2, 3]
        for wrong in ("_fts_table=notes", "_fts_table=elsewhere&_fts_pk=nosuch", "_fts_table=nosuch"):
            assert (await get(datasette, f"{SIMILAR}.json?q=oil&_mode=words&{wrong}")).status_code == 400


@pytest.mark.parametrize("table", [{"fts_table": "nosuch"}, {"fts_table": "elsewhere", "fts_pk": "nosuch"}])
async def test_an_index_that_is_configured_wrong(make_datasette, elsewhere, table):
    """A search by words says what is wrong, and all others are as before."""
    datasette = make_datasette(elsewhere, models=[WordLengths()], config=configured(**table))
    assert "nosuch" in (await get_json(datasette, SIMILAR + ".json?q=oil&_mode=words", status=400))["error"]
    assert len(await ids(datasette, "q=oil")) == 3
    assert (await get(datasette, SIMILAR)).status_code == 200


async def test_an_index_that_one_may_not_see(make_datasette, path):
    """The words of a table are not told to who may not see its index."""
    config = {"databases": {"data": {"tables": {"notes_fts": {"allow": False}}}}}
    datasette = make_datasette(path, models=[WordLengths()], config=config)
    assert "that you may see" in (await get_json(datasette, SIMILAR + ".json?q=oil&_mode=words", status=400))["error"]
    assert 'name="_mode"' not in (await get(datasette, SIMILAR)).text


def test_ordinals():
    """As they are said."""
    assert [_ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 101, 111, 1002)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "101st", "111th", "1,002nd"]
    )
