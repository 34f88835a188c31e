"""A real browser on a real server: following, switched on the form and on the page, and told by the page."""

import pytest
from embedded import read, wait_until, write
from followed import triggers


@pytest.fixture
def server(serve, notes, page):
    """A server on which the browser is root."""
    server = serve(notes, root=True)
    cookie = server.sign_in()["ds_actor"]
    page.context.add_cookies([{"name": "ds_actor", "value": cookie, "url": server.url}])
    return server


def embed(server, page, *, follow):
    """Embed the notes by the form, with the box ticked or not, and wait for the end."""
    page.goto(server.url + "/data/notes/-/embed")
    box = page.locator("input[type=checkbox][name=follow]")
    assert box.is_checked()
    box.set_checked(follow)
    page.select_option("select[name=model]", "word-lengths")
    page.click("button:text-is('Embed')")
    page.wait_for_selector(".embed-status-finished")
    page.evaluate("window.stillHere = true")


def come_back(page):
    """What a browser tells the page when somebody comes back to its tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_changes_are_told_to_who_comes_back(server, page, notes):
    """The page, left open, says after a look at it that changes were dealt with; it was not loaded again."""
    embed(server, page, follow=True)
    assert page.inner_text("[data-embed=following]") == "Kept up to date: no change waits."
    write(notes, "update notes set title = 'changed' where id = 1")
    wait_until(notes, "select status = 'finished' from _embed_jobs where kind = 'noted'", "the change to be dealt with")
    come_back(page)
    page.wait_for_selector("[data-embed=following]:has-text('the last was dealt with at')")
    assert page.evaluate("window.stillHere")


def test_the_buttons(server, page, notes):
    """One button takes the triggers away, another makes them again and has every row compared."""
    embed(server, page, follow=True)
    page.click("button[value=unfollow]")
    page.wait_for_selector("text=Changes of the table are not followed")
    assert triggers(notes) == {}
    write(notes, "update notes set title = 'unnoted' where id = 1")
    page.click("button[value=follow]")
    page.wait_for_selector("[data-embed=cause]:has-text('were not noted before')")
    page.wait_for_selector(".embed-status-finished")
    assert (len(triggers(notes)), page.evaluate("window.stillHere")) == (4, True)
    assert read(notes, "select embedded from _embed_jobs order by id desc limit 1") == [(1,)]


def test_without_the_tick(server, page, notes):
    """Who takes the tick away gets a table without triggers."""
    embed(server, page, follow=False)
    assert triggers(notes) == {}
    assert page.locator("button[value=follow]").count() == 1
