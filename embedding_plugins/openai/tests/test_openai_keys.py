"""No key is told, whatever a server makes of it: not in an error, a log, a page or the file."""

import json
import traceback

import pytest
from embedded import read
from servers import wait_for

from datasette_embeddings import KeyRefused, ModelError
from datasette_embeddings.engine.models import load

KEY = "sk-proj-Zm9v/YmFy+0123456789"
SHOWN_BY_OPENAI = "Incorrect API key provided: sk-proj-***************6789. You can find yours at openai.com."
ENTRY = {"key_env_var": "MY_KEY", "retry_seconds": 0.01}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)


def raised(model):
    """What the model raises by itself, before anybody else takes keys out of its errors."""
    load(model)
    with pytest.raises(ModelError) as caught:
        model.embed_batch(["bread"])
    return caught.value


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"data": [{"index": 0, "embedding": [KEY]}]}),
        (200, f"Bearer {KEY}"),
        (400, {"error": {"message": f"bad request of {KEY}"}}),
        (401, {"error": {"message": SHOWN_BY_OPENAI}}),
        (401, f"no such key: {KEY}"),
        (403, {"detail": [{"msg": "x" * 290 + KEY}]}),
        (404, f"Authorization: Bearer {KEY}"),
        (429, f"the limit of {KEY} is reached"),
        (500, f"Traceback: {{'headers': {{'Authorization': 'Bearer {KEY}'}}}}"),
    ],
)
def test_a_server_that_repeats_the_key(configured, server, status, body):
    """No part of it is in the error, nor in what a log would print of it."""
    server.answer = lambda request: (status, body)
    error = raised(configured(base_url=server.url, **ENTRY))
    shown = "".join(traceback.format_exception(error))
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert [part for part in (KEY, KEY[:9], KEY[-4:]) if part in shown] == []


@pytest.mark.parametrize("wrong", ["sk-with\nline", "sk-schlüssel", "sk with spaces"])
def test_a_key_that_cannot_be_sent(configured, server, monkeypatch, wrong):
    """KeyRefused, rather than the HTTP library's error, which would quote it."""
    monkeypatch.setenv("MY_KEY", wrong)
    error = raised(configured(base_url=server.url, **ENTRY))
    assert isinstance(error, KeyRefused)
    assert str(error) == "The key of the model m holds characters that no key has"
    assert server.requests == []


def test_a_password_in_the_address(configured, start_server):
    """An error names the host alone."""
    server = start_server()
    server.answer = lambda body: (404, "")
    error = raised(configured(base_url=f"http://me:secret@{server.host}/v1"))
    assert f"m: {server.host} answered 404" in str(error)
    assert "secret" not in "".join(traceback.format_exception(error))


def test_a_key_under_the_models_id(configured, server):
    """A key that the configuration has under a model's id is sent, even if the model needs none."""
    model = configured(base_url=server.url)
    model.key = "sk-of-m"  # as the registry sets it
    model.embed("bread")
    assert server.requests[0].headers["Authorization"] == "Bearer sk-of-m"


def test_a_real_server(serve, server, notes, tmp_path):
    """Pages, JSON, the log and the file of a server whose key is refused, and repeated, do not have it."""
    server.answer = lambda body: (401, f"no such key: {KEY}")
    models = [{"id": "m", "name": "mini", "base_url": server.url, **ENTRY}]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"plugins": {"datasette-embed-openai": {"models": models}}}))
    env = {"DATASETTE_LOAD_PLUGINS": "datasette-embed,datasette-embed-openai", "NO_PROXY": "127.0.0.1"}
    ours = serve(notes, args=["-m", config], env=env, root=True)
    ours.sign_in()
    ours.post("/data/notes/-/embed.json", {"columns": ["body"], "model": "m"}, 201)
    wait_for(lambda: ours.json("/data/-/embed/notes.json")["job"]["status"] == "failed", "the job to fail")
    paths = [
        "/-/embed",
        "/-/embed.json",
        "/data/-/embed/notes",
        "/data/-/embed/notes.json",
        "/data/notes/-/similar?q=a",
    ]
    shown = "".join(ours.client.get(path, follow_redirects=True).text for path in paths)
    ours.terminate()
    assert "401 Unauthorized: no such key: ***" in shown
    assert "401 Unauthorized: no such key: ***" in read(notes, "select reason from _embed_jobs")[0][0]
    assert KEY not in shown + ours.output() + notes.read_bytes().decode("latin-1")
