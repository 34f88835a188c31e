"""What the plugin asks of a server, and how it reads the answer where all is well."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import PATIENCE, wait_for

from datasette_embeddings import EmbedError
from datasette_embeddings.testing.threads import in_threads

TEXTS = [f"text {number}" for number in range(10)]


@pytest.mark.parametrize("path", ["/v1", "/v1/", "", "/a/b"])
def test_a_request(configured, server, path):
    """It goes to `embeddings` below the base URL, names the model as its server does, and asks for base64."""
    model = configured(base_url=f"http://{server.host}{path}")
    assert model.embed("bread") == server.vector_of("bread")
    (request,) = server.requests
    assert request.path == f"{path.rstrip('/')}/embeddings"
    assert request.body == {"model": "mini", "input": ["bread"], "encoding_format": "base64"}
    assert "Authorization" not in request.headers


def test_a_key_is_sent(configured, server, monkeypatch):
    """It is a bearer token, without the line end that a file of keys may give it."""
    monkeypatch.setenv("MY_KEY", "sk-mine\n")
    configured(base_url=server.url, key_env_var="MY_KEY").embed("bread")
    assert server.requests[0].headers["Authorization"] == "Bearer sk-mine"


def test_a_password_in_the_address(configured, server):
    """It is sent as HTTP's own authentication, as to a proxy before the server."""
    configured(base_url=f"http://me:secret@{server.host}/v1").embed("bread")
    assert server.requests[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"


def test_dimensions(configured, server):
    """They are asked of the server, and what it answers is held to them."""
    model = configured(base_url=server.url, dimensions=8)
    assert model.embed("bread") == server.vector_of("bread")[:8]
    server.replies.append(lambda body: server.well({**body, "dimensions": 9}))
    with pytest.raises(EmbedError, match="The model m returned vectors of length 9; it declares 8"):
        model.embed("bread")


def test_prompts(configured, server):
    """Documents and queries have each their own."""
    model = configured(base_url=server.url, document_prompt="passage: ", query_prompt="query: ")
    model.embed("bread")
    model.embed_query("bread")
    assert server.batches == [["passage: bread"], ["query: bread"]]


def test_batches_by_items(configured, server):
    """A request holds no more contents than configured, and the vectors come in the order of the contents."""
    vectors = list(configured(base_url=server.url, request_contents=4, concurrency=1).embed_multi(TEXTS))
    assert server.batches == [TEXTS[:4], TEXTS[4:8], TEXTS[8:]]
    assert vectors == [server.vector_of(text) for text in TEXTS]


def test_batches_by_tokens(configured, server):
    """A request holds no more bytes than configured tokens; what is longer than that goes alone."""
    texts = ["aaaa", "bbbb", "cc", "ü" * 5, "a" * 50, "", "dd"]
    model = configured(base_url=server.url, request_tokens=10, concurrency=1)
    assert list(model.embed_multi(texts)) == [server.vector_of(text) for text in texts]
    assert server.batches == [["aaaa", "bbbb", "cc"], ["ü" * 5], ["a" * 50], ["", "dd"]]


def test_a_content_that_comes_twice_is_asked_for_once(configured, server):
    """And has its vector in both places."""
    vectors = list(configured(base_url=server.url).embed_multi(["a", "b", "a"]))
    assert vectors == [server.vector_of("a"), server.vector_of("b"), server.vector_of("a")]
    assert server.batches == [["a", "b"]]


def test_concurrency(configured, server):
    """As many requests are in flight as configured, and no more."""
    server.held.clear()
    model = configured(base_url=server.url, request_contents=1, concurrency=3)
    model.embed_query_batch([])  # nothing is asked for nothing
    with ThreadPoolExecutor(1) as pool:
        vectors = pool.submit(lambda: list(model.embed_multi(TEXTS)))
        wait_for(lambda: server.in_flight == 3, "three requests in flight")
        server.held.set()
        assert vectors.result(PATIENCE) == [server.vector_of(text) for text in TEXTS]
    assert server.most_in_flight == 3


def test_any_order(configured, server):
    """The answer goes by index, in whatever order it comes."""

    server.answer = server.disorder
    assert list(configured(base_url=server.url).embed_multi(TEXTS)) == [server.vector_of(text) for text in TEXTS]


def test_a_server_that_does_not_know_base64(configured, server):
    """It answers with lists of numbers, which are as good."""
    server.answer = lambda body: server.well({**body, "encoding_format": "float"})
    assert configured(base_url=server.url).embed("bread") == server.vector_of("bread")


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_server_that_refuses_base64(configured, server, status):
    """It is asked again without, and from then on: every request that was in flight, with no content at fault."""

    def refuse(body):
        if "encoding_format" in body:
            return status, {"error": {"message": "Setting 'encoding_format' is not supported"}}
        return server.well(body)

    server.answer = refuse
    model = configured(base_url=server.url, request_contents=1, concurrency=4)
    server.held.clear()
    with ThreadPoolExecutor(1) as pool:
        vectors = pool.submit(lambda: list(model.embed_multi(TEXTS)))
        wait_for(lambda: server.in_flight == 4, "four requests in flight")
        server.held.set()
        assert vectors.result(PATIENCE) == [server.vector_of(text) for text in TEXTS]
    assert len(server.requests) == len(TEXTS) + 4


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ("a\0b", "a\0b"),
        ("\ud800 lone", "\ufffd lone"),
        ("\ud83d\ude00 pair", "😀 pair"),
        ("", ""),
        ("\ufeffbom", "\ufeffbom"),
    ],
    ids=["nul", "lone-surrogate", "surrogate-pair", "empty", "byte-order-mark"],
)
def test_odd_contents(configured, server, content, sent):
    """A lone surrogate, which cannot be sent, becomes U+FFFD; the server says what it thinks of the rest."""
    configured(base_url=server.url).embed(content)
    assert server.batches == [[sent]]


def test_threads_share_the_model(configured, server):
    """Eight threads at once get each the vectors of their contents."""
    model = configured(base_url=server.url, request_contents=2)
    expected = [server.vector_of(text) for text in TEXTS]
    assert in_threads(lambda: list(model.embed_multi(TEXTS))) == [expected] * 8
