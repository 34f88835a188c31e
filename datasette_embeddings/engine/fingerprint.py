"""Telling a model from another one of the same name with other weights, by the vector that it makes of one probe."""

from __future__ import annotations

import sqlite3
import time
from weakref import WeakKeyDictionary

from .collections import Collection, collection_by_id
from .errors import ModelBusy, ModelError, ModelUnavailable
from .models import EmbeddingModel, LoadState, embed_contents
from .transactions import transaction
from .vectors import encode, is_alike

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
    if made is not None and not collection.fingerprint:
        with transaction(conn):
            conn.execute("update _embed_collections set fingerprint = ? where id = ?", (made, collection_id))


def inherit(conn: sqlite3.Connection, collection_id: int) -> None:
    """Give a collection that has no fingerprint yet the last one of its model in this file, whose vectors it may reuse.

    If that is no longer the model's, recognise() will say so.
    """
    sql = (
        "update _embed_collections as new set fingerprint = (select fingerprint from _embed_collections as old"
        " where old.model = new.model and length(old.fingerprint) > 0 order by id desc limit 1)"
        " where id = ? and fingerprint is null"
    )
    with transaction(conn):
        conn.execute(sql, (collection_id,))


def is_same_model(one: Collection, other: Collection) -> bool:
    """True where two collections are known to be of one model with the same weights."""
    if one.model != other.model or not one.fingerprint or not other.fingerprint:
        return False
    return len(one.fingerprint) == len(other.fingerprint) and is_alike(one.fingerprint, other.fingerprint)


def check(collection: Collection, made: bytes | None) -> None:
    """ModelUnavailable where this fingerprint says that another model made the collection's vectors.

    Vectors of another length are told by whoever compares them.
    """
    kept = collection.fingerprint
    if made is None or not kept or len(made) != len(kept) or is_alike(made, kept):
        return
    raise ModelUnavailable(
        f"The model {collection.model} now makes other vectors than those in {collection.name!r}: its weights were "
        "changed, and the vectors cannot be compared. Embed the collection anew: `datasette embed change --anew`"
    )


def _probed(model: EmbeddingModel) -> bytes | None:
    try:
        return encode(embed_contents(model, [PROBE])[0])
    except (ModelUnavailable, ModelBusy):
        raise
    except ModelError:  # it takes texts of another kind
        return None
