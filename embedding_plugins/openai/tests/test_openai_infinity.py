"""The plugin on a real model server: Infinity, with MiniLM's own weights. `make test-servers` runs this."""

import os
import socket
import subprocess

import httpx
import pytest
from datasette_embed_sentence_transformers import MINILM, MiniLM, Settings, packaged_minilm
from embedded import embed, make_file, vectors
from servers import PATIENCE, wait_for

from datasette_embed_openai import OpenAIModel
from datasette_embeddings import KeyRefused, ModelError
from datasette_embeddings.testing import ModelContract
from datasette_embeddings.testing.answers import cosine_distance

if "INFINITY" not in os.environ:
    pytest.skip("$INFINITY names no program: `make test-servers`", allow_module_level=True)

KEY = "sk-of-infinity"
TEXTS = ["The weather is lovely today.", "", "a\0b", "\ud800 lone", "Größe, naïveté, 東京 and 🎈", "many words " * 500]
OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def infinity(tmp_path_factory):
    """The URL of an Infinity server of its own process."""
    url, log = f"http://127.0.0.1:{free_port()}", tmp_path_factory.mktemp("infinity") / "log"
    options = {"model-id": packaged_minilm(), "served-model-name": "minilm", "engine": "torch", "dtype": "float32"}
    options |= {"device": "cpu", "host": "127.0.0.1", "port": url.rpartition(":")[2], "api-key": KEY}
    command = [
        os.environ["INFINITY"],
        "v2",
        "--no-model-warmup",
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **OFFLINE})

    def answers():
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/health").is_success
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, "Infinity to answer")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def model(infinity):
    return served(infinity)


@pytest.fixture(scope="module")
def minilm():
    return MiniLM(MINILM, Settings(device="cpu", dtype="float32"))


def served(url, key=KEY, **settings):
    """MiniLM on that server."""
    model = OpenAIModel("served", {}, name="minilm", base_url=url, needs_key="infinity", **settings)
    model.key = key
    return model


class TestInfinity(ModelContract):
    """A real server keeps the contract."""

    @pytest.fixture(autouse=True)
    def _url(self, infinity):
        self.url = infinity

    def make_model(self):
        return served(self.url)

    def make_broken_model(self):
        return served(self.url, key="wrong")


@pytest.mark.parametrize("entry", [{}, {"request_contents": 1, "concurrency": 8}])
def test_the_vectors_are_minilms(infinity, minilm, entry):
    """Whatever the text, and however the requests are cut."""
    distances = map(cosine_distance, served(infinity, **entry).embed_multi(TEXTS), minilm.embed_multi(TEXTS))
    assert max(distances) < 1e-5


def test_a_table(model, minilm, tmp_path):
    """What a job stores is what MiniLM makes of the rows in this process."""
    rows = [(number, f"{word} {number}") for number, word in enumerate(["bread", "milk", "gulls", "night"] * 50)]
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body text)", notes=rows)
    job = embed(path, "notes", ["body"], model)
    assert (job.status, job.embedded, job.failed) == ("finished", 200, 0)
    stored, expected = vectors(path, "notes"), minilm.embed_multi(text for _, text in rows)
    assert max(cosine_distance(stored[key], vector) for (key, _), vector in zip(rows, expected, strict=True)) < 1e-5


def test_a_wrong_key(infinity):
    """KeyRefused, by Infinity's 401."""
    with pytest.raises(KeyRefused, match="401 Unauthorized: Unauthorized"):
        served(infinity, key="wrong").embed("bread")


def test_a_text_that_is_too_long_for_it(infinity):
    """Infinity refuses more than 122,880 characters, by a 422 that says so."""
    with pytest.raises(ModelError, match=r"422 .*: String should have at most 122880 characters"):
        served(infinity).embed("x" * 122_881)
