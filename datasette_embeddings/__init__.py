"""Search any SQLite database by meaning: the public names, and every hook of Datasette, each handed over in a line."""

# The public names first: importing Datasette imports every plugin, and model plugins want them from us at that moment.
from .engine.errors import ContentRefused, EmbedError, KeyRefused, ModelBusy, ModelError, ModelUnavailable
from .engine.models import EmbeddingModel
from .plugin_configuration import PluginConfiguration

# isort: split
import sys

from datasette import hookimpl
from datasette.plugins import pm

from . import cli as commands
from . import hookspecs, permissions, registry, search_turns, secrets, sql_functions, views, worker

__all__ = [
    "ContentRefused",
    "EmbedError",
    "EmbeddingModel",
    "KeyRefused",
    "ModelBusy",
    "ModelError",
    "ModelUnavailable",
    "PluginConfiguration",
]

if not (hasattr(pm.hook, "register_embedding_models") and pm.hook.register_embedding_models.has_spec()):
    pm.add_hookspecs(hookspecs)


@hookimpl
def startup(datasette):
    worker.startup(datasette)


@hookimpl
def asgi_wrapper(datasette):
    started, turned = worker.asgi_wrapper(datasette), search_turns.asgi_wrapper(datasette)
    return lambda app: started(turned(app))


@hookimpl
def prepare_connection(conn, database, datasette):
    sql_functions.prepare_connection(conn, database, datasette)


@hookimpl
def register_routes():
    return views.routes()


@hookimpl
def skip_csrf(scope):  # called by 0.65
    return views.skip_csrf(scope)


@hookimpl
def menu_links(datasette, actor):
    return views.menu_links(datasette, actor)


@hookimpl
def database_actions(datasette, actor, database):
    return views.database_actions(datasette, actor, database)


@hookimpl
def table_actions(datasette, actor, database, table, request):
    return views.table_actions(datasette, actor, database, table, request)


@hookimpl
def top_table(datasette, request, database, table):  # called by 1.0
    return views.top_table(datasette, request, database, table)


@hookimpl
def top_row(datasette, request, database, table):  # called by 1.0
    return views.top_row(datasette, request, database, table)


@hookimpl
def jump_items_sql(datasette, actor):  # called by 1.0
    return views.jump_items_sql(datasette, actor)


@hookimpl
def extra_template_vars(datasette, request, database, table, view_name):  # used on 0.65
    return views.extra_template_vars(datasette, request, database, table, view_name)


@hookimpl
def register_actions():  # called by 1.0
    return permissions.actions()


@hookimpl
def permission_resources_sql(datasette, actor, action):  # called by 1.0
    return permissions.rules_on_1(datasette, actor, action)


@hookimpl(tryfirst=True)
def permission_allowed(datasette, actor, action, resource):  # called by 0.65
    return permissions.allowed_on_065(datasette, actor, action, resource)


@hookimpl
def get_metadata(datasette):  # called by 0.65
    return permissions.hidden_tables(datasette)


@hookimpl
def register_secrets(datasette):  # called by datasette-secrets
    return secrets.declared(entry.model for entry in registry.registry_for(datasette).models)


@hookimpl
def register_commands(cli):
    commands.register(cli)


_this = sys.modules[__name__]
if (_name := pm.get_name(_this)) is not None:
    # Somebody imported us before Datasette, which then met a module that had no hooks yet.
    pm.unregister(_this)
    pm.register(_this, _name)
