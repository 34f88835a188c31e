"""A real browser on a real server: the form, progress without reloading, the buttons, and narrow screens."""

import sqlite3
from contextlib import closing

import pytest
from chromium import new_context

ROWS = 200
NARROW = {"width": 375, "height": 720}
SMALL = """() => [...document.querySelectorAll(".embed a, .embed button, .embed input, .embed select, .embed textarea")]
    .filter((element) => element.type !== "hidden" && !element.matches("p > a:not(.embed-button, .embed-link)"))
    .map((element) => element.closest("label") || element)
    .filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 40)
    .map((element) => element.outerHTML)"""


@pytest.fixture
def library(tmp_path):
    """Two hundred rows, three of which no model called failing can embed, and a table of a long name."""
    path = tmp_path / "data.db"
    rows = [(n, f"Note {n}{' FAIL' if n % 67 == 0 else ''}", f"{n} loaves of bread") for n in range(1, ROWS + 1)]
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table notes (id integer primary key, title text, body text, cover blob)")
        conn.executemany("insert into notes values (?, ?, ?, null)", rows)
        conn.execute(f"create table {'long_' * 20}name (id text primary key, {'wide_' * 20}column text)")
        conn.execute(f"insert into {'long_' * 20}name values ('{'key' * 40}', 'FAIL')")
    return path


@pytest.fixture
def hold(tmp_path):
    """The model held-by-file waits as long as this file is there."""
    path = tmp_path / "hold"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def server(serve, library, hold, page):
    """A server on which the browser is root."""
    server = serve(library, root=True, env={"FAKE_MODELS_HOLD": str(hold)})
    cookie = server.sign_in()["ds_actor"]
    page.context.add_cookies([{"name": "ds_actor", "value": cookie, "url": server.url}])
    return server


def stay(page):
    """Mark the document, so that a reload would show."""
    page.evaluate("window.stillHere = true")


def status(page, expected):
    """Wait until the page shows the status, without having been reloaded."""
    page.wait_for_selector(f".embed-status-{expected}")
    assert page.evaluate("window.stillHere")


def test_embedding_a_table(server, page, hold):
    """A person fills in the form, watches to the end, pauses and resumes once, and deletes what was made."""
    hold.touch()
    page.goto(server.url + "/-/embed")
    page.select_option("select[name=table]", label="notes")
    page.click("text=Choose columns")
    assert page.is_checked("input[value=title]")
    assert not page.is_checked("input[value=cover]")
    page.uncheck("input[value=body]")
    page.select_option("select[name=model]", "held-by-file")
    page.click("button:has-text('Embed')")
    page.wait_for_url(server.url + "/data/-/embed/notes")
    stay(page)
    status(page, "running")
    page.click("button[value=pause]")
    status(page, "paused")
    hold.unlink()
    page.click("button[value=resume]")
    status(page, "finished")
    assert page.inner_text("[data-embed=progress]") == f"{ROWS} of {ROWS} rows"
    assert page.inner_text("[data-embed=rows-embedded]") == str(ROWS)
    page.click("button[value=delete]")
    page.wait_for_selector(f"text={ROWS} vectors of notes")
    page.click("button:has-text('Delete')")
    page.wait_for_url(server.url + "/data/-/embed")
    page.wait_for_selector("text=has been embedded yet")


def test_progress_moves(server, page, hold):
    """Rows done grow on the page as batches are saved, and failed rows appear with a way to each."""
    server.post("/data/notes/-/embed.json", {"columns": ["title"], "model": "failing"}, 201)
    page.goto(server.url + "/data/-/embed/notes")
    stay(page)
    status(page, "finished")
    page.wait_for_selector("text=Rows that failed")
    page.click("td a:has-text('67')")
    page.wait_for_url(server.url + "/data/notes/67")


def test_the_preview_follows_the_form(server, page):
    """What is chosen and typed is previewed at once, and what is wrong is said."""
    page.goto(server.url + "/data/notes/-/embed")
    stay(page)
    page.uncheck("input[value=title]")
    page.wait_for_selector("pre:text-is('1 loaves of bread')")
    page.fill("textarea", "A note: {{ title }}")
    page.wait_for_selector("pre:text-is('A note: Note 1')")
    page.fill("textarea", "A note: {{ nosuch }}")
    page.wait_for_selector(".embed-problem:has-text('nosuch')")
    assert not page.is_visible("pre")
    page.fill("textarea", "")
    page.check("input[value=title]")
    page.wait_for_selector("text=200 rows with")
    assert page.evaluate("window.stillHere")


def test_an_action_that_comes_too_late(server, page):
    """A button whose time is over says so, and the page then shows the present state."""
    server.post("/data/notes/-/embed.json", {"columns": ["title"], "model": "lengths"}, 201)
    page.goto(server.url + "/data/-/embed/notes")
    page.wait_for_selector(".embed-status-finished")
    stay(page)
    server.post("/data/-/embed/notes.json", {"action": "delete"}, 200)
    page.click("button[value=update]")
    page.wait_for_selector("[role=alert]:has-text('There is no collection')")
    assert page.evaluate("window.stillHere")


def test_without_javascript(server, browser, hold):
    """Form, progress and buttons do the same by reloading."""
    hold.touch()
    with closing(new_context(browser, java_script_enabled=False)) as context:
        context.add_cookies([{"name": n, "value": v, "url": server.url} for n, v in server.client.cookies.items()])
        page = context.new_page()
        page.goto(server.url + "/data/notes/-/embed")
        page.uncheck("input[value=title]")
        page.select_option("select[name=model]", "held-by-file")
        page.click("button:has-text('Preview')")
        page.wait_for_selector("pre:text-is('1 loaves of bread')")
        assert not page.is_checked("input[value=title]")
        page.click("button:text-is('Embed')")
        page.wait_for_selector(".embed-status-running")
        page.click("button[value=pause]")
        page.wait_for_selector(".embed-status-paused")
        hold.unlink()
        page.click("button[value=resume]")
        page.wait_for_selector(".embed-status-finished")  # it reloads every three seconds


def test_narrow_screens(server, page, hold):
    """At 375 pixels nothing scrolls sideways, and every control is at least 40 pixels high, on all pages."""
    long = "long_" * 20 + "name"
    column = "wide_" * 20 + "column"
    server.post(f"/data/{long}/-/embed.json", {"columns": [column], "model": "failing"}, 201)
    hold.touch()
    server.post("/data/notes/-/embed.json", {"columns": ["title"], "model": "held-by-file"}, 201)
    page.set_viewport_size(NARROW)
    for path in (
        "/-/embed",
        "/data/-/embed",
        "/data/notes/-/embed",
        f"/data/{long}/-/embed?columns={column}&template={'x' * 200}{{{{{column}}}}}&model=lengths",
        "/data/notes/-/embed?template=x",
        "/data/-/embed/notes",
        f"/data/-/embed/{long}",
    ):
        page.goto(server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(SMALL) == [], path
    page.goto(server.url + "/data/-/embed/notes")
    page.click("button[value=delete]")
    page.wait_for_selector("text=Keep it")
    page.wait_for_load_state()
    assert page.evaluate(SMALL) == []


def test_models_on_narrow_screens(server, page):
    """At 375 pixels every cell of the list of models stands below the one before it, with its heading beside it."""
    page.set_viewport_size(NARROW)
    page.goto(server.url + "/-/embed")
    cells = page.locator("tr:has(> [data-label='Longest text'])").first.locator("td")
    tops = [box["y"] for box in (cells.nth(n).bounding_box() for n in range(cells.count()))]
    assert tops == sorted(set(tops))
    headings = "cells => cells.map(cell => getComputedStyle(cell, '::before').content.slice(1, -1))"
    assert cells.evaluate_all(headings) == [
        *("Model", "Also called", "From", "Takes", "Dimensions", "Longest text", "Runs", "State")
    ]


def test_every_input_has_a_label(server, page):
    """A screen reader can name every control of the form."""
    page.goto(server.url + "/data/notes/-/embed")
    unnamed = "element => element.labels && !element.labels.length && element.type !== 'hidden' && !element.textContent"
    controls = ".embed input, .embed select, .embed textarea"
    assert page.evaluate(f"[...document.querySelectorAll('{controls}')].filter({unnamed}).length") == 0


def test_the_table_still_shows(server, page):
    """Datasette's own pages are as they were, with one more entry in the menu."""
    page.goto(server.url + "/data/notes")
    assert "1 loaves of bread" in page.inner_text("table.rows-and-columns")
    assert page.locator("a[href='/data/notes/-/embed']").count() == 1
