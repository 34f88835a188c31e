"""A real browser shows a real server's page."""


def test_the_browser_shows_a_table(serve, notes, page):
    """Chromium reads what datasette serve answers."""
    page.goto(serve(notes).url + "/data/notes")
    assert "Swifts sleep while they fly" in page.inner_text("table.rows-and-columns")
