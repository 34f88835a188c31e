"""The plugin's configuration, read once and checked: a wrong key or value is an error at start."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from .compat import plugin_config
from .engine.errors import EmbedError


@dataclass(frozen=True)
class Config:
    """What may stand under `plugins: datasette-embed:`."""

    default_model: str | None = None  # the model where none is named
    warm: bool = True  # load the models of existing collections at start, in the background
    sql_models: tuple[str, ...] = ()  # models that need a key or a server and may be used from SQL all the same
    public_search: bool = False  # text queries on such models need no embed-table permission
    search_memory_mb: int = 512  # for what searches keep of all collections together
    keys: dict[str, str | None] = field(default_factory=dict)  # key name (a model's needs_key) or model id: key
    prices: dict[str, float] = field(default_factory=dict)  # model id or alias: US dollars for a million tokens

    def allows_sql(self, *names: str) -> bool:
        """True where one of a model's names is listed under sql_models."""
        return any(name in self.sql_models for name in names)


_KINDS = {
    "default_model": (str, "a model's id or alias"),
    "warm": (bool, "true or false"),
    "sql_models": (list, "a list of model ids"),
    "public_search": (bool, "true or false"),
    "search_memory_mb": (int, "a number of megabytes"),
    "keys": (dict, "an object of keys by name"),
    "prices": (dict, "an object of prices by model"),
}


def read_config(datasette) -> Config:
    """The configuration of this instance; EmbedError names what is wrong in it."""
    given = plugin_config(datasette)
    if not isinstance(given, dict):
        raise EmbedError("The configuration of datasette-embed must be an object")
    known = {entry.name for entry in fields(Config)}
    for name, value in given.items():
        if name not in known:
            raise EmbedError(
                f"The configuration of datasette-embed has no key {name!r}; it has {', '.join(sorted(known))}"
            )
        kind, meant = _KINDS[name]
        if not isinstance(value, kind) or (kind is int and (value is True or value is False or value < 1)):
            raise EmbedError(f"In the configuration of datasette-embed, {name!r} must be {meant}")
    for name, key in given.get("keys", {}).items():
        if not isinstance(key, str | None):  # None: an environment variable that is not set
            raise EmbedError(f"In the configuration of datasette-embed, the key {name!r} must be a text")
    for name, price in given.get("prices", {}).items():
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < math.inf:
            raise EmbedError(
                f"In the configuration of datasette-embed, the price of {name!r} must be a number of US dollars "
                "for a million tokens"
            )
    return Config(**{**given, "sql_models": tuple(given.get("sql_models", ()))})
