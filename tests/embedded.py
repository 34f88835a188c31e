"""Embedding tables of a file with the engine alone, as the command line does."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager

from servers import PATIENCE, wait_for

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.chunking import AUTOMATIC
from datasette_embeddings.engine.collections import create_collection, define, get_collection
from datasette_embeddings.engine.identifiers import quote
from datasette_embeddings.engine.retries import try_all
from datasette_embeddings.engine.running import run_job
from datasette_embeddings.engine.vectors import decode


def make_file(path, script="", **rows):
    """A file made by this script; `rows` are inserted into the tables of these names."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.executescript(script)
        for table, values in rows.items():
            marks = ", ".join("?" * len(values[0]))
            conn.executemany(f'insert into "{table}" values ({marks})', values)
    return path


def write(path, sql, *values):
    """Run one statement as any other program would, and commit."""
    with closing(connect(path)) as conn, conn:
        conn.execute(sql, values)


def read(path, sql, *values):
    """The rows of a query, as plain tuples."""
    with closing(connect(path)) as conn:
        return conn.execute(sql, values).fetchall()


def create(path, table, columns, model, template=None, name=None, chunking=AUTOMATIC, **options):
    """The collection, new or not, and a new pending job for it, made with these options."""
    with FileAccess(path) as access:
        definition = access.read(lambda conn: define(conn, table, columns, template, model, chunking))
        collection, _ = access.write(lambda conn: create_collection(conn, definition, name=name))
        return collection, access.write(lambda conn: jobs.create_job(conn, collection.id, **options))


def run(path, job, model, owner="test", **options):
    """Claim the job and run it in this thread; the job as it then stands."""
    with FileAccess(path) as access:
        assert access.write(lambda conn: jobs.claim(conn, job.id, owner)), "Somebody else holds the job"
        return run_job(access, job, owner, lambda name: model, **options)


def embed(path, table, columns, model, template=None, name=None, chunking=AUTOMATIC):
    """One pass over a table; the job as it ended."""
    _, job = create(path, table, columns, model, template, name, chunking)
    return run(path, job, model)


def act(path, action, name, limits=jobs.NOTHING):
    """Pause, resume or cancel as a page would."""
    with closing(connect(path)) as conn:
        collection = get_collection(conn, name)
        if action == "resume":
            try_all(conn, collection)
        return jobs.act(conn, collection.id, action, limits)


def job_of(path, job):
    """The job as it now stands."""
    with closing(connect(path)) as conn:
        return jobs.get_job(conn, job.id)


def vectors(path, name):
    """What is stored of a collection: {key: [numbers]}; the key is a tuple where it has several columns."""
    with closing(connect(path)) as conn:
        table = get_collection(conn, name).vector_table
        columns = [row[1] for row in conn.execute(f"pragma table_info({quote(table)})")]
        names = ", ".join(map(quote, columns[: columns.index("chunk")]))
        rows = conn.execute(f"select vector, {names} from {quote(table)}").fetchall()
    return {row[1] if len(row) == 2 else tuple(row[1:]): decode(row[0]).tolist() for row in rows}


def errors(path):
    """The messages of _embed_errors."""
    return [row[0] for row in read(path, "select message from _embed_errors order by rowid")]


@contextmanager
def running(path, job, model, owner="other", **options):
    """The job run on another thread while the block runs; a list that gets the job as it ended."""
    done = []
    thread = threading.Thread(target=lambda: done.append(run(path, job, model, owner, **options)), daemon=True)
    thread.start()
    try:
        yield done
    finally:
        if hasattr(model, "open"):
            model.open()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "The job never ended"


def wait_until(path, sql, what):
    """Wait until a query gives a row that is true."""
    return wait_for(lambda: any(row[0] for row in read(path, sql)), what)
