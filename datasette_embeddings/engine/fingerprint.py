"""Telling a model from another one of the same name with other weights, by the vector that it makes of one probe."""

from __future__ import annotations

import sqlite3
import time
from weakref import WeakKeyDictionary

from .collections import Collection, collection_by_id
from .errors import ModelBusy, ModelError, ModelUnavailable
from .models import EmbeddingModel, LoadState, embed_contents
from .transactions import transaction
from .vectors import is_alike

PROBE = "Seven gulls sat on the lighthouse, counted by its keeper before the storm."
FRESH_SECONDS = 600.0  # a remote model may be replaced while we run

# What every model made of the probe, and when. By its state, because an author's model may not be hashable.
_known: WeakKeyDictionary[LoadState, tuple[bytes | None, float]] = WeakKeyDictionary()


def fingerprint(model: EmbeddingModel) -> bytes | None:
    """The model's vector of the probe, made in the last FRESH_SECONDS; None where it takes no text, or not this one.

    Costs one call of the model; errors are those of embed_contents() that concern every content.
    """
    if not model.supports_text:
        return None
    made, moment = _known.get(model._load_state, (None, -FRESH_SECONDS))
    if time.monotonic() - moment >= FRESH_SECONDS:
        made = _probed(model)
        _known[model._load_state] = made, time.monotonic()
    return made


def recognise(conn: sqlite3.Connection, collection_id: int, made: bytes | None) -> None:
    """Keep the fingerprint of a collection's model, or raise ModelUnavailable where it is not the one that was kept."""
    collection = collection_by_id(conn, collection_id)
    check(collection, made)
    if collection.fingerprint is None and made is not None:
        with transaction(conn):
            conn.execute("update _embed_collections set fingerprint = ? where id = ?", (made, collection_id))


def check(collection: Collection, made: bytes | None) -> None:
    """ModelUnavailable where this fingerprint says that another model made the collection's vectors.

    Vectors of another length are told by whoever compares them.
    """
    kept = collection.fingerprint
    if made is None or kept is None or len(made) != len(kept) or is_alike(made, kept):
        return
    raise ModelUnavailable(
        f"The model {collection.model} now makes other vectors than those in {collection.name!r}: its weights were "
        "changed, and the vectors cannot be compared. Embed the collection anew: `datasette embed change --anew`"
    )


def _probed(model: EmbeddingModel) -> bytes | None:
    try:
        return embed_contents(model, [PROBE])[0].astype("<f4", copy=False).tobytes()
    except (ModelUnavailable, ModelBusy):
        raise
    except ModelError:  # it takes texts of another kind
        return None
