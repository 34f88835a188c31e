"""Models behind the OpenAI embeddings API for datasette-embed: OpenAI's own, and those of any server that speaks it."""

from __future__ import annotations

import json
import re
import threading
import weakref
from base64 import b64decode
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import tenacity
from datasette import hookimpl

from datasette_embeddings import (
    ContentRefused,
    EmbeddingModel,
    KeyRefused,
    ModelBusy,
    ModelError,
    ModelUnavailable,
    PluginConfiguration,
)

if TYPE_CHECKING:
    import httpx
    import numpy as np

PLUGIN = "datasette-embed-openai"
# OpenAI's own, as LLM names them: dimensions, US dollars for a million tokens, aliases.
PRESETS = {
    "text-embedding-3-small": (1536, 0.02, ("3-small",)),
    "text-embedding-3-small-512": (512, 0.02, ("3-small-512",)),
    "text-embedding-3-large": (3072, 0.13, ("3-large",)),
    "text-embedding-3-large-1024": (1024, 0.13, ("3-large-1024",)),
    "text-embedding-3-large-256": (256, 0.13, ("3-large-256",)),
    "text-embedding-ada-002": (1536, 0.10, ("ada-002", "ada")),
}
OPENAI_KEY = {"needs_key": "openai", "key_env_var": "OPENAI_API_KEY"}
# OpenAI takes 8,192 tokens in a content, and 2,048 contents and 300,000 tokens in a request.
OPENAI = {**OPENAI_KEY, "max_tokens": 8192, "request_contents": 256, "request_tokens": 300_000}
LEFT_OUT = 10.0  # seconds in which a server that failed gets nothing, where there are others
KEPT = 8192  # vectors of calls that failed: as many as a job's batch may hold
ADDRESS = re.compile(r"https?://(?:[^/?#@\s]+@)?((?:\[[\da-fA-F:.]+\]|[^/?#@:\[\]\s]+)(?::\d+)?)(?:/[^?#\s]*)?")
SAID = re.compile(r'"(?:message|msg|error|detail)"\s*:\s*("(?:[^"\\]|\\.)+")')  # however a server wraps it
CONFIG = PluginConfiguration(PLUGIN, quotes=False)
CHECKS = {
    **dict.fromkeys(("id", "name", "needs_key", "key_env_var", "query_prompt", "document_prompt"), CONFIG.TEXT),
    **dict.fromkeys(("dimensions", "max_tokens", "request_contents", "request_tokens", "concurrency"), CONFIG.COUNT),
    **dict.fromkeys(("timeout", "retry_seconds"), ("a number above 0", lambda v: type(v) in (int, float) and v > 0)),
    "aliases": CONFIG.TEXTS,
    "base_url": (
        "an http(s) address without a query, or a list of them",
        lambda v: v != [] and all(ADDRESS.fullmatch(str(url)) for url in (v if isinstance(v, list) else [v])),
    ),
}


@hookimpl
def register_embedding_models(register, datasette):
    config = datasette.plugin_config(PLUGIN) or {}
    CONFIG.check_keys(config, ("models",), "it")
    for where, given in CONFIG.entries(config.get("models", []), "models", CHECKS):
        if "name" not in given:
            raise CONFIG.wrong(where, "needs name, the model's name on its server")
        model_id = given.get("id", given["name"])
        key = {"needs_key": model_id if "key_env_var" in given else None} if "base_url" in given else OPENAI_KEY
        fields = {"dimensions": given["dimensions"]} if "dimensions" in given else {}
        register(OpenAIModel(model_id, fields, **{**key, **given}), aliases=given.get("aliases", ()))
    for model_id, (dimensions, price, aliases) in PRESETS.items():
        name = model_id.removesuffix(f"-{dimensions}")
        fields = {} if model_id == name else {"dimensions": dimensions}  # which ada-002 refuses
        settings = {"name": name, "dimensions": dimensions, "price_per_million_tokens": price, **OPENAI}
        register(OpenAIModel(model_id, fields, **settings), aliases=aliases)


class Suspect(ModelBusy):
    """A fault of a server that a content may have brought about: 500, or an answer that never came."""


class Server:
    """One server of a model; its times are on monotonic()'s clock."""

    def __init__(self, base_url: str) -> None:
        self.host = ADDRESS.fullmatch(base_url)[1]  # for messages, without a password
        self.url = base_url.rstrip("/") + "/embeddings"
        self.in_flight, self.used_at, self.out_until = 0, 0.0, 0.0


class OpenAIModel(EmbeddingModel):
    """A model behind the OpenAI embeddings API, on one server or several."""

    remote = True
    name: str  # on the server
    base_url: str | list[str] = "https://api.openai.com/v1"
    query_prompt = document_prompt = ""
    request_contents = 32
    request_tokens = 32_768  # a token is a byte at least, so bytes are counted
    concurrency = 4  # requests in flight for one batch, to each server
    timeout = 60.0  # seconds without a byte of the answer
    retry_seconds = 30.0  # from the first attempt to the last

    def __init__(self, model_id: str, fields: dict[str, Any], **settings: Any) -> None:
        vars(self).update(settings, model_id=model_id)
        self._fields = {"encoding_format": "base64", **fields}
        self._servers = [Server(url) for url in ([self.base_url] if isinstance(self.base_url, str) else self.base_url)]
        self._lock = threading.Lock()
        self._kept: dict[str, np.ndarray] = {}

    def load(self) -> None:
        """Make the HTTP client; no server is asked."""
        import httpx

        timeout = httpx.Timeout(self.timeout, connect=min(self.timeout, 10.0))
        self._client = httpx.Client(timeout=timeout, limits=httpx.Limits())  # no limit of connections
        weakref.finalize(self, self._client.close)

    def embed_batch(self, contents: list[str]) -> list[np.ndarray]:
        """One float32 row per content, by several requests at once."""
        return self._embed(contents, self.document_prompt)

    def embed_query_batch(self, contents: list[str]) -> list[np.ndarray]:
        """The same for queries, which may have a prompt of their own."""
        return self._embed(contents, self.query_prompt)

    def _embed(self, contents: list[str], prompt: str) -> list[np.ndarray]:
        # A lone surrogate ("\ud800", from JSON) cannot be sent: it becomes U+FFFD, as in a browser.
        texts = [(prompt + text).encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in contents]
        kept = {text: self._kept.pop(text, None) for text in dict.fromkeys(texts)}
        vectors = {text: vector for text, vector in kept.items() if vector is not None}
        try:
            self._ask_all([text for text in kept if text not in vectors], vectors)
        except ModelError:
            # These contents will come again, later or in smaller batches: nothing is to be paid for twice.
            self._kept = dict(list((self._kept | vectors).items())[-KEPT:])
            raise
        return [vectors[text] for text in texts]

    def _ask_all(self, texts: list[str], vectors: dict[str, np.ndarray]) -> None:
        """Add the texts' vectors; the first fault ends it."""
        key, stopped, faults = self._key(), threading.Event(), []
        retrying, waiting = self._retrying(stopped), self._requests(texts)
        count = min(len(waiting), self.concurrency * len(self._servers))

        def work() -> None:
            with suppress(IndexError):
                while not stopped.is_set():
                    request = waiting.popleft()
                    try:
                        vectors.update(zip(request, self._ask(request, key, retrying), strict=True))
                    except Exception as fault:
                        faults.append(fault)
                        stopped.set()

        # Daemons, unlike a ThreadPoolExecutor's: a request may take a minute, and the process must be free to end.
        threads = [threading.Thread(target=work, name="embed-request", daemon=True) for _ in range(count - 1)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    def _requests(self, texts: list[str]) -> deque[list[str]]:
        requests, room = deque(), -1
        for text in texts:
            if room < (size := len(text.encode())) or len(requests[-1]) == self.request_contents:
                requests.append([])
                room = self.request_tokens
            requests[-1].append(text)
            room -= size
        return requests

    def _retrying(self, stopped: threading.Event) -> tenacity.Retrying:
        """Calls a function until it raises no ModelBusy, for retry_seconds at most."""
        backoff, servers = tenacity.wait_random_exponential(multiplier=0.5, max=8.0), len(self._servers)

        def pause(state: tenacity.RetryCallState) -> float:
            asked = state.outcome.exception().retry_after or 0.0
            return max(backoff(state), asked) if state.attempt_number >= servers else 0.0  # another one may be up

        def is_suspect(state: tenacity.RetryCallState) -> bool:
            return state.attempt_number >= max(3, servers) and isinstance(state.outcome.exception(), Suspect)

        late = tenacity.stop_before_delay(self.retry_seconds) & tenacity.stop_after_attempt(servers)
        stop = late | tenacity.stop_when_event_set(stopped) | is_suspect
        busy = tenacity.retry_if_exception_type(ModelBusy)
        return tenacity.Retrying(retry=busy, wait=pause, stop=stop, sleep=stopped.wait, reraise=True)

    def _ask(self, texts: list[str], key: str, retrying: tenacity.Retrying) -> list[np.ndarray]:
        try:
            return retrying(self._post, texts, key)
        except Suspect as fault:
            with suppress(ModelError):
                self._post(["probe"], key)
                fault = ModelError(str(fault))  # the server is well, and whoever waited for it would wait for good
            raise fault from None

    def _post(self, texts: list[str], key: str) -> list[np.ndarray]:
        """The texts' vectors, in order, by one request to one server."""
        import httpx

        body = {"model": self.name, "input": texts, **self._fields}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with self._server() as server:
            who = f"The model {self.model_id}: {server.host}"
            try:
                response = self._client.post(server.url, json=body, headers=headers)
            except httpx.RequestError as error:
                kind = ModelBusy if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else Suspect
                raise kind(f"{who} did not answer: {_said(str(error) or type(error).__name__, key)}") from None
            if response.is_error and "encoding_format" in response.text and "encoding_format" in body:
                self._fields.pop("encoding_format", None)  # some servers refuse what others ignore
                return self._post(texts, key)
            return _vectors(who, response, len(texts), key)

    @contextmanager
    def _server(self) -> Iterator[Server]:
        """The least busy server, of those that are up if any is; ModelBusy leaves it out for a while."""
        now = monotonic()
        with self._lock:
            server = min(self._servers, key=lambda s: (max(s.out_until, now), s.in_flight, s.used_at))
            server.in_flight, server.used_at = server.in_flight + 1, now
        try:
            if (seconds := server.out_until - now) > 0:
                raise ModelBusy(f"The model {self.model_id}: {server.host} is asked again in {seconds:.0f} s", seconds)
            yield server
        except ModelBusy as fault:
            others = any(other.out_until <= now for other in self._servers if other is not server)
            asked = LEFT_OUT if others and fault.retry_after is None else fault.retry_after or 0.0
            server.out_until = max(server.out_until, monotonic() + asked)
            raise
        finally:
            with self._lock:
                server.in_flight -= 1

    def _key(self) -> str:
        key = (self.get_key() or self.key or "").strip()
        if not re.fullmatch(r"[!-~]*", key):  # the error of a header that cannot be sent would quote it
            raise KeyRefused(f"The key of the model {self.model_id} holds characters that no key has")
        return key


def _vectors(who: str, response: httpx.Response, count: int, key: str) -> list[np.ndarray]:
    """The vectors of an answer, in the order of their index; or it is raised as the error that it is."""
    from numpy import array, frombuffer

    if not response.is_success or "html" in response.headers.get("Content-Type", ""):
        raise _fault(who, response, count, key)
    try:
        items = response.json()["data"]
        if len(items) != count:
            raise ValueError(f"there are {len(items)}")
        found = {item["index"]: item["embedding"] for item in items}
        # Servers that do not know base64 answer with lists of numbers.
        return [
            frombuffer(b64decode(v, validate=True), "<f4") if isinstance(v := found[index], str) else array(v, "<f4")
            for index in range(count)
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{who} did not answer with {count} indexed vectors: {_said(repr(error), key)}") from None


def _fault(who: str, response: httpx.Response, count: int, key: str) -> ModelError:
    """What an answer without vectors to so many texts means."""
    status, asked = response.status_code, _retry_after(response.headers.get("Retry-After", ""))
    message = f"{who} answered {status} {response.reason_phrase}: {_said(response.text, key)}"
    if status in (401, 403):
        return KeyRefused(message if key else f"{message} (no key was sent: name one in needs_key or key_env_var)")
    if status in (400, 413, 422, 424):  # of one text it will not change, but for 424, a backend's fault
        return ContentRefused(message) if count == 1 and status != 424 else ModelError(message)
    if status == 500:
        return Suspect(message, asked or 0.0)  # and so not left out: it may well answer to other contents
    if (status in (408, 425, 429) or status > 500) and "insufficient_quota" not in response.text:
        return ModelBusy(message, asked)
    return ModelUnavailable(message if status == 429 else f"{message}. Are its base_url and its name right?")


def _retry_after(value: str) -> float | None:
    """The seconds that a server asks for, by a number or by a date."""
    with suppress(ValueError):
        return max(0.0, float(value) if value[:1].isdigit() else parsedate_to_datetime(value).timestamp() - time())
    return None


def _said(text: str, key: str) -> str:
    """What a server or an error says, on one line and without the key."""
    with suppress(TypeError, ValueError):  # where it is no JSON
        text = json.loads(SAID.search(text)[1], strict=False)
    text = "an HTML page" if text.lstrip().startswith("<") else " ".join(text.split()).rstrip(".") or "no reason given"
    text = re.sub(r"\S*\*{3,}\S*", "***", text.replace(key or "***", "***"))  # OpenAI shows both ends of a key
    return text if len(text) <= 300 else f"{text[:300]}…"
