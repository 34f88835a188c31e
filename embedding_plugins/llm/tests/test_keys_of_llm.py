"""Keys of LLM's models, and what is told of the faults of those that have one."""

import json
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from embedded import embed
from fake_llm_models import OlderRemote, Remote
from fake_models import word_lengths

from datasette_embeddings import KeyRefused, ModelBusy, ModelError


@pytest.mark.parametrize("kind", [Remote, OlderRemote])
def test_where_a_key_comes_from(registry, keys, monkeypatch, kind):
    """The environment gives way to `llm keys`, and that to our configuration; both signatures get it."""
    model = kind()
    ours = registry(model).model(model.model_id)
    monkeypatch.setenv("TOY_KEY", "of the environment")
    ours.embed("x")
    keys(toy="of LLM")
    ours.embed("x")
    ours.key = "of the configuration"
    ours.embed("x")
    assert model.keys == ["of the environment", "of LLM", "of the configuration"]


def test_a_key_of_the_configuration(registry):
    """It is given to the model, and not kept in an object that takes it with each call."""
    registry(model := Remote(), keys={"toy": "secret"}).model("remote").embed("x")
    assert (model.keys, model.key) == (["secret"], None)


@pytest.mark.parametrize("kind", [Remote, OlderRemote])
def test_a_key_that_is_missing(registry, kind):
    """The sentence names the model and the three places for a key, and the model is not called."""
    model = kind()
    with pytest.raises(
        KeyRefused, match=rf'{model.model_id} needs the key .*"keys" .*TOY_KEY, or run `llm keys set toy`'
    ):
        registry(model).model(model.model_id).embed("x")
    assert model.keys == []


def test_keys_that_cannot_be_read(registry, user_path):
    """A broken keys.json is told, on the page that lists the models too."""
    (user_path / "keys.json").write_text("{")
    entry = registry(Remote()).find("remote")
    assert entry.as_json()["missing"].startswith("The keys that LLM keeps could not be read: ")


class Answer(Exception):
    """An HTTP client's error about an answer of this status."""

    def __init__(self, status, **headers):
        super().__init__(f"{status} for secret-key")
        self.response = type("Response", (), {"status_code": status, "headers": headers})()


def unreachable():
    """What an HTTP client raises where nobody listens."""
    error = RuntimeError("Connection error of secret-key.")
    error.__cause__ = ConnectionRefusedError()
    return error


@pytest.mark.parametrize(
    ("error", "kind", "retry_after"),
    [
        (Answer(401), KeyRefused, None),
        (Answer(403), KeyRefused, None),
        (Answer(429, **{"retry-after": "7"}), ModelBusy, 7.0),
        (Answer(503, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), ModelBusy, None),
        (unreachable(), ModelBusy, None),
        (Answer(400), ModelError, None),
        (ValueError("bad secret-key"), ModelError, None),
    ],
    ids=lambda value: str(value) if isinstance(value, Exception) else None,
)
@pytest.mark.parametrize("remote", [Remote, OlderRemote])
def test_faults_of_a_model_with_a_key(registry, remote, error, kind, retry_after):
    """They are told apart, and name the model and never the key, nor does what led to them."""
    ours = registry(remote(error), keys={"toy": "secret-key"}).model(remote.model_id)
    with pytest.raises(ModelError, match=f"The model {remote.model_id} failed: ") as caught:
        ours.embed("x")
    assert (type(caught.value), getattr(caught.value, "retry_after", None)) == (kind, retry_after)
    assert "secret-key" not in "".join(traceback.format_exception(caught.value))


def test_a_key_is_in_no_row_of_a_job(registry, notes):
    """A job whose key is refused fails with a sentence that does not show it."""
    model = registry(Remote(Answer(401)), keys={"toy": "secret-key"}).model("remote")
    job = embed(notes, "notes", ["title"], model)
    assert (job.status, job.reason) == ("failed", "The model remote failed: 401 for ***")
    assert b"secret-key" not in notes.read_bytes()


class OpenAI(BaseHTTPRequestHandler):
    """A server that speaks OpenAI's API, and lets in who has the key sk-good."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers["authorization"].removeprefix("Bearer ")
        data = [{"index": n, "embedding": word_lengths(text)} for n, text in enumerate(asked["input"])]
        refusal = {"error": {"message": f"Incorrect API key provided: {key}"}}
        body = json.dumps({"data": data, "usage": {}} if key == "sk-good" else refusal).encode()
        self.send_response(200 if key == "sk-good" else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def openai_server(monkeypatch):
    """OpenAI's client talks to this server."""
    with HTTPServer(("127.0.0.1", 0), OpenAI) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("openai_server")
def test_openais_own_client(registry, keys):
    """The models that LLM itself has get the key of `llm keys`, and one that is refused is not shown."""
    model = registry().model("3-small")
    keys(openai="sk-good")
    assert list(model.embed_multi(["to be", "or not"])) == [word_lengths("to be"), word_lengths("or not")]
    keys(openai="sk-wrong-and-secret")
    with pytest.raises(KeyRefused, match="The model text-embedding-3-small failed: Error code: 401") as caught:
        model.embed("x")
    assert "sk-wrong" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_does_not_answer(registry, keys, monkeypatch, closed_port):
    """A connection that does not come about is a fault that passes."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{closed_port}/v1")
    keys(openai="sk-good")
    with pytest.raises(ModelBusy, match="The model text-embedding-3-small failed: Connection error"):
        registry().model("3-small").embed("x")
