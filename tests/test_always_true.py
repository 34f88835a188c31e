"""Whatever is written, killed, changed or restored: after a sync every row has just the vectors of its present text."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest
from embedded import make_file, read, run, write
from fake_models import WordLengths
from followed import embed_and_follow
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess, connect
from datasette_embeddings.engine.changing import begin_change, changed, successor_of
from datasette_embeddings.engine.chunking import Chunking
from datasette_embeddings.engine.collections import (
    create_collection,
    every_collection,
    get_collection,
    remove_everything,
)
from datasette_embeddings.engine.contents import content_hash
from datasette_embeddings.engine.follow.attending import attend, look
from datasette_embeddings.engine.follow.renaming import renamed
from datasette_embeddings.engine.identifiers import quote
from datasette_embeddings.engine.running import pace, run_job

RUNS = int(os.environ.get("ALWAYS_TRUE_RUNS", "200"))
# A commit waits for the disk, of which there are thousands here.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
BATCH = 3  # contents: a table of a dozen rows makes several batches
TABLES = (
    "create table notes (id integer primary key, slug text unique, body text, other text)",
    "create table notes (id text primary key, slug text unique, body text, other text)",
    "create table notes (id integer, part text, slug text unique, body text, other text, primary key (id, part))",
    "create table notes (id integer, slug text unique, body text, other text)",
    "create table notes (id text primary key, slug text unique, body text, other text) without rowid",
)
CHUNKINGS = (None, Chunking("characters", 16, 0))
CHUNKS = 4  # of the longest row, which is stored whole or not at all
WORDS = st.lists(st.sampled_from(["to", "be", "or", "not", "question"]), max_size=6).map(" ".join)
IDS, SLUGS = st.integers(1, 5), st.sampled_from(["a", "b", "c", None])


class Killed(BaseException):
    """What a kill looks like from within: nothing after it is done."""


class Mortal(WordLengths):
    """Is killed while it embeds a batch, as soon as it has been given `lives` contents."""

    def __init__(self, model_id=None):
        super().__init__(model_id)
        self.lives = None
        self.meanwhile = None  # called once, while a batch is embedded

    def embed_batch(self, contents):
        vectors = super().embed_batch(contents)
        if self.lives is not None and len(self.contents) >= self.lives:
            raise Killed
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return vectors


class Life(RuleBasedStateMachine):
    """One file, one followed collection, and all that may happen to both."""

    @initialize(
        table=st.sampled_from(TABLES), journal=st.sampled_from(["delete", "wal"]), chunking=st.sampled_from(CHUNKINGS)
    )
    def begin(self, table, journal, chunking):
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.path = make_file(Path(self.folder.name) / "data.db", f"pragma journal_mode = {journal}; {table}")
        self.column, self.backup = "body", None
        self.has_rowid_beside_key = table in TABLES[1:3]
        # A column that is renamed is known by the triggers: it must not be renamed where those were dropped too.
        self.unseen = False
        self.models = {name: Mortal(name) for name in ("first", "second")}
        for id, slug in ((1, "a"), (2, "b"), (3, None)):
            self.insert(id, slug, "to be or not " * id, "insert")
        embed_and_follow(self.path, "notes", ["body"], self.models["first"], chunking=chunking)

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def execute(self, sql, *values):
        """As any other program: a statement that a constraint forbids is nothing."""
        with suppress(sqlite3.IntegrityError):
            write(self.path, sql, *values)

    @rule(id=IDS, slug=SLUGS, text=WORDS, verb=st.sampled_from(["insert", "insert or replace", "insert or ignore"]))
    def insert(self, id, slug, text, verb):
        columns = (*self.keys, "slug", self.column)
        marks = ", ".join("?" * len(columns))
        values = [id, f"part {id % 2}"][: len(self.keys)]
        self.execute(f"{verb} into notes ({', '.join(columns)}) values ({marks})", *values, slug, text)

    @precondition(lambda self: getattr(self, "has_rowid_beside_key", False))
    @rule(rowid=IDS, id=IDS, text=WORDS)
    def insert_at(self, rowid, id, text):
        columns = ("rowid", *self.keys, self.column)
        values = [rowid, id, f"part {id % 2}"][: len(columns) - 1]
        marks = ", ".join("?" * len(columns))
        self.execute(f"insert or replace into notes ({', '.join(columns)}) values ({marks})", *values, text)

    @property
    def keys(self):
        names = [row[1] for row in read(self.path, "pragma table_info(notes)")]
        return ("id", "part") if "part" in names else ("id",)

    @rule(id=IDS, text=WORDS, verb=st.sampled_from(["update", "update or replace"]))
    def update(self, id, text, verb):
        self.execute(f"{verb} notes set {self.column} = ? where id = ?", text, id)

    @rule(id=IDS, new=IDS, slug=SLUGS)
    def move(self, id, new, slug):
        self.execute("update or replace notes set id = ?, slug = ? where id = ?", new, slug, id)

    @rule(id=IDS)
    def delete(self, id):
        self.execute("delete from notes where id = ?", id)

    @rule()
    def delete_all(self):
        self.execute("delete from notes")

    @precondition(lambda self: not getattr(self, "unseen", True))
    @rule()
    def rename_column(self):
        self.unseen = True
        before, self.column = self.column, "text" if self.column == "body" else "body"
        write(self.path, f"alter table notes rename column {before} to {self.column}")

    @rule()
    def vacuum(self):
        with closing(sqlite3.connect(self.path, isolation_level=None)) as conn:
            conn.execute("vacuum")

    @precondition(lambda self: not getattr(self, "unseen", True))
    @rule()
    def lose_triggers(self):
        self.unseen = True
        for (name,) in read(self.path, "select name from sqlite_master where type = 'trigger'"):
            write(self.path, f"drop trigger {quote(name)}")

    @rule()
    def back_up(self):
        self.backup = (self.path.with_name("backup.db"), self.column, self.unseen)
        with closing(sqlite3.connect(self.path)) as conn, closing(sqlite3.connect(self.backup[0])) as copy:
            conn.backup(copy)

    @precondition(lambda self: getattr(self, "backup", None))
    @rule()
    def restore(self):
        for name in ("data.db-wal", "data.db-shm"):
            self.path.with_name(name).unlink(missing_ok=True)
        shutil.copy(self.backup[0], self.path)
        _, self.column, self.unseen = self.backup

    @rule(model=st.sampled_from(["first", "second"]), template=st.sampled_from([None, "about {{ chunk }}"]))
    def change(self, model, template):
        with closing(connect(self.path)) as conn:
            present = get_collection(conn, "notes")
            wanted = changed(conn, present, self.models[model], template=template)
            if successor_of(conn, present) is None and wanted != renamed(conn, present):
                successor = begin_change(conn, "notes", wanted)
                jobs.create_job(conn, successor.id)

    @rule(lives=st.integers(1, 8))
    def kill(self, lives):
        """A sync that is killed inside the model loses no more than that batch."""
        wanted = self.wanted()
        for model in self.models.values():
            model.lives = lives
        try:
            self.sync()
        except Killed:
            write(self.path, "update _embed_jobs set lease_expires = 0 where status = 'running'")
        given = sum(len(model.contents) for model in self.models.values())
        for model in self.models.values():
            model.lives = None
            model.calls.clear()
        assert len(self.wanted()) <= len(wanted) - given + BATCH + CHUNKS

    @rule(id=IDS, text=WORDS)
    def write_meanwhile(self, id, text):
        """Rows change while the model is at work, and what changed is seen to by the next sync."""
        for model in self.models.values():
            model.meanwhile = lambda: self.execute(f"update notes set {self.column} = ? where id >= ?", text, id)
        self.sync()
        for model in self.models.values():
            model.meanwhile = None
            model.calls.clear()

    @rule()
    def settle(self):
        """A sync in peace: just the vectors of an embedding from scratch, and nothing embedded without need."""
        wanted, changing = self.wanted(), self.is_changing()
        self.sync()
        given = [(name, content) for name, model in self.models.items() for content in model.contents]
        for model in self.models.values():
            model.calls.clear()
        assert len(given) == len(set(given))
        assert set(given) <= set(wanted) if changing else sorted(given) == sorted(wanted)
        with closing(connect(self.path)) as conn:
            definition = get_collection(conn, "notes").definition
        assert stored(self.path) == self.from_scratch(definition)[1]
        assert read(self.path, "pragma integrity_check") == [("ok",)]

    def is_changing(self):
        """Whether a successor grows: once it takes over, what the old collection lacks is no longer wanted."""
        return read(self.path, "select count(*) from _embed_collections") != [(1,)]

    settle_often = rule()(lambda self: self.settle())

    def sync(self):
        with FileAccess(self.path) as access:
            while access.read(lambda conn: look(conn, None)).is_due or access.read(jobs.claimable_job):
                access.write(attend)
                while job := access.read(jobs.claimable_job):
                    assert access.write(lambda conn, job=job: jobs.claim(conn, job.id, "sync"))
                    ended = run_job(access, job, "sync", lambda name: self.models[name])
                    assert ended.status == jobs.FINISHED, ended.reason
        self.unseen = False

    def wanted(self):
        """The model and the content of all that the rows need and no collection of that model holds, each once."""
        with closing(connect(self.path)) as conn:
            collections = every_collection(conn)
            definitions = [renamed(conn, found) for found in collections]
            held = {(found.model, row[0]) for found in collections for row in conn.execute(hashes(found))}
        contents = {(each.model, content) for each in definitions for content in self.from_scratch(each)[0]}
        return [pair for pair in contents if (pair[0], content_hash(pair[1])) not in held]

    def from_scratch(self, definition):
        """The contents and the vectors of a copy of the file, where the table is embedded for the first time."""
        copy = self.path.with_name("copy.db")
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.path)) as conn, closing(sqlite3.connect(copy)) as new:
            conn.backup(new)
        with closing(connect(copy)) as conn:
            remove_everything(conn)
            collection, _ = create_collection(conn, definition, name="notes")
            job = jobs.create_job(conn, collection.id)
        run(copy, job, model := WordLengths(definition.model))
        return model.contents, stored(copy)


def hashes(collection):
    return f"select content_hash from {quote(collection.vector_table)}"


def stored(path):
    """All that is stored of the collection's vectors but for their ids."""
    with closing(connect(path)) as conn:
        table = quote(get_collection(conn, "notes").vector_table)
        names = [row[1] for row in conn.execute(f"pragma table_info({table})") if row[1] != "vector_id"]
        return sorted(conn.execute(f"select {', '.join(map(quote, names))} from {table}"), key=repr)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(pace, "FIRST_BATCH", BATCH)
    monkeypatch.setattr(pace, "LARGEST_BATCH", BATCH)


@pytest.mark.timeout(900)
def test_every_row_has_just_the_vectors_of_its_present_text():
    """RUNS lives of up to 25 events, always the same ones unless ALWAYS_TRUE_RUNS asks for more."""
    options = settings(
        max_examples=RUNS,
        stateful_step_count=25,
        derandomize=RUNS == 200,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(Life, settings=options)
