"""The models that the installed plugins registered, by every name they go by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from datasette.plugins import pm

from . import secrets
from .config import Config, read_config
from .engine.collections import Collection
from .engine.errors import EmbedError, KeyRefused, UnknownModel, describe, raising
from .engine.keys import shows_key, without_keys
from .engine.models import EmbeddingModel, is_ready, keep_key_in, lasting_fault, register_as
from .engine.prices import price_of

PREFIX = "datasette-embed-"  # of the names of our model plugins
INSTALL = "datasette install datasette-embed-sentence-transformers"
NO_MODELS = f"No embedding model is installed. This installs one that runs on your own machine: {INSTALL}"


@dataclass(frozen=True)
class RegisteredModel:
    """A model, the names it goes by, and where it came from."""

    model: EmbeddingModel
    name: str  # its id; of a fallback that lost a clash its qualified name
    aliases: tuple[str, ...]
    plugin: str
    version: str | None
    sql: bool  # whether SQL may use it

    @property
    def short_name(self) -> str:
        """Its shortest name, as collections are named by it."""
        return min((self.name, *self.aliases), key=len)

    def as_json(self) -> dict[str, Any]:
        """What pages and the command line tell of it: its names, where it came from, what it takes and lacks."""
        model = self.model
        return {
            "id": self.name,
            "aliases": list(self.aliases),
            "plugin": self.plugin,
            "version": self.version,
            "text": model.supports_text,
            "binary": model.supports_binary,
            "dimensions": model.dimensions,
            "max_tokens": model.max_tokens,
            "remote": bool(model.remote or model.needs_key),
            "price_per_million_tokens": price_of(model),
            "ready": is_ready(model),
            "missing": self._missing(),
        }

    def _missing(self) -> str | None:
        """What keeps the model from being used, as a sentence."""
        try:
            self.model.get_key()
        except KeyRefused as error:
            return str(error)
        return lasting_fault(self.model)


@dataclass(frozen=True)
class _Offer:
    """One call of register(), before the names are settled."""

    model: EmbeddingModel
    aliases: tuple[str, ...]
    fallback: bool
    plugin: str
    version: str | None

    @property
    def qualified(self) -> str:
        """`<plugin>/<id>`, without what the names of all our plugins begin with."""
        return f"{self.plugin.removeprefix(PREFIX)}/{self.model.model_id}"


class Registry:
    """Every model of this instance, by id and by alias."""

    def __init__(self, offers: Iterable[_Offer], config: Config) -> None:
        self.config = config
        self.models: list[RegisteredModel] = []
        self._by_name: dict[str, RegisteredModel] = {}
        for offer in sorted(offers, key=lambda offer: offer.fallback):
            self._add(offer)

    def find(self, name: str) -> RegisteredModel:
        """The model of that id or alias, or UnknownModel with the names there are."""
        if name in self._by_name:
            return self._by_name[name]
        if not self.models:
            raise UnknownModel(f"There is no model {name!r}. {NO_MODELS}")
        names = ", ".join(sorted(name for entry in self.models for name in (entry.name, *entry.aliases)))
        raise UnknownModel(f"There is no model {name!r}; the installed ones are {names}")

    def __contains__(self, name: object) -> bool:
        """Whether there is a model of that id or alias."""
        return name in self._by_name

    def model(self, name: str) -> EmbeddingModel:
        """The model itself."""
        return self.find(name).model

    def price(self, collection: Collection) -> float | None:
        """What its model costs, in US dollars for a million tokens; None where that is nothing, or nobody knows."""
        entry = self._by_name.get(collection.model)
        return price_of(entry.model, binary=collection.definition.binary) if entry else None

    def default(self) -> RegisteredModel:
        """The model where none is named: the configured one, else the only one installed."""
        if self.config.default_model is not None:
            return self.find(self.config.default_model)
        if len(self.models) == 1:
            return self.models[0]
        if not self.models:
            raise UnknownModel(NO_MODELS)
        names = ", ".join(entry.short_name for entry in self.models)
        raise UnknownModel(f"Name a model: several are installed ({names}) and no default_model is configured")

    def pick(self, name: str | None) -> RegisteredModel:
        """The model of that name, or the default."""
        return self.find(name) if name else self.default()

    def _add(self, offer: _Offer) -> None:
        names = [offer.model.model_id, *offer.aliases]
        if offer.fallback:
            names = self._free(offer, names)
            register_as(offer.model, names[0])
        else:
            for name in names:
                self._refuse_clash(offer, name)
        name, *aliases = dict.fromkeys(names)
        # A fallback's also where it won: a collection that it made after a clash keeps its model without one.
        every_name = (name, *aliases, *([offer.qualified] if offer.fallback else []))
        sql = not (offer.model.needs_key or offer.model.remote) or self.config.allows_sql(*every_name)
        entry = RegisteredModel(offer.model, name, tuple(aliases), offer.plugin, offer.version, sql)
        self.models.append(entry)
        for name in every_name:
            self._by_name.setdefault(name, entry)

    def _free(self, offer: _Offer, names: list[str]) -> list[str]:
        """The names that a fallback keeps: its id becomes its qualified name where another model has it."""
        name = names[0] if names[0] not in self._by_name else offer.qualified
        self._refuse_clash(offer, name)
        return [name, *(alias for alias in names[1:] if alias not in self._by_name)]

    def _refuse_clash(self, offer: _Offer, name: str) -> None:
        if (taken := self._by_name.get(name)) is not None and taken.model is not offer.model:
            if taken.plugin == offer.plugin:
                raise EmbedError(f"The plugin {offer.plugin} registers two models named {name!r}")
            raise EmbedError(
                f"Two plugins register a model named {name!r}: {taken.plugin} and {offer.plugin}. Uninstall one of them"
            )


def registry_for(datasette) -> Registry:
    """The registry of this instance, built on first use: plugins of --plugins-dir are known only then."""
    if not hasattr(datasette, "_embed_registry"):
        config = read_config(datasette)
        registry = Registry(_offers(datasette, config), config)
        for name in (config.default_model, *config.sql_models):
            if name is not None:
                registry.find(name)  # a name that is misspelt in the configuration ends the start
        for name, price in config.prices.items():
            registry.model(name).price_per_million_tokens = price
        datasette._embed_registry = registry
    return datasette._embed_registry


def _offers(datasette, config: Config) -> list[_Offer]:
    distributions = dict(pm.list_plugin_distinfo())
    offers: list[_Offer] = []
    # One call a plugin rather than one for all: only so is it known who registers what.
    for implementation in reversed(pm.hook.register_embedding_models.get_hookimpls()):
        dist = distributions.get(implementation.plugin)
        plugin = dist.project_name if dist else _plain_name(implementation)
        version = dist.version if dist else None
        offers += _offers_of(datasette, config, implementation, plugin, version)
    return offers


def _offers_of(datasette, config: Config, implementation, plugin: str, version: str | None) -> list[_Offer]:
    offers: list[_Offer] = []

    def register(model: EmbeddingModel, aliases: Iterable[str] = (), fallback: bool = False) -> None:
        _check(plugin, model, aliases)
        _give_key(datasette, config, model)
        offers.append(_Offer(model, tuple(aliases), fallback, plugin, version))

    arguments = {"register": register, "datasette": datasette}
    try:
        implementation.function(**{name: arguments[name] for name in implementation.argnames})
    except Exception as error:
        if raising() or isinstance(error, EmbedError):
            raise
        keys = [key for key in config.keys.values() if key]
        said = without_keys(describe(error), keys)
        cause = None if shows_key(error, keys) else error
        raise EmbedError(f"The plugin {plugin} could not register its embedding models: {said}") from cause
    return offers


def _give_key(datasette, config: Config, model: EmbeddingModel) -> None:
    if key := config.keys.get(model.model_id) or config.keys.get(model.needs_key or ""):
        model.key = key
    if model.needs_key and secrets.installed():
        keep_key_in(model, secrets.stored_key(datasette, model))


def _check(plugin: str, model: object, aliases: object) -> None:
    if not isinstance(model, EmbeddingModel):
        raise EmbedError(
            f"The plugin {plugin} registered {model!r}, which is not an instance of datasette_embeddings.EmbeddingModel"
        )
    if not isinstance(getattr(model, "model_id", None), str) or not model.model_id:
        raise EmbedError(f"The plugin {plugin} registered a {type(model).__name__} without a model_id")
    if isinstance(aliases, str):
        raise EmbedError(f"The plugin {plugin} gave {aliases!r} as aliases: write a tuple, ({aliases!r},)")


def _plain_name(implementation) -> str:
    name = getattr(implementation.plugin, "__name__", None) or implementation.plugin_name
    return name.rsplit("/", 1)[-1].removesuffix(".py")  # a file of --plugins-dir: its name, and no path
