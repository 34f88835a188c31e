"""Answers that are no vectors: each becomes an error that names the model and the server, and says what is wrong."""

import re

import pytest

from datasette_embeddings import ContentRefused, KeyRefused, ModelBusy, ModelError, ModelUnavailable

HTML = ("<!doctype html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})
PLAIN = {"index": 0, "embedding": [0.5, 1.0]}


def data(*items):
    """An answer with these items, as bread, milk and eggs get it."""
    return 200, {"data": items}


def refused(configured, server, *reply, contents=("bread",), **entry):
    """The error to which such a reply leads, whatever is asked."""
    server.answer = lambda body: reply
    with pytest.raises(ModelError) as caught:
        list(configured(base_url=server.url, retry_seconds=0.01, **entry).embed_multi(contents))
    assert str(caught.value).startswith(f"The model m: {server.host} ")
    return caught.value


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (data(PLAIN), r"3 indexed vectors: .*there are 1"),
        (data(PLAIN, PLAIN, PLAIN, PLAIN), r"3 indexed vectors: .*there are 4"),
        (data(PLAIN, PLAIN, PLAIN), r"3 indexed vectors: KeyError\(1\)"),
        (data({"embedding": [1]}, PLAIN, PLAIN), r"3 indexed vectors: KeyError\('index'\)"),
        (data({"index": 0}, PLAIN, PLAIN), r"3 indexed vectors: KeyError\('embedding'\)"),
        (data("a", "b", "c"), r"3 indexed vectors: TypeError"),
        ((200, {"data": None}), r"3 indexed vectors: TypeError"),
        ((200, []), r"3 indexed vectors: TypeError"),
        ((200, {"error": "out of memory"}), r"3 indexed vectors: KeyError\('data'\)"),
        ((200, "{'half an answ"), r"3 indexed vectors: JSONDecodeError"),
        ((200, b"\xff\xfe\x00\x81"), r"3 indexed vectors: (Unicode|JSON)DecodeError"),
        ((200, ""), r"3 indexed vectors: JSONDecodeError"),
    ],
)
def test_something_else_than_vectors(configured, server, reply, message):
    """Too few, too many, without index, garbage: a plain ModelError, for other contents may be answered."""
    error = refused(configured, server, *reply, contents=["bread", "milk", "eggs"])
    assert not isinstance(error, ModelUnavailable | ModelBusy)
    assert re.search(f"did not answer with {message}", str(error))


@pytest.mark.parametrize("embedding", ["AACAPw", "AACAP", "!!!!", "AACAPwA=", ["a"], [[1.0], [1.0, 2.0]], {"a": 1}])
def test_something_else_than_a_vector(configured, server, embedding):
    """Base64 of something else than 32-bit floats, and lists of something else than numbers."""
    error = refused(configured, server, *data({"index": 0, "embedding": embedding}))
    assert "did not answer with 1 indexed vectors: " in str(error)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [(None, "m returned"), ([], "m returned empty vectors"), ([1e400], "m returned a vector with NaN or infinity")],
)
def test_a_vector_that_is_none(configured, server, embedding, message):
    """What decodes and still is no vector is refused as with every model."""
    server.answer = lambda body: data({"index": 0, "embedding": embedding})
    with pytest.raises(ModelError, match=f"The model {message}"):
        configured(base_url=server.url).embed("bread")


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (400, {"error": {"message": "too long:\n9000 tokens", "type": "x", "code": None}}, "too long: 9000 tokens"),
        (413, {"error": "too long", "error_type": "Validation"}, "too long"),
        (422, {"detail": [{"type": "string_too_long", "msg": "too long", "input": "bread"}]}, "too long"),
        (424, {"object": "error", "message": "too long", "code": 40303}, "too long"),
        (400, "too long", "too long"),
        (400, "x" * 1000, "x" * 300 + "…"),
        (400, HTML[0], "an HTML page"),
        (400, {"unheard": "of"}, '{"unheard": "of"}'),
        (400, '"error": "no \\escape"', '"error": "no \\escape"'),
    ],
)
def test_a_content_is_refused(configured, server, status, body, shown):
    """ContentRefused, so that its row is not tried again by itself, with what the server says, however it wraps it."""
    error = refused(configured, server, status, body)
    assert type(error) is (ContentRefused if status != 424 else ModelError)
    assert str(error).partition(f" answered {status} ")[2].partition(": ")[2] == shown


def test_a_content_among_others_is_refused(configured, server):
    """Nobody knows which it is: a plain ModelError, on which a job halves the batch."""
    server.answer = lambda body: (400, "too long")
    with pytest.raises(ModelError, match="too long") as caught:
        list(configured(base_url=server.url).embed_multi(["bread", "butter"]))
    assert type(caught.value) is ModelError


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_is_refused(configured, server, monkeypatch, status):
    """KeyRefused, at once: nothing is tried again."""
    monkeypatch.setenv("MY_KEY", "sk-mine")
    error = refused(configured, server, status, {"error": "no such key"}, key_env_var="MY_KEY")
    assert type(error) is KeyRefused
    assert str(error).endswith(": no such key")
    assert len(server.requests) == 1


def test_a_key_that_is_missing(configured, server):
    """Where none was sent the error says how to name one."""
    error = refused(configured, server, 401, {"detail": "Unauthorized"})
    assert type(error) is KeyRefused
    assert str(error).endswith("Unauthorized (no key was sent: name one in needs_key or key_env_var)")


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ((404, {"error": {"message": 'model "mini" not found'}}), 'answered 404 Not Found: model "mini" not found'),
        ((404, *HTML), "answered 404 Not Found: an HTML page"),
        ((405, ""), "answered 405 Method Not Allowed: no reason given."),
        ((200, *HTML), "answered 200 OK: an HTML page"),
        (
            (302, "", {"Location": "https://elsewhere.example/?token=secret"}),
            "answered 302 Found: no reason given.",
        ),
        ((307, "", {"Location": "/v2/embeddings"}), "answered 307 Temporary Redirect: no reason given."),
    ],
)
def test_nothing_is_answered_there(configured, server, reply, shown):
    """A wrong address, an unknown model, a redirect: ModelUnavailable, for no content will be answered."""
    error = refused(configured, server, *reply)
    assert type(error) is ModelUnavailable
    assert shown in str(error)
    assert str(error).endswith(". Are its base_url and its name right?")
    assert "secret" not in str(error)
    assert len(server.requests) == 1


def test_an_account_without_credit(configured, server):
    """OpenAI says so by a 429, but no waiting helps: ModelUnavailable."""
    message = "You exceeded your current quota, please check your plan and billing details."
    error = refused(configured, server, 429, {"error": {"message": message, "code": "insufficient_quota"}})
    assert type(error) is ModelUnavailable
    assert str(error).endswith(message.rstrip("."))
    assert len(server.requests) == 1
