"""A real browser on a real server: a job that waits for its model's server."""

import pytest
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
