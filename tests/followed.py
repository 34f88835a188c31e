"""Collections that are kept up to date, with the engine alone: changes by any connection, then one round of `sync`."""

from __future__ import annotations

import time
from contextlib import closing

from chunked import ShortSighted
from embedded import create, read, run
from fake_models import WordLengths, word_lengths

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.collections import get_collection
from datasette_embeddings.engine.follow.attending import attend
from datasette_embeddings.engine.follow.following import follow
from datasette_embeddings.engine.identifiers import quote
from datasette_embeddings.engine.running import run_job


def embed_and_follow(path, table, columns, model, **options):
    """A collection that was embedded and is kept up to date; `model.calls` begins anew."""
    collection, job = create(path, table, columns, model, **options)
    with FileAccess(path) as access:
        access.write(lambda conn: follow(conn, collection))
    run(path, job, model)
    model.calls.clear()
    return collection


def sync(path, model, owner="sync"):
    """Mend, and run every job that is due; the jobs as they ended."""
    done = []
    with FileAccess(path) as access:
        access.write(attend)
        while job := access.read(jobs.claimable_job):
            assert access.write(lambda conn, job=job: jobs.claim(conn, job.id, owner))
            done.append(run_job(access, job, owner, lambda name: model))
    return done


def due(path):
    """The job that a worker would take next, pending, or None."""
    with closing(connect(path)) as conn:
        attend(conn)
        return jobs.claimable_job(conn)


def execute(path, script):
    """Run a script as any other program would, which has none of our functions."""
    with closing(connect(path)) as conn:
        conn.executescript(script)


def noted(path, collection="notes", key="id"):
    """The keys that wait, in the order of their notes."""
    return [row[0] for row in read(path, f'select "{key}" from "_embed_notes_{collection}" order by note')]


def triggers(path):
    """The names of the file's triggers, with their tables."""
    return dict(read(path, "select name, tbl_name from sqlite_master where type = 'trigger'"))


def fresh(path, collection="notes", key="id", content="body"):
    """What a collection over this column would hold, were every row embedded now."""
    with closing(connect(path)) as conn:
        table = get_collection(conn, collection).table
    rows = read(path, f"select {key}, {content} from {quote(table)} where trim(coalesce({content}, '')) <> ''")
    return {row[0]: word_lengths(row[1]) for row in rows}


class Slow(WordLengths):
    """Takes two milliseconds for each content, so that a kill may come at any moment of a job."""

    def embed_batch(self, contents):
        time.sleep(0.002 * len(contents))
        return super().embed_batch(contents)


class SlowReader(Slow, ShortSighted):
    """The same of a model that reads little, so that long texts are cut."""


def keep_up(path, ready, model=Slow):
    """What a process does that keeps a file up to date: sync() for ever, once it has said that it is `ready`."""
    model = model()
    ready.set()
    while True:
        sync(path, model)
        time.sleep(0.01)
