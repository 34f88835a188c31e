"""Counts that took long are believed for a while, and only of the same state."""

from types import SimpleNamespace

import pytest
from fake_models import WordLengths

from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.jobs import latest_job
from datasette_embeddings.engine.status import RowCounts
from datasette_embeddings.views import counts


@pytest.fixture
async def counting(make_datasette, notes, embed, monkeypatch):
    """row_counts() over a clock of our own: each count takes `seconds` of it."""
    embed(notes, "notes", "title")
    datasette = make_datasette(notes, models=[WordLengths()])
    database = datasette.get_database("data")
    collection = await database.execute_fn(lambda conn: get_collection(conn, "notes"))
    job = await database.execute_fn(lambda conn: latest_job(conn, collection.id))
    state = SimpleNamespace(now=0.0, seconds=1.0, counted=0)

    def count(conn, collection, job):
        state.now += state.seconds
        state.counted += 1
        return RowCounts(3, 0, 0, 0)

    monkeypatch.setattr(counts, "count", count)
    monkeypatch.setattr(counts, "time", SimpleNamespace(monotonic=lambda: state.now))
    state.ask = lambda job=job: counts.row_counts(datasette, None, "data", collection, job)
    return state


async def test_a_long_count_is_believed(counting):
    """One second of counting is worth twenty."""
    counting.ask()
    counting.now += 19
    counting.ask()
    assert counting.counted == 1
    counting.now += 2
    counting.ask()
    assert counting.counted == 2


async def test_a_quick_count_is_not_kept(counting):
    """Small tables are counted each time."""
    counting.seconds = 0.01
    counting.ask()
    counting.ask()
    assert counting.counted == 2


async def test_another_state_is_counted_anew(counting):
    """What the job has done since is never hidden by an older count."""
    counting.ask()
    counting.ask(None)
    assert counting.counted == 2
