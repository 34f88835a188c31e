"""The pages and their JSON twins."""


def routes():
    """The route table, as Datasette wants it."""
    return []


def skip_csrf(scope):
    """True for JSON bodies."""
    return False


def menu_links(datasette, actor):
    """The entry of the top menu."""
    return []


def database_actions(datasette, actor, database):
    """The entry of a database's menu."""
    return []


def table_actions(datasette, actor, database, table):
    """The entry of a table's menu."""
    return []
