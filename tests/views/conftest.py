"""What the tests of the pages share: collections that are there already, and waiting for a job."""

import asyncio

import pytest
from clients import get_json
from fake_models import WordLengths
from servers import PATIENCE

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.collections import create_collection, define
from datasette_embeddings.engine.running import run_job
from datasette_embeddings.worker import worker_for


@pytest.fixture
def embed():
    """embed(path, table, *columns, model=WordLengths(), template=None, name=None, run=True): a collection's name."""

    def embed(path, table, *columns, model=None, template=None, name=None, run=True):
        model = model or WordLengths()
        with FileAccess(path) as access:

            def create(conn):
                definition = define(conn, table, columns or None, template, model)
                collection, _ = create_collection(conn, definition, name=name)
                return collection, jobs.create_job(conn, collection.id)

            collection, job = access.write(create)
            if run:
                owner = jobs.new_owner()
                assert access.write(lambda conn: jobs.claim(conn, job.id, owner))
                run_job(access, job, owner, lambda name: model)
        return collection.name

    return embed


@pytest.fixture
async def working():
    """working(datasette) starts the worker, which the client, having no lifespan, does not."""
    workers = []

    def start(datasette):
        workers.append(worker_for(datasette))
        workers[-1].start()

    yield start
    for worker in workers:
        await worker.close()


@pytest.fixture
def wait_for_status():
    """await wait_for_status(datasette, path, *statuses, actor=None): the JSON of a collection once its job is there."""

    async def wait(datasette, path, *statuses, actor=None):
        async def look():
            while (data := await get_json(datasette, path, actor))["job"]["status"] not in statuses:
                await asyncio.sleep(0.01)
            return data

        return await asyncio.wait_for(look(), PATIENCE)

    return wait
