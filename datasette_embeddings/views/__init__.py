"""The pages and their JSON twins."""

from .menus import database_actions, menu_links, table_actions
from .places import extra_template_vars, jump_items_sql, top_row, top_table
from .routes import routes, skip_csrf

__all__ = [
    "database_actions",
    "extra_template_vars",
    "jump_items_sql",
    "menu_links",
    "routes",
    "skip_csrf",
    "table_actions",
    "top_row",
    "top_table",
]
