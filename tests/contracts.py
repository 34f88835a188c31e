"""The contract of model plugins, run as a function: which promises a model breaks."""

from __future__ import annotations

import unittest

from datasette_embeddings.testing import ModelContract


def broken_promises(contract):
    """The names of the contract's tests that fail, with their messages."""
    failures = {}
    for name in (name for name in dir(contract) if name.startswith("test_")):
        try:
            getattr(contract(), name)()
        except unittest.SkipTest:
            pass
        except Exception as error:
            failures[name.removeprefix("test_")] = str(error)
    return failures


def contract_of(model, **overridden):
    """A contract whose cold models are made by this class."""
    return type("Contract", (ModelContract,), {"make_model": lambda self: model(), **overridden})
