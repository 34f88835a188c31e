"""Building a Datasette in this process, with chosen models, the same way on both Datasette lines."""

from __future__ import annotations

from contextlib import contextmanager

from datasette import hookimpl
from datasette.app import Datasette
from datasette.plugins import pm


class Models:
    """A plugin that registers these models with one Datasette, once `datasette` names it, and with no other."""

    def __init__(self, models):
        self.models = models
        self.datasette = None
        self.__name__ = f"models_of_this_test_{id(self)}"  # 0.65 lists plugins by this name

    @hookimpl
    def register_embedding_models(self, register, datasette):
        if self.datasette in (None, datasette):
            for model in self.models:
                register(model, aliases=getattr(model, "aliases", ()))


def build(*paths, config=None, root=True, **options):
    """A Datasette over these files; `config` is what datasette.yaml would say (on 0.65 it goes into the metadata)."""
    place = "config" if hasattr(Datasette, "allowed") else "metadata"  # 1.0's own pytest plugin hides the signature
    if config is not None:
        options[place] = config
    datasette = Datasette([str(path) for path in paths], **options)
    if root and hasattr(datasette, "root_enabled"):
        datasette.root_enabled = True  # what `datasette serve --root` does on 1.0
    return datasette


def registered(plugin, config=None):
    """What a model plugin's module registers under this configuration of it, by id, as (model, aliases)."""

    class FakeDatasette:
        def plugin_config(self, name):
            return config if name == plugin.PLUGIN else None

    models = {}

    def register(model, aliases=()):
        assert model.model_id not in models
        models[model.model_id] = (model, aliases)

    plugin.register_embedding_models(register=register, datasette=FakeDatasette())
    return models


def close(datasette):
    """Release the connections, which 0.65 cannot do by itself."""
    if hasattr(datasette, "close"):
        datasette.close()
    else:
        for database in datasette.databases.values():
            database.close()


def unload_all_but(*distributions):
    """Unregister the other plugins that pip installed: pytest may have imported Datasette before we were asked."""
    for plugin, distribution in pm.list_plugin_distinfo():
        if distribution.project_name not in distributions and pm.is_registered(plugin):
            pm.unregister(plugin)


@contextmanager
def plugins(*wanted):
    """These plugins registered, in the order given, until the block ends."""
    before = set(pm.get_plugins())
    for plugin in wanted:
        pm.register(plugin)
    try:
        yield
    finally:
        for plugin in set(pm.get_plugins()) - before:  # those of a --plugins-dir too
            pm.unregister(plugin)


@contextmanager
def no_installed_models():
    """Every installed model plugin unregistered until the block ends."""
    installed = [
        (pm.get_name(plugin), plugin)
        for plugin, _ in pm.list_plugin_distinfo()
        if hasattr(plugin, "register_embedding_models") and pm.is_registered(plugin)
    ]
    for _, plugin in installed:
        pm.unregister(plugin)
    try:
        yield
    finally:
        for name, plugin in installed:
            pm.register(plugin, name=name)
