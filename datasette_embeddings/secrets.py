"""Keys that datasette-secrets keeps, where that plugin is installed: it is asked from whichever thread needs a key."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, wait

from datasette.plugins import pm

from .engine.models import EmbeddingModel

logger = logging.getLogger("datasette_embeddings")

PLUGIN = "datasette_secrets"
KEPT_SECONDS = 60.0  # a key that is older is looked for anew
WAIT_SECONDS = 5.0  # for a key that is not known yet
RENEW_SECONDS = 0.25  # for a newer one, until the one that is known is given all the same


def installed() -> bool:
    """Whether Datasette has loaded datasette-secrets."""
    return any(getattr(plugin, "__name__", None) == PLUGIN for plugin in pm.get_plugins())


def secret_name(model: EmbeddingModel) -> str:
    """What a model's key is called there: as its environment variable, so that other plugins can share it."""
    return model.key_env_var or str(model.needs_key)


def stored_key(datasette, model: EmbeddingModel) -> StoredKey:
    """The key of a model, as all models with that key share it."""
    keys = datasette.__dict__.setdefault("_embed_stored_keys", {})
    return keys.setdefault(secret_name(model), StoredKey(datasette, secret_name(model)))


def declared(models: Iterable[EmbeddingModel]) -> list:
    """The secrets that these models need, each with the names of those that need it."""
    from datasette_secrets import Secret  # optional: only it calls the hook that calls us

    needed: dict[str, list[str]] = {}
    for model in models:
        if model.needs_key:
            needed.setdefault(secret_name(model), []).append(model.model_id)
    return [Secret(name, f"Key of the embedding model {', '.join(ids)}") for name, ids in needed.items()]


class StoredKey:
    """One secret. Nobody waits long for it: whoever holds a reading thread might be waiting for that very thread."""

    def __init__(self, datasette, name: str) -> None:
        self._datasette, self._name = datasette, name
        self._lock = threading.Lock()
        self._known: str | None = None
        self._asked: Future[None] | None = None
        self._asked_at = 0.0  # time.monotonic()

    @property
    def place(self) -> str | None:
        """Where a person puts it, where datasette-secrets is set up."""
        from datasette_secrets import get_config

        return f"as {self._name} on the page /-/secrets" if get_config(self._datasette) else None

    def find(self) -> str | None:
        """The secret, at most KEPT_SECONDS old unless datasette-secrets is slow to answer; None where there is none."""
        with self._lock:
            known = self._known
            if self._asked is None or (self._asked.done() and (known is None or self._is_old())):
                self._ask()
            asked = self._asked
        wait([asked], WAIT_SECONDS if known is None else RENEW_SECONDS)
        return self._known

    def forget(self) -> None:
        """Look for it anew before it is given again."""
        self._known = None

    def _is_old(self) -> bool:
        return time.monotonic() - self._asked_at > KEPT_SECONDS

    def _ask(self) -> None:
        self._asked, self._asked_at = Future(), time.monotonic()
        # An event loop of its own: this thread may have one that runs, or one that must not wait.
        threading.Thread(target=self._answer, args=(self._asked,), name="embed-secret", daemon=True).start()

    def _answer(self, asked: Future[None]) -> None:
        from datasette_secrets import get_secret

        try:
            self._known = asyncio.run(get_secret(self._datasette, self._name))
        except Exception as error:
            # Its type alone: the message might tell what cannot be decrypted.
            logger.warning("datasette-secrets could not give %s: %s", self._name, type(error).__name__)
        finally:
            asked.set_result(None)
