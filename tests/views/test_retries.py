"""Rows that failed: what the page says of them, and "Retry failed"."""

import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from clients import get, get_json, post_form, post_json
from embedded import embed, make_file, read, write
from fake_models import Failing, WordLengths

from datasette_embeddings.views import collection

ROOT, READER = {"id": "root"}, {"id": "reader"}
PAGE, JSON = "/data/-/embed/notes", "/data/-/embed/notes.json"


class Mended(WordLengths):
    """The model failing, whose fault has passed."""

    model_id = "failing"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file with three notes and 240 that failed."""
    rows = [(number, f"note {number}") for number in (1, 2, 3)]
    rows += [(number, f"FAIL {number}") for number in range(100, 340)]
    script = "create table notes (id integer primary key, title text)"
    path = make_file(tmp_path_factory.mktemp("failed") / "data.db", script, notes=rows)
    embed(path, "notes", ["title"], Failing())
    return path


@pytest.fixture
def failed(file, tmp_path):
    """A copy of it."""
    return shutil.copy(file, tmp_path)


async def test_attempts_and_the_next(make_datasette, failed):
    """Each failed row says how often it was tried, and when it will be again."""
    datasette = make_datasette(failed, models=[Failing()])
    row = (await get_json(datasette, JSON))["errors"]["rows"][0]
    assert (row["attempts"], re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["retry_at"]) is not None) == (1, True)
    write(failed, "update _embed_errors set attempts = 4, retry_at = null where row_key = '[100]'")
    row = (await get_json(datasette, JSON))["errors"]["rows"][0]
    assert (row["attempts"], row["retry_at"]) == (4, None)
    page = (await get(datasette, PAGE)).text
    assert re.search(r'<td data-label="Attempts">4</td>\s*<td data-label="Next attempt">.</td>', page)


async def test_more_than_a_page_of_them(make_datasette, failed):
    """They are shown a hundred at a time, each once."""
    datasette = make_datasette(failed, models=[Failing()])
    keys, path, ends = [], PAGE, []
    while path:
        page = (await get(datasette, path)).text
        keys += re.findall(r'<td data-label="Row"><a class="embed-link" href="/data/notes/(\d+)"', page)
        ends += re.findall(r"<p>(.*?)\. Those with a next attempt", page)
        path = next(iter(re.findall(r'href="([^"]*)">The next rows that failed', page)), None)
    assert sorted(map(int, keys)) == list(range(100, 340))
    assert ends == ["The first 100 of 240", "101 to 200 of 240", "201 to 240 of 240"]


async def test_a_page_of_them_in_json(make_datasette, failed):
    """`next` is what `_next` wants; what is no number is refused."""
    datasette = make_datasette(failed, models=[Failing()])
    first = (await get_json(datasette, JSON))["errors"]
    last = (await get_json(datasette, f"{JSON}?_next={first['next']}"))["errors"]
    assert (first["first"], last["first"], len(last["rows"])) == (1, 101, 100)
    response = await get(datasette, f"{JSON}?_next=x")
    assert (response.status_code, response.json()["error"][:5]) == (400, "_next")


async def test_what_is_written_while_the_page_is_read(make_datasette, failed, monkeypatch):
    """Counts, failures and the job are those of one moment: no row is missing from both."""
    write(failed, "pragma journal_mode = wal")
    counted = collection.row_counts

    def row_counts(*arguments):
        counts = counted(*arguments)
        write(failed, "delete from _embed_errors")
        return counts

    monkeypatch.setattr(collection, "row_counts", row_counts)
    data = await get_json(make_datasette(failed, models=[Failing()]), JSON)
    assert (data["rows"]["failed"], data["errors"]["total"]) == (240, 240)


async def test_retry(make_datasette, failed, working, wait_for_status):
    """A job over the failed rows alone, which the worker runs; then there is nothing left to retry."""
    datasette = make_datasette(failed, models=[model := Mended()])
    assert (await get_json(datasette, JSON, ROOT))["actions"] == ["update", "retry", "follow", "delete"]
    response = await post_json(datasette, JSON, {"action": "retry"}, ROOT)
    assert (response.status_code, response.json()["job"]["kind"]) == (200, "failed")
    working(datasette)
    data = await wait_for_status(datasette, JSON, "finished", actor=ROOT)
    assert (data["job"]["rows_total"], data["rows"]["failed"], data["rows"]["embedded"]) == (240, 0, 243)
    assert sorted(content for content in model.contents if content != "warm")[0] == "FAIL 100"
    assert data["actions"] == ["update", "follow", "delete"]


async def test_an_update_leaves_them_alone(make_datasette, failed, working, wait_for_status):
    """It hands none of them to the model before it is due, and the page and the JSON say how many it left."""
    datasette = make_datasette(failed, models=[model := Mended()])
    await post_json(datasette, JSON, {"action": "update"}, ROOT)
    working(datasette)
    data = await wait_for_status(datasette, JSON, "finished", actor=ROOT)
    assert (data["job"]["postponed"], data["job"]["failed"], data["rows"]["failed"]) == (240, 0, 240)
    assert [content for content in model.contents if content != "warm"] == []
    assert "243 of 243 rows, 240 postponed" in (await get(datasette, PAGE)).text


async def test_an_update_after_every_row_failed(make_datasette, notes, embed, working, wait_for_status):
    """The rows may not have been at fault: whoever presses Update or Resume has all of them tried."""
    write(notes, "update notes set title = 'FAIL'")
    embed(notes, "notes", "title", model=Failing())
    datasette = make_datasette(notes, models=[Mended()])
    await post_json(datasette, JSON, {"action": "resume"}, ROOT)
    working(datasette)
    data = await wait_for_status(datasette, JSON, "finished", actor=ROOT)
    assert (data["job"]["postponed"], data["rows"]["embedded"]) == (0, 3)


async def test_the_button(make_datasette, failed):
    """Without JavaScript it does the same."""
    datasette = make_datasette(failed, models=[Failing()])
    assert 'value="retry">Retry failed</button>' in (await get(datasette, PAGE, ROOT)).text
    response = await post_form(datasette, PAGE, {"action": "retry"}, ROOT)
    assert (response.status_code, response.headers["location"]) == (303, PAGE)
    assert read(failed, "select kind, status, actor from _embed_jobs order by id desc limit 1") == [
        ("failed", "pending", "root")
    ]


async def test_nothing_to_retry(make_datasette, notes):
    """409 and a sentence."""
    embed(notes, "notes", ["title"], WordLengths())
    response = await post_json(make_datasette(notes, models=[WordLengths()]), JSON, {"action": "retry"}, ROOT)
    assert (response.status_code, response.json()["error"]) == (409, "There is nothing to retry: no row has failed")


async def test_who_may_retry(make_datasette, failed):
    """It takes embed-table."""
    response = await post_json(make_datasette(failed, models=[Failing()]), JSON, {"action": "retry"}, READER)
    assert response.status_code == 403


async def test_a_table_whose_name_has_a_slash(make_datasette, tmp_path):
    """The way to the row is right on both lines."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute('create table "a/b, c.d" (id text primary key, body text)')
        conn.execute("""insert into "a/b, c.d" values ('x/y', 'FAIL')""")
    embed(path, "a/b, c.d", ["body"], Failing())
    datasette = make_datasette(path, models=[Failing()])
    (row,) = (await get_json(datasette, "/data/-/embed/a~2Fb~2C+c~2Ed.json"))["errors"]["rows"]
    assert "x/y" in (await get(datasette, row["url"])).text
