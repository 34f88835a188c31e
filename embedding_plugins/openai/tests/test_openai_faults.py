"""Servers that are busy, slow, broken or away: what is tried again, for how long, and what is said in the end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from time import monotonic

import pytest
from servers import PATIENCE, wait_for

import datasette_embed_openai as plugin
from datasette_embeddings import KeyRefused, ModelBusy, ModelError

TEXTS = [f"text {number}" for number in range(8)]
NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_what_passes_is_tried_again(configured, server, clock, status):
    """429, 5xx and their kin, with pauses whose upper bound doubles from half a second on."""
    server.replies.extend([(status, "later")] * 2)
    assert configured(base_url=server.url).embed("bread") == server.vector_of("bread")
    assert [pause <= limit for pause, limit in zip(clock.pauses, (0.5, 1.0), strict=True)] == [True, True]


def test_retry_after_is_obeyed(configured, server, clock):
    """No attempt comes earlier than the server asks, by seconds or by a date."""
    server.replies.append((429, "", {"Retry-After": "7"}))
    server.replies.append(
        (503, "", {"Retry-After": format_datetime(datetime.now(timezone.utc) + timedelta(seconds=20))})
    )
    model = configured(base_url=server.url)
    assert model.embed("bread") == server.vector_of("bread")
    assert clock.pauses == [7.0, pytest.approx(15, abs=5)]  # a date has whole seconds, and some have passed


def test_retry_after_is_waited_for(configured, server):
    """The same by the real clock."""
    server.replies.append((429, "", {"Retry-After": "1"}))
    configured(base_url=server.url).embed("bread")
    first, second = server.requests
    assert second.moment - first.moment >= 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sunday, 22-Nov-26 12:01:30 GMT", 90.0),
        ("", None),
        ("soon", None),
        ("1 minute", None),
        ("-1", None),
        ("nan", None),
    ],
)
def test_forms_of_retry_after(monkeypatch, value, seconds):
    """A number of seconds, or a date; what is neither is as if it were not there."""
    monkeypatch.setattr(plugin, "time", NOW.timestamp)
    assert plugin._retry_after(value) == seconds


def test_the_whole_is_bounded(configured, server):
    """After retry_seconds the last fault is raised as ModelBusy."""
    server.answer = lambda body: (503, "no workers")
    with pytest.raises(ModelBusy, match=f"m: {server.host} answered 503 Service Unavailable: no workers") as caught:
        configured(base_url=server.url, retry_seconds=0.3).embed("bread")
    assert caught.value.retry_after is None


def test_a_pause_that_is_too_long(configured, server):
    """It is not begun: the job is told how long to wait, and meanwhile nothing is asked."""
    server.answer = lambda body: (429, "slow down", {"Retry-After": "3600"})
    model = configured(base_url=server.url)
    with pytest.raises(ModelBusy, match="slow down") as caught:
        model.embed("bread")
    assert caught.value.retry_after == 3600
    with pytest.raises(ModelBusy, match=f"{server.host} is asked again in 3[56].. s") as caught:
        model.embed("milk")
    assert 3500 < caught.value.retry_after <= 3600
    assert server.batches == [["bread"]]


def test_a_server_that_never_answers(configured, server):
    """It counts as busy, once the time for an answer is over."""
    server.held.clear()
    with pytest.raises(ModelBusy, match=f"m: {server.host} did not answer: .*timed out"):
        configured(base_url=server.url, timeout=0.1, retry_seconds=0.01).embed("bread")


def test_a_server_that_is_not_there(configured, closed_port):
    """It counts as busy: somebody may start it."""
    host = f"127.0.0.1:{closed_port}"
    with pytest.raises(ModelBusy, match=f"m: {host} did not answer: .*refused"):
        configured(base_url=f"http://{host}/v1", retry_seconds=0.01).embed("bread")


def test_a_server_that_hangs_up(configured, server, clock):
    """An answer that breaks off is tried again."""
    server.replies.append((200, '{"data":', {"Content-Length": 1000, "Connection": "close"}))
    assert configured(base_url=server.url).embed("bread") == server.vector_of("bread")


def test_a_content_that_breaks_the_server(configured, server, clock):
    """Where a server answers 500 to a content and is well otherwise, a job must not wait for it: a plain ModelError."""
    server.answer = lambda body: (500, "tensor trouble") if "bad" in body["input"] else server.well(body)
    with pytest.raises(ModelError, match="answered 500 Internal Server Error: tensor trouble") as caught:
        configured(base_url=server.url).embed("bad")
    assert type(caught.value) is ModelError
    assert server.batches == [["bad"]] * 3 + [["probe"]]


def test_a_batch_that_takes_too_long(configured, server):
    """The same where the answer to few contents comes in time and that to many does not: the batch is then halved."""
    server.answer = lambda body: server.hang(body) if len(body["input"]) > 1 else server.well(body)
    with pytest.raises(ModelError, match=r"did not answer: .*timed out") as caught:
        list(configured(base_url=server.url, timeout=2, retry_seconds=0.01).embed_multi(TEXTS))
    assert type(caught.value) is ModelError


def test_a_broken_server_is_busy(configured, server, clock):
    """One that answers 500 to everything is waited for."""
    server.answer = lambda body: (500, "tensor trouble")
    with pytest.raises(ModelBusy, match="tensor trouble"):
        configured(base_url=server.url).embed("bread")


def test_a_refused_key_ends_every_request(configured, server):
    """Those that wait for another attempt give up at once."""
    server.replies.append((429, "", {"Retry-After": "25"}))
    server.answer = lambda body: (401, "no")
    server.held.clear()
    model, began = configured(base_url=server.url, request_contents=1, concurrency=2), monotonic()
    with ThreadPoolExecutor(1) as pool:
        vectors = pool.submit(lambda: list(model.embed_multi(TEXTS)))
        wait_for(lambda: server.in_flight == 2, "two requests in flight")
        server.held.set()
        with pytest.raises(KeyRefused):
            vectors.result(PATIENCE)
    assert monotonic() - began < 25


def test_nothing_is_paid_for_twice(configured, server):
    """What came before a fault is kept for when the batch comes again, in halves or whole."""
    server.answer = lambda body: (400, "too long") if "text 6" in body["input"] else server.well(body)
    model = configured(base_url=server.url, request_contents=1, concurrency=1)
    with pytest.raises(ModelError, match="too long"):
        list(model.embed_multi(TEXTS))
    assert list(model.embed_multi(TEXTS[:4])) == [server.vector_of(text) for text in TEXTS[:4]]
    server.answer = server.well
    assert list(model.embed_multi(TEXTS[4:])) == [server.vector_of(text) for text in TEXTS[4:]]
    assert server.batches == [[text] for text in [*TEXTS[:7], *TEXTS[6:]]]
    list(model.embed_multi(TEXTS[:1]))
    assert len(server.batches) == 10  # what was handed out is forgotten


def test_what_is_kept_has_a_limit(configured, server, monkeypatch):
    """Of failed batches that never come again, only the last vectors stay in memory."""
    monkeypatch.setattr(plugin, "KEPT", 3)
    server.answer = lambda body: (400, "too long") if "text 7" in body["input"] else server.well(body)
    model = configured(base_url=server.url, request_contents=1, concurrency=1)
    with pytest.raises(ModelError):
        list(model.embed_multi(TEXTS))
    assert list(model._kept) == TEXTS[4:7]
