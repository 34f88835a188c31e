"""Searching in a real browser: from the table, by filters, by rows, by an image, and without JavaScript."""

import base64
import sqlite3
from contextlib import closing

import pytest
from chromium import new_context
from embedded import embed, make_file
from fake_models import ByteCounts, WordLengths
from test_browser import NARROW, SMALL

ROWS = [(n, f"Note {n}", f"{'a' * (n % 5 + 1)} {'b' * (n % 3 + 1)}", n % 2) for n in range(1, 31)]
WORDS = 'create virtual table notes_fts using fts5(body, content="notes", content_rowid="id")'


@pytest.fixture
def url(serve, tmp_path):
    """The address of a server over an immutable file with two embedded tables, one of pictures."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("create table kinds (id integer primary key, name text)")
        conn.executemany("insert into kinds values (?, ?)", [(0, "Even"), (1, "Odd")])
        conn.execute(
            "create table notes (id integer primary key, title text, body text, kind integer references kinds(id))"
        )
        conn.executemany("insert into notes values (?, ?, ?, ?)", ROWS)
        conn.execute(WORDS)
        conn.execute("insert into notes_fts(notes_fts) values ('rebuild')")
        conn.execute("create table pictures (id integer primary key, picture blob)")
        conn.executemany("insert into pictures values (?, ?)", [(n, bytes([40 * n] * 20)) for n in range(6)])
    embed(path, "notes", ["body"], WordLengths())
    embed(path, "pictures", ["picture"], ByteCounts())
    return serve(args=["-i", path]).url


def test_from_the_table_to_the_rows(url, page):
    """A person types a question above a filtered table, edits the filters, and goes on to rows like one."""
    page.goto(f"{url}/data/notes?kind=1")
    page.fill("input[name=q]", "aaa bb")
    page.press("input[name=q]", "Enter")
    page.wait_for_url(f"{url}/data/notes/-/similar?*")
    assert "where kind = 1" in page.inner_text("h2")
    assert page.locator(".embed-results tbody tr").count() == 10
    assert page.locator(".embed-results td.col-kind a:text-is('Odd')").count() == 10
    page.fill("input[name=_filter_value_1]", "0")
    page.select_option("select[name=_mode]", "both")
    page.click("button:has-text('Apply')")
    page.wait_for_url(f"{url}/data/notes/-/similar?*kind__exact=0*")
    assert "_filter" not in page.url
    assert "by meaning" in page.inner_text(".embed-match >> nth=0")
    page.click(".embed-match a >> nth=0")
    page.wait_for_selector("h1:has-text('rows like')")
    page.wait_for_load_state()
    assert "where kind = 0" in page.inner_text("h2")
    page.fill("input[name=q]", "b aaaa")
    page.press("input[name=q]", "Enter")
    page.wait_for_url("**q=b+aaaa**")
    assert "row=" not in page.url


def test_similar_rows(url, page):
    """Every row of the table's page leads to rows like it, and so does the row's own page."""
    page.goto(f"{url}/data/notes")
    assert page.locator("a.embed-similar").count() == len(ROWS)
    page.click("a.embed-similar >> nth=3")
    page.wait_for_selector("h1:text-is('notes: rows like 4')")
    page.click("h2 a")
    page.wait_for_url(f"{url}/data/notes/4")
    page.click("a:text-is('Similar rows')")
    page.wait_for_selector("h1:text-is('notes: rows like 4')")


def test_the_sql_runs(url, page):
    """The link to SQL shows the same rows in the same order."""
    page.goto(f"{url}/data/notes/-/similar?q=aaa+bb&kind=1")
    titles = page.locator(".embed-results td.col-title").all_inner_texts()
    page.click("text=View and edit SQL")
    page.wait_for_url("**sql=**")
    assert page.locator("td.col-title").all_inner_texts() == titles


def test_an_image(url, page):
    """A large image is made small before it is sent, and the rows like it are shown."""
    page.goto(f"{url}/data/pictures/-/similar")
    page.set_input_files("input[type=file]", {"name": "x.txt", "mimeType": "image/png", "buffer": b"no image"})
    page.wait_for_selector("[role=alert]:has-text('x.txt is no image')")
    drawn = page.evaluate(
        """() => { const c = document.createElement("canvas"); c.width = 3000; c.height = 1500;
        c.getContext("2d").fillRect(0, 0, 2000, 1500); return c.toDataURL("image/png").split(",")[1] }"""
    )
    with page.expect_request(lambda request: request.method == "POST") as sent:
        image = {"name": "x.png", "mimeType": "image/png", "buffer": base64.b64decode(drawn)}
        page.set_input_files("input[type=file]", image)
    page.wait_for_selector(".embed-results tbody tr")
    data = sent.value.post_data_json["image"]
    size = page.evaluate(
        """async (data) => { const image = new Image(); image.src = "data:image/jpeg;base64," + data;
        await image.decode(); return [image.width, image.height] }""",
        data,
    )
    assert size == [1024, 512]


DRAW = """(colour) => { const c = document.createElement("canvas"); c.width = c.height = 40;
    const context = c.getContext("2d"); context.fillStyle = colour; context.fillRect(0, 0, 40, 40);
    return c.toDataURL("image/png").split(",")[1] }"""


@pytest.fixture
def drawings(serve, tmp_path, page):
    """The address of a server over three drawn pictures and one row that is none, and the red one's bytes."""
    drawn = [base64.b64decode(page.evaluate(DRAW, colour)) for colour in ("red", "green", "blue")]
    path = make_file(
        tmp_path / "drawn.db",
        "create table drawings (id integer primary key, picture blob)",
        drawings=list(enumerate([*drawn, b"no picture"], 1)),
    )
    embed(path, "drawings", ["picture"], ByteCounts())
    return f"{serve(args=['-i', path]).url}/drawn/drawings/-/similar", drawn[0]


def search_by(page, url, image):
    """Open the page and send an image."""
    page.goto(url)
    page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": image})
    page.wait_for_selector(".embed-results")


def ids(page):
    """The ids of the matches, in order, once the page is whole."""
    page.wait_for_load_state()
    return [int(text) for text in page.locator(".embed-results td.type-pk").all_inner_texts()]


def test_pictures_beside_the_matches(drawings, page):
    """Each match that is a picture shows it and leads to its row, and the image that was sent is shown too."""
    url, red = drawings
    search_by(page, url, red)
    assert (ids(page)[0], len(ids(page))) == (1, 4)
    page.wait_for_load_state()
    assert page.locator(".embed-picture").count() == 4  # three rows, and the image that was sent
    drawn = "e => e.complete && e.naturalWidth === 40"
    page.wait_for_function(f"[...document.querySelectorAll('.embed-picture')].every({drawn})")
    page.click(".embed-match:has-text('1.000') >> a:has(img)")
    page.wait_for_url("**/drawn/drawings/1")


def test_an_image_stays_when_a_filter_changes(drawings, page):
    """Applying a filter, and taking one away, searches by the same image; a text typed then takes its place."""
    url, red = drawings
    search_by(page, f"{url}?_where=id+%3E+0", red)
    first = ids(page)
    page.click("summary:has-text('Filters')")
    page.select_option("select[name=_filter_column]", "id")
    page.select_option("select[name=_filter_op]", "lt")
    page.fill("input[name=_filter_value]", "4")
    page.click("button:has-text('Apply')")
    page.wait_for_url("**id__lt=4*")
    assert ids(page) == [number for number in first if number < 4]
    assert "like" in page.inner_text("h2")
    page.click(".embed-others a")
    page.wait_for_url(lambda address: "_where" not in address)
    assert ids(page) == [number for number in first if number < 4]
    page.fill("input[name=q]", "a text")
    page.press("input[name=q]", "Enter")
    page.wait_for_url("**q=a+text*")
    assert page.locator("[data-embed=image-asked]").count() == 0


def test_the_sql_of_an_image(drawings, page):
    """The query page gives the same rows, by the vector that the model made of the image."""
    url, red = drawings
    search_by(page, url, red)
    found = ids(page)
    page.click("text=View and edit SQL")
    page.wait_for_selector("td.col-score")
    page.wait_for_load_state()
    assert [int(text) for text in page.locator("td.col-id").all_inner_texts()] == found


def test_a_vector_stays_when_a_filter_changes(drawings, page):
    """So does a vector that was posted by a form."""
    url, _ = drawings
    page.goto(url)
    page.evaluate(
        """numbers => { const form = document.querySelector("[data-embed-image]");
        form.elements.image.name = "vector"; form.elements.vector.value = numbers; form.submit() }""",
        f"[{', '.join('1' * 16)}]",
    )
    page.wait_for_selector("h2:has-text('4 rows like your vector')")
    first = ids(page)
    page.click("summary:has-text('Filters')")
    page.select_option("select[name=_filter_column]", "id")
    page.fill("input[name=_filter_value]", str(first[1]))
    page.click("button:has-text('Apply')")
    page.wait_for_selector("h2:has-text('1 row like your vector')")
    assert ids(page) == [first[1]]


def test_without_javascript(url, browser):
    """Box, form and links do the same."""
    with closing(new_context(browser, java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(f"{url}/data/notes")
        page.fill("input[name=q]", "aaa bb")
        page.press("input[name=q]", "Enter")
        page.wait_for_url(f"{url}/data/notes/-/similar?*")
        page.click("summary:has-text('Filters')")
        page.select_option("select[name=_filter_column]", "kind")
        page.fill("input[name=_filter_value]", "1")
        page.click("button:has-text('Apply')")
        page.wait_for_selector("h2:has-text('where kind = 1')")
        page.goto(f"{url}/data/notes/7")
        page.click("a:text-is('Similar rows')")
        page.wait_for_selector("h1:text-is('notes: rows like 7')")
        page.goto(f"{url}/data/pictures/-/similar")
        assert not page.is_visible("[data-embed-image]")


def test_narrow_screens(url, page):
    """At 375 pixels nothing scrolls sideways, and every control is at least 40 pixels high."""
    page.set_viewport_size(NARROW)
    similar = f"/data/notes/-/similar?q={'x' * 300}&_mode=both&kind=1&_where=title+is+not+null"
    for path in ("/data/notes", "/data/notes/1", similar, "/data/notes/-/similar?row=1", "/data/pictures/-/similar"):
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        controls = page.evaluate(SMALL)
        assert [html for html in controls if "embed-" in html or "<a" not in html] == [], path


def test_every_input_has_a_label(url, page):
    """A screen reader can name every control, and tell the rows' links and the filters from each other."""
    page.goto(f"{url}/data/notes/-/similar?q=x&kind=1&id__gt=2")
    first = page.inner_text(".embed-results td.type-pk >> nth=0")
    for name in ("Column of filter 1", "Value of filter 2", "Operator of a new filter", f"Similar rows to {first}"):
        assert page.get_by_label(name, exact=True).count() == 1, name
    unnamed = "e => e.type !== 'hidden' && !e.labels?.length && !e.textContent.trim() && !e.ariaLabel"
    controls = ".embed input, .embed select, .embed button"
    assert page.evaluate(f"[...document.querySelectorAll('{controls}')].filter({unnamed}).length") == 0
