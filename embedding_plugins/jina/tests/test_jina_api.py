"""Jina's API, as a server in this process speaks it: what is asked, and what becomes of errors."""

import pytest
from datasette_embed_openai import OpenAIModel

from datasette_embed_jina import RETRIEVAL, JinaAPI
from datasette_embeddings import ContentRefused, KeyRefused, ModelBusy, ModelError, ModelUnavailable


@pytest.fixture
def v3(server, monkeypatch):
    monkeypatch.setattr(OpenAIModel, "retry_seconds", 0.1)
    return JinaAPI("jina-api/jina-embeddings-v3", "jina-embeddings-v3", RETRIEVAL)


def asked(server):
    """What the server was asked last."""
    path, authorization, body = server.requests[-1]
    body.pop("encoding_format", None)
    return path, authorization, body


def answering(status, answer, **headers):
    """An answer that is always the same."""
    return lambda body: (status, headers, answer)


def test_contents_and_queries_have_tasks_of_their_own(v3, server):
    """A content goes out as a passage and a query as a query, each cut off where it is too long."""
    body = {"model": "jina-embeddings-v3", "input": ["rivers"], "truncate": True}
    document = v3.embed("rivers")
    assert asked(server) == ("/v1/embeddings", "Bearer jina_0123456789abcdef", {**body, "task": "retrieval.passage"})
    query = v3.embed_query("rivers")
    assert asked(server)[2] == {**body, "task": "retrieval.query"}
    assert document != query


@pytest.mark.parametrize("task", ["text-matching", "classification", "separation"])
def test_a_task_without_sides(server, task):
    """Such a task is that of contents and of queries."""
    model = JinaAPI("m", "jina-embeddings-v3", task)
    assert model.embed("rivers") == model.embed_query("rivers")
    assert asked(server)[2]["task"] == task


def test_a_model_without_tasks(server):
    """Where there is no task, none is sent."""
    JinaAPI("m", "jina-embeddings-v2-base-en", "").embed("rivers")
    assert asked(server)[2] == {"model": "jina-embeddings-v2-base-en", "input": ["rivers"], "truncate": True}


def test_fewer_dimensions(server):
    """The API is asked for as many dimensions as are wanted."""
    model = JinaAPI("m", "jina-embeddings-v3", RETRIEVAL, 8, truncate_dim=8)
    assert (len(model.embed("rivers")), asked(server)[2]["dimensions"]) == (8, 8)


def test_vectors_kept_of_a_failed_batch_are_of_its_side(v3, server, monkeypatch):
    """What a batch got before it failed is not taken for the vector of a query of the same text."""
    monkeypatch.setattr(OpenAIModel, "request_contents", 1)
    query, well = v3.embed_query("rivers"), server.answer
    server.answer = lambda body: (422, {}, {}) if "mills" in body["input"] else well(body)
    with pytest.raises(ModelError):
        list(v3.embed_multi(["rivers", "mills"]))
    assert v3.embed_query("rivers") == query


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (401, {"detail": "Invalid API key"}, KeyRefused),
        (403, {"detail": "Insufficient account balance"}, KeyRefused),
        (402, {"detail": "Insufficient account balance"}, ModelUnavailable),
        (404, {"detail": "Model not found"}, ModelUnavailable),
        (422, {"detail": "Input is wrong"}, ContentRefused),
        (429, {"detail": "Too many tokens a minute"}, ModelBusy),
        (503, {"detail": "Overloaded"}, ModelBusy),
    ],
)
def test_faults(v3, server, status, answer, error):
    """Each status is the error that tells a job what to do; the message has the model's name and Jina's words."""
    server.answer = answering(status, answer, **({"Retry-After": "60"} if error is ModelBusy else {}))
    with pytest.raises(error, match=rf"{v3.model_id}.*{status}.*{answer['detail']}") as caught:
        v3.embed("rivers")
    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after", 60) == 60


def test_a_server_that_is_not_there(v3):
    """A fault of the network passes."""
    v3.base_url = "http://127.0.0.1:1/v1"
    with pytest.raises(ModelBusy, match=v3.model_id):
        v3.embed("rivers")


def test_no_error_tells_the_key(v3, server):
    """Not even where the server repeats it."""
    server.answer = lambda body: (401, {}, {"detail": f"Wrong: {server.requests[-1][1]}"})
    with pytest.raises(KeyRefused, match="Wrong") as caught:
        v3.embed("rivers")
    assert "jina_0123456789abcdef" not in str(caught.value)


def test_a_key_that_is_missing(v3, server, monkeypatch):
    """The error says where to put one, and the server is not asked."""
    monkeypatch.delenv("JINA_API_KEY")
    with pytest.raises(KeyRefused, match=r"'jina'.*JINA_API_KEY"):
        v3.embed("rivers")
    assert server.requests == []


def test_a_key_of_the_configuration(v3, server):
    """The key that the core found goes before the environment's."""
    v3.key = "another"
    v3.embed("rivers")
    assert asked(server)[1] == "Bearer another"
