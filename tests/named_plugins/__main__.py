"""`python tests/named_plugins …` is `datasette …` with the plugins of $DATASETTE_LOAD_PLUGINS alone, on 0.65 too.

Only 1.0 heeds that variable. 0.65 would import whatever pip installed, of which some plugins bring libraries that take
longer to import than all the rest.
"""

import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import suppress
from unittest.mock import patch


def named() -> Iterator[importlib.metadata.Distribution]:
    """The distributions of these names that are installed."""
    for name in os.environ["DATASETTE_LOAD_PLUGINS"].split(","):
        with suppress(importlib.metadata.PackageNotFoundError):
            yield importlib.metadata.distribution(name)


with patch("importlib.metadata.distributions", named):
    from datasette.cli import cli

cli()
