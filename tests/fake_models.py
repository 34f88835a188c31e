"""Models whose vectors one can read by eye, and models that fail, wait or ask for a key on purpose."""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from pathlib import Path
from urllib.parse import quote

from datasette_embeddings import EmbeddingModel, KeyRefused, ModelBusy, ModelUnavailable
from datasette_embeddings.engine.fingerprint import PROBE

DIMENSIONS = 16
PATIENCE = 240  # seconds after which a wait here is a failure, not a hang: later than whoever waits for us gives up


def word_lengths(content: str) -> list[float]:
    """The lengths of the first 16 words, then zeros: "to be or" is [2, 2, 2, 0, …]."""
    lengths = [float(len(word)) for word in content.split()[:DIMENSIONS]]
    return lengths + [0.0] * (DIMENSIONS - len(lengths))


class WordLengths(EmbeddingModel):
    """Text to the lengths of its words; `calls` keeps the contents of every batch it was given, probes left out."""

    model_id = "word-lengths"
    dimensions = DIMENSIONS
    aliases: tuple[str, ...] = ("lengths",)

    def __init__(self, model_id=None, aliases=()):
        self.calls = []
        if model_id:
            self.model_id, self.aliases = model_id, aliases

    def embed_batch(self, contents):
        if contents != [PROBE]:
            self.calls.append(list(contents))
        return [word_lengths(content) for content in contents]

    @property
    def contents(self):
        """Every content it was ever asked for, in order."""
        return [content for call in self.calls for content in call]


class Turned(WordLengths):
    """Word lengths turned by an angle with this cosine, under the same name: a model that got other weights."""

    def __init__(self, cosine):
        super().__init__()
        self.cosine = cosine

    def embed_batch(self, contents):
        for *vector, _ in super().embed_batch(contents):
            across = math.sqrt((1 - self.cosine**2) * sum(number**2 for number in vector))
            yield [*(self.cosine * number for number in vector), across]


class QuerySide(WordLengths):
    """Embeds a query as the negative of what it makes of a document."""

    model_id = "query-side"
    aliases = ()

    def embed_query_batch(self, contents):
        return [[-number for number in word_lengths(content)] for content in contents]


class Held(WordLengths):
    """Stops inside every batch until the test lets it go: `wait_for_call()`, then `release()` or `open()`."""

    model_id = "held"
    aliases = ()

    def __init__(self, model_id=None):
        super().__init__(model_id)
        self._waiting = queue.Queue()
        self._permits = threading.Semaphore(0)
        self._opened = threading.Event()

    def embed_batch(self, contents):
        if contents == [PROBE]:
            return super().embed_batch(contents)
        self._waiting.put(list(contents))
        if not self._opened.is_set() and not self._permits.acquire(timeout=PATIENCE):
            raise TimeoutError("The test never released this batch")
        return super().embed_batch(contents)

    def wait_for_call(self, timeout=PATIENCE):
        """Block until the next batch is inside the model, and return its contents."""
        return self._waiting.get(timeout=timeout)

    def release(self, batches=1):
        """Let this many batches through, those that wait now or those to come."""
        self._permits.release(batches)

    def open(self):
        """Let everything through from now on."""
        self._opened.set()
        self._permits.release(1000)


class HeldByFile(WordLengths):
    """The same for a model in another process: waits while the file named by $FAKE_MODELS_HOLD exists.

    Beside it, a file called <hold>.calls gets one line with the number of contents as each batch begins.
    """

    model_id = "held-by-file"
    aliases = ()

    def embed_batch(self, contents):
        if contents == [PROBE]:
            return super().embed_batch(contents)
        hold = Path(os.environ.get("FAKE_MODELS_HOLD", os.devnull + "/none"))
        if hold.parent.is_dir():
            with open(f"{hold}.calls", "a") as calls:
                calls.write(f"{len(contents)}\n")
        deadline = time.monotonic() + PATIENCE
        while hold.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("The test never removed the hold file")
            time.sleep(0.01)
        return super().embed_batch(contents)


class Failing(WordLengths):
    """Fails where a content holds one of these words, and embeds everything else.

    FAIL raises ValueError, DOWN raises ModelUnavailable, NAN puts NaN in that vector, LONG makes that vector one
    longer, FEW leaves that vector out.
    """

    model_id = "failing"
    aliases = ()

    def embed_batch(self, contents):
        for content in contents:
            if "FAIL" in content:
                raise ValueError(f"cannot embed {content!r}")
            if "DOWN" in content:
                raise ModelUnavailable("The fake server is down")
        vectors = super().embed_batch(contents)
        pairs = zip(contents, vectors, strict=True)
        return [self._spoil(content, vector) for content, vector in pairs if "FEW" not in content]

    def _spoil(self, content, vector):
        if "NAN" in content:
            return [float("nan"), *vector[1:]]
        return [*vector, 1.0] if "LONG" in content else vector


class Busy(Failing):
    """Raises ModelBusy `times` times, then works; and as long as the file named by $FAKE_MODELS_BUSY exists."""

    model_id = "busy"
    aliases = ()

    def __init__(self, times=0, retry_after=None):
        super().__init__()
        self.times, self.retry_after = times, retry_after

    def embed_batch(self, contents):
        if self.times > 0 or Path(os.environ.get("FAKE_MODELS_BUSY", os.devnull + "/none")).exists():
            self.times -= 1
            raise ModelBusy("The fake server is busy.", self.retry_after)
        return super().embed_batch(contents)


class Priced(WordLengths):
    """A token for each word, at a dollar each."""

    model_id = "priced"
    aliases = ()
    price_per_million_tokens = 1_000_000.0

    def count_tokens(self, content):
        return len(content.split())


class ByteCounts(EmbeddingModel):
    """Text or binary content to the counts of its bytes, by their high four bits."""

    model_id = "byte-counts"
    dimensions = DIMENSIONS
    supports_binary = True
    aliases = ("bytes",)

    def embed_batch(self, contents):
        return [self._counts(c.encode(errors="replace") if isinstance(c, str) else c) for c in contents]

    def _counts(self, content):
        high = [byte >> 4 for byte in content]
        return [float(high.count(bits)) for bits in range(DIMENSIONS)]


class NeedsKey(WordLengths):
    """Needs the key "fake" or $FAKE_MODELS_KEY, and takes any but "wrong"."""

    model_id = "needs-key"
    aliases = ()
    needs_key = "fake"
    key_env_var = "FAKE_MODELS_KEY"

    def embed_batch(self, contents):
        if self.get_key() == "wrong":
            raise KeyRefused("The fake server refused the key")
        return super().embed_batch(contents)


class Leaking(WordLengths):
    """Tells its key wherever it can, as HTTP libraries tell the address and the headers of what failed.

    FAIL raises ValueError, REFUSED raises KeyRefused, WORDS returns the key in place of numbers.
    """

    model_id = "leaking"
    aliases = ()
    needs_key = "leaking"
    key_env_var = "LEAKING_MODELS_KEY"

    def embed_batch(self, contents):
        key = self.get_key()
        for content in contents:
            if "FAIL" in content:
                try:
                    raise OSError(f"Authorization: Bearer {key}")
                except OSError as error:
                    raise ValueError(f"401 for https://example.com/?key={quote(key, safe='')}") from error
            if "REFUSED" in content:
                raise KeyRefused(f"The server of leaking does not know {key}")
        return [[key] * DIMENSIONS if "WORDS" in content else word_lengths(content) for content in contents]


class LeakingLoad(Leaking):
    """Tells its key when it is loaded."""

    model_id = "leaking-load"

    def load(self):
        raise OSError(f"no weights for {self.get_key()}")


class SlowLoading(WordLengths):
    """Stops inside load() until `loaded.set()`, or for $FAKE_MODELS_LOAD_SECONDS where that is set."""

    model_id = "slow-loading"
    aliases = ()

    def __init__(self, model_id=None):
        super().__init__(model_id)
        self.loads = 0
        self.loading = threading.Event()
        self.loaded = threading.Event()

    def load(self):
        self.loads += 1
        self.loading.set()
        seconds = os.environ.get("FAKE_MODELS_LOAD_SECONDS")
        if not self.loaded.wait(float(seconds or PATIENCE)) and not seconds:
            raise TimeoutError("The test never let this model load")


class Unloadable(WordLengths):
    """A model whose load() raises."""

    model_id = "unloadable"
    aliases = ()

    def load(self):
        raise OSError("no such weights")
