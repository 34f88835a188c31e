"""What a start says of the installation: the distribution that shares our import package."""

import importlib.metadata
import logging

import pytest

OTHER = "datasette-embeddings"


@pytest.fixture
def other_installed(monkeypatch):
    """importlib.metadata finds the distribution datasette-embeddings, whether or not it is there."""
    found = importlib.metadata.distribution

    def distribution(name):
        return found("datasette-embed" if name == OTHER else name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


async def warnings_at_start(datasette, caplog):
    with caplog.at_level(logging.WARNING, "datasette_embeddings"):
        await datasette.invoke_startup()
    return [record.getMessage() for record in caplog.records if record.name == "datasette_embeddings"]


async def test_the_other_distribution_is_named(make_datasette, caplog, other_installed):
    """Where the distribution that writes into our import package is installed too, one sentence says so."""
    (warning,) = await warnings_at_start(make_datasette(), caplog)
    assert warning.startswith("datasette-embeddings is installed too")
    assert "pip uninstall datasette-embeddings" in warning
    assert warning.count(". ") == 0


async def test_nothing_is_said_without_it(make_datasette, caplog):
    """A start without it is silent."""
    assert await warnings_at_start(make_datasette(), caplog) == []
