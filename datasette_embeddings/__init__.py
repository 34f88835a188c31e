"""Search any SQLite database by meaning: the public names, and every Datasette hook, each handing over in one line."""

from datasette.plugins import pm

from . import hookspecs
from .engine.errors import EmbedError, KeyRefused, ModelError, ModelUnavailable
from .engine.models import EmbeddingModel

__all__ = ["EmbedError", "EmbeddingModel", "KeyRefused", "ModelError", "ModelUnavailable"]

if not (hasattr(pm.hook, "register_embedding_models") and pm.hook.register_embedding_models.has_spec()):
    pm.add_hookspecs(hookspecs)
