"""Turns at searching: many searches at once leave the other pages a thread."""

import asyncio
import threading

import pytest
from clients import get
from embedded import embed
from fake_models import WordLengths
from servers import PATIENCE

from datasette_embeddings.engine.search import Searcher

BY_PAGE = "/data/notes/-/similar.json?row=1"
BY_SQL = "/data.json?sql=select+embed_similar('notes',1)"


@pytest.mark.parametrize("path", [BY_PAGE, BY_SQL])
async def test_a_page_while_many_search(make_datasette, notes, monkeypatch, path):
    """However many search, a row's page is answered before the first of them is done."""
    embed(notes, "notes", ["body"], WordLengths())
    datasette = make_datasette(notes, models=[WordLengths()])
    began, goes_on, search = threading.Semaphore(0), threading.Event(), Searcher.similar

    def held(self, *arguments, **options):
        began.release()
        assert goes_on.wait(PATIENCE)
        return search(self, *arguments, **options)

    monkeypatch.setattr(Searcher, "similar", held)
    searches = [asyncio.create_task(follow(datasette, path)) for _ in range(6)]
    try:
        for _ in range(2):  # of three threads, as many as may search
            assert await asyncio.to_thread(began.acquire, timeout=PATIENCE)
        response = await asyncio.wait_for(get(datasette, "/data/notes/1"), PATIENCE)
        assert (response.status_code, any(search.done() for search in searches)) == (200, False)
    finally:
        goes_on.set()
    assert {response.status_code for response in await asyncio.gather(*searches)} == {200}


async def follow(datasette, path):
    response = await get(datasette, path)
    while response.status_code in (301, 302):  # 1.0 has another address for SQL
        response = await get(datasette, response.headers["location"])
    return response
