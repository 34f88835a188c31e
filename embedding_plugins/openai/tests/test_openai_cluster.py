"""Several servers of one model: who gets a request, and what becomes of those that fail."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import PATIENCE, wait_for

import datasette_embed_openai as plugin
from datasette_embeddings import ModelBusy, ModelError

TEXTS = [f"text {number}" for number in range(12)]


@pytest.fixture
def pair(start_server):
    return start_server(), start_server()


@pytest.fixture
def cluster(configured, pair):
    """cluster(**entry): a model on both servers, with a request for each content, one at a time to each server."""

    def model(**entry):
        urls = [server.url for server in pair]
        return configured(**{"base_url": urls, "request_contents": 1, "concurrency": 1, **entry})

    return model


def embed(model, texts=TEXTS):
    """The model's vectors, as lists."""
    return list(model.embed_multi(texts))


def counts(pair):
    return [len(server.requests) for server in pair]


def test_requests_are_spread(cluster, pair):
    """Each server has as many in flight at once as configured."""
    for server in pair:
        server.held.clear()
    with ThreadPoolExecutor(1) as pool:
        vectors = pool.submit(embed, cluster(concurrency=3))
        wait_for(lambda: [server.in_flight for server in pair] == [3, 3], "three requests in flight at each")
        for server in pair:
            server.held.set()
        assert vectors.result(PATIENCE) == [server.vector_of(text) for text in TEXTS]


def test_the_least_busy_one_is_asked(cluster, pair):
    """A server that is slow gets one request while the other does all the rest."""
    slow, quick = pair
    slow.held.clear()
    with ThreadPoolExecutor(1) as pool:
        vectors = pool.submit(embed, cluster())
        wait_for(lambda: counts(pair) == [1, 11], "eleven answers of the quick server")
        slow.held.set()
        assert vectors.result(PATIENCE) == [quick.vector_of(text) for text in TEXTS]


def test_equally_busy_ones_take_turns(cluster, pair):
    """Queries, which come one by one, do not all go to the first."""
    model = cluster()
    for _ in range(4):
        model.embed_query("bread")
    assert counts(pair) == [2, 2]


def test_one_that_is_down_is_left_out(cluster, pair, clock):
    """The others go on without a pause, and after a while it is tried again."""
    down, up = pair
    down.answer = lambda body: (502, "bad gateway")
    model = cluster()
    assert embed(model) == [up.vector_of(text) for text in TEXTS]
    assert (counts(pair), clock.pauses) == ([1, 12], [0.0])
    clock.now += plugin.LEFT_OUT
    down.answer = down.well
    embed(model)
    assert len(down.requests) > 1


def test_one_that_is_not_there(configured, server, closed_port):
    """Nobody listens at the first address: the second server does all of the work."""
    urls = [f"http://127.0.0.1:{closed_port}/v1", server.url]
    assert embed(configured(base_url=urls, request_contents=1)) == [server.vector_of(text) for text in TEXTS]


def test_one_that_asks_for_a_pause(cluster, pair, clock):
    """It has its pause, however long, and the others go on at once."""
    tired, other = pair
    tired.replies.append((429, "", {"Retry-After": "600"}))
    model = cluster()
    for minute in (0, 5, 9):
        clock.now = 1000 + minute * 60
        assert embed(model) == [other.vector_of(text) for text in TEXTS]
    assert (len(tired.requests), clock.pauses) == (1, [0.0])
    clock.now = 1600
    embed(model)
    assert len(tired.requests) > 1


def test_one_that_hangs(cluster, pair):
    """A content whose server never answers is embedded by another, even if it has taken longer than retry_seconds."""
    pair[0].held.clear()
    model = cluster(timeout=2, retry_seconds=0.01)
    assert embed(model, ["bread"]) == [pair[0].vector_of("bread")]
    assert counts(pair) == [1, 1]


def test_the_last_one_is_not_left_out(cluster, pair, clock):
    """Where all fail for a moment, a moment is what is lost."""
    for server in pair:
        server.replies.append((503, ""))
    assert embed(cluster(), ["bread"]) == [pair[0].vector_of("bread")]
    assert sum(clock.pauses) <= 1.0


def test_all_are_down(cluster, pair):
    """ModelBusy, with what the last one said."""
    for server in pair:
        server.answer = lambda body: (503, "restarting")
    with pytest.raises(ModelBusy, match="503 Service Unavailable: restarting"):
        embed(cluster(retry_seconds=1e-6), ["bread"])
    assert counts(pair) == [1, 1]


def test_a_content_that_breaks_every_server(cluster, pair, clock):
    """It is the content that is at fault, and no server is left out for it."""
    for server in pair:
        server.answer = lambda body, well=server.well: (500, "oh") if "bad" in body["input"] else well(body)
    model = cluster()
    with pytest.raises(ModelError, match="500") as caught:
        embed(model, ["bad"])
    assert type(caught.value) is ModelError
    assert counts(pair) == [2, 2]  # three attempts and a probe
    embed(model)
    assert min(counts(pair)) > 2
