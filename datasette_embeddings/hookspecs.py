"""The hook that model plugins implement, on Datasette's own plugin manager."""

from pluggy import HookspecMarker

hookspec = HookspecMarker("datasette")


@hookspec
def register_embedding_models(register, datasette):
    """Call register(model, aliases=(), fallback=False) for each embedding model."""
