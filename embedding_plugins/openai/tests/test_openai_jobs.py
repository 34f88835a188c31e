"""From a page to stored vectors, by servers that fail in every way on the way."""

import json

import pytest
from embedded import embed, errors, make_file, read, vectors
from servers import wait_for

NOTES = "create table notes (id integer primary key, body text)"
ROWS = [(number, f"note {number} {'x' * number}") for number in range(1, 101)]
PLUGINS = {"DATASETTE_LOAD_PLUGINS": "datasette-embed,datasette-embed-openai", "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=ROWS)


def expected(server, *left_out):
    """The vectors of all rows but these."""
    return {key: server.vector_of(text) for key, text in ROWS if key not in left_out}


def test_a_page_to_stored_vectors(serve, server, path, tmp_path, closed_port):
    """A job of a real server gets through all that a model server does wrong, and its table can be searched."""
    server.replies.extend([server.well, (429, "", {"Retry-After": "1"}), (500, "oh"), server.too_short])
    server.replies.extend([(200, "garbage"), server.disorder, server.hang, (503, "")])
    urls = [f"http://127.0.0.1:{closed_port}", server.url]
    entry = {"id": "m", "name": "mini", "base_url": urls, "timeout": 2}
    (tmp_path / "config.json").write_text(json.dumps({"plugins": {"datasette-embed-openai": {"models": [entry]}}}))
    ours = serve(path, args=["-m", tmp_path / "config.json"], env=PLUGINS, root=True)
    ours.sign_in()
    ours.post("/data/notes/-/embed.json", {"columns": ["body"], "model": "m"}, 201)
    wait_for(lambda: ours.json("/data/-/embed/notes.json")["job"]["status"] == "finished", "the job to finish")
    assert not server.replies
    assert vectors(path, "notes") == expected(server)
    found = ours.json(f"/data/notes/-/similar.json?q={ROWS[41][1]}")["matches"][0]
    assert (found["row"]["id"], found["score"]) == (42, pytest.approx(1))


def test_a_content_that_is_refused(configured, server, path):
    """The good contents are saved, and the bad one is a failed row with what the server said."""

    def answer(body):
        too_long = any(text.startswith("note 50 ") for text in body["input"])
        return (400, {"error": {"message": "too many tokens"}}) if too_long else server.well(body)

    server.answer = answer
    job = embed(path, "notes", ["body"], configured(base_url=server.url, request_contents=8))
    assert (job.status, job.embedded, job.failed) == ("finished", 99, 1)
    assert vectors(path, "notes") == expected(server, 50)
    assert errors(path) == [f"The model m: {server.host} answered 400 Bad Request: too many tokens"]
    assert read(path, "select retry_at from _embed_errors") == [(None,)]  # it would fail each time


@pytest.mark.parametrize("limit", [3, 20])
def test_a_request_that_is_too_large(configured, server, path, limit):
    """A server that takes fewer contents than a request has gets fewer, and no row fails."""
    server.answer = lambda body: (413, "batch too large") if len(body["input"]) > limit else server.well(body)
    job = embed(path, "notes", ["body"], configured(base_url=server.url))
    assert (job.status, job.failed) == ("finished", 0)
    assert vectors(path, "notes") == expected(server)


def test_no_good_content_is_paid_for_twice(configured, server, path):
    """However often a batch is halved for the bad one among them."""
    server.answer = lambda body: (400, "no") if any("note 77 " in t for t in body["input"]) else server.well(body)
    embed(path, "notes", ["body"], configured(base_url=server.url, request_contents=1, concurrency=1))
    texts = [texts[0] for texts in server.batches]
    assert {text: texts.count(text) for _, text in ROWS if texts.count(text) != 1}.keys() == {ROWS[76][1]}


def test_a_refused_key_fails_the_job(configured, server, path):
    """At once, with the reason, and no row is blamed."""
    server.answer = lambda body: (401, {"error": "no such key"})
    job = embed(path, "notes", ["body"], configured(base_url=server.url))
    assert (job.status, job.embedded, job.failed) == ("failed", 0, 0)
    assert job.reason.startswith(f"The model m: {server.host} answered 401 Unauthorized: no such key")
    assert len(server.requests) == 1


def test_a_server_that_is_busy_for_longer(configured, server, path):
    """The job waits for it, and what came before the fault is not asked for again."""
    server.replies.extend([server.well, server.well, (429, "")])  # the first for the probe of the job
    model = configured(base_url=server.url, request_contents=16, concurrency=1, retry_seconds=0.001)
    job = embed(path, "notes", ["body"], model)
    assert (job.status, job.embedded, job.failed) == ("finished", 100, 0)
    assert vectors(path, "notes") == expected(server)
