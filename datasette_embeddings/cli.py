"""The commands under `datasette embed`."""


def register(cli):
    """Add the group to Datasette's own commands."""
