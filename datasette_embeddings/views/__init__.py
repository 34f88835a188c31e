"""The pages and their JSON twins."""

from .menus import database_actions, menu_links, table_actions
from .routes import routes, skip_csrf

__all__ = ["database_actions", "menu_links", "routes", "skip_csrf", "table_actions"]
