"""A real browser on a real server: jobs that wait, rows that failed, and what a job would cost."""

import pytest
from embedded import write
from servers import wait_for

BUSY = "Waiting for the model's server: The fake server is busy; next attempt at "


@pytest.fixture
def busy(tmp_path):
    """The model busy finds its server busy as long as this file is there."""
    path = tmp_path / "busy"
    path.touch()
    return path


@pytest.fixture
def server(serve, notes, busy, page):
    """A server on which the browser is root."""
    server = serve(notes, root=True, env={"FAKE_MODELS_BUSY": str(busy)})
    cookie = server.sign_in()["ds_actor"]
    page.context.add_cookies([{"name": "ds_actor", "value": cookie, "url": server.url}])
    return server


def stay(page):
    """Mark the document, so that a reload would show."""
    page.evaluate("window.stillHere = true")


def embed(server, model, **members):
    """A collection of the notes, and its job."""
    return server.post("/data/notes/-/embed.json", {"columns": ["body"], "model": model, **members}, 201).json()


def test_a_job_that_waits_says_so(server, page, busy):
    """The page, open all the time, says what is waited for, and no longer once the server answers."""
    page.goto(server.url + "/data/notes/-/embed")
    page.select_option("select[name=model]", "busy")
    page.click("button:text-is('Embed')")
    page.wait_for_url(server.url + "/data/-/embed/notes")
    stay(page)
    page.wait_for_selector(f'.message-warning:has-text("{BUSY}")')
    job = server.json("/data/-/embed/notes.json")["job"]
    assert (job["status"], job["reason"].startswith(BUSY)) == ("running", True)
    busy.unlink()
    page.wait_for_selector(".embed-status-finished")
    assert page.locator(".message-warning").count() == 0
    assert page.evaluate("window.stillHere")


def test_a_job_that_waits_is_cancelled(server, page):
    """Cancel ends the wait: the worker is free for the next job."""
    embed(server, "busy")
    page.goto(server.url + "/data/-/embed/notes")
    stay(page)
    page.wait_for_selector(f'.message-warning:has-text("{BUSY}")')
    page.click("button[value=cancel]")
    page.wait_for_selector(".embed-status-cancelled")
    assert page.locator(".message-warning").count() == 0
    embed(server, "lengths", collection="next")
    wait_for(lambda: server.json("/data/-/embed/next.json")["job"]["status"] == "finished", "the next job")
    assert page.evaluate("window.stillHere")


def fill_in(server, page, **limits):
    """The form for the notes' bodies, by the model that has a price."""
    page.goto(server.url + "/data/notes/-/embed")
    stay(page)
    page.uncheck("input[value=title]")
    page.select_option("select[name=model]", "priced")
    page.click(".embed-limits summary")
    for name, value in limits.items():
        page.fill(f"input[name={name}]", value)


def test_the_form_says_what_it_costs(server, page):
    """Contents, tokens and dollars follow what is chosen, and go away with a model that costs nothing."""
    fill_in(server, page)
    page.wait_for_selector("text=3 contents would go to the model: 17 tokens, $17.00")
    page.select_option("select[name=model]", "word-lengths")
    page.wait_for_selector("[data-embed=estimate]", state="hidden")
    assert page.evaluate("window.stillHere")


def test_a_limit_is_reached_and_raised(server, page):
    """The job pauses, says what it has cost, and goes on with the limit that is typed beside "Resume"."""
    fill_in(server, page, max_cost="12")
    page.click("button:text-is('Embed')")
    page.wait_for_url(server.url + "/data/-/embed/notes")
    page.wait_for_selector(".embed-status-paused")
    stay(page)
    page.wait_for_selector("text=The next content would exceed the limit of $12.00")
    assert page.inner_text("[data-embed=spent]") == "12 tokens, $12.00 of $12.00"
    page.fill("input[name=max_cost]", "much")
    page.click("button[value=resume]")
    page.wait_for_selector("[role=alert]:has-text('max_cost must be a number of US dollars above 0')")
    page.fill("input[name=max_cost]", "")
    page.click("button[value=resume]")
    page.wait_for_selector(".embed-status-finished")
    assert page.inner_text("[data-embed=spent]") == "17 tokens, $17.00"
    assert page.evaluate("window.stillHere")


def test_retry_failed(server, page, notes):
    """The button tries the failed rows again, and they leave the page once they are embedded."""
    write(notes, "update notes set body = 'FAIL' where id = 2")
    embed(server, "failing")
    page.goto(server.url + "/data/-/embed/notes")
    page.wait_for_selector("text=Rows that failed")
    stay(page)
    assert page.inner_text("td[data-label=Attempts]") == "1"
    write(notes, "update notes set body = 'mended' where id = 2")
    page.click("button[value=retry]")
    page.wait_for_selector("text=Rows that failed", state="detached")
    page.wait_for_selector("[data-embed=rows-embedded]:text-is('3')")
    page.wait_for_selector("button[value=retry]", state="detached")
    assert page.evaluate("window.stillHere")
