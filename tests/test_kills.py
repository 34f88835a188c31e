"""A real server, killed in every phase of a job and started again: every row ends with its vector, once."""

import signal
from pathlib import Path

import numpy as np
import pytest
from embedded import create, embed, make_file, read, wait_until, write
from fake_models import WordLengths
from servers import PATIENCE, wait_for

from datasette_embeddings.registry import registry_for

PHASES = Path(__file__).parent / "phases"
NOTES = "create table notes (id text primary key, body text)"
ROWS = [(f"key {n}", f"{'x' * (n % 7)} {n} {'y' * (n % 11)}") for n in range(3000)]
STORED = "select id, chunk, chunk_start, chunk_end, content_hash, vector from _embed_vectors_notes order by id"


@pytest.fixture
def kill(serve, tmp_path):
    """kill(path, phase, after=1, **env): a server that is killed in this phase of a job."""

    def run_and_kill(path, phase, after=1, **env):
        mark = tmp_path / f"{phase}-{after}.mark"
        mark.unlink(missing_ok=True)
        env |= {"FAKE_PHASE": phase, "FAKE_PHASE_AFTER": str(after), "FAKE_PHASE_MARK": str(mark)}
        # In a commit it ends itself, perhaps before it has answered anybody.
        server = serve(path, plugins_dir=PHASES, env=env, answering=phase != "commit")
        if phase == "commit":
            assert server.process.wait(PATIENCE) == -signal.SIGKILL
        else:
            wait_for(mark.exists, f"the server to be in the phase {phase}")
            server.kill()

    return run_and_kill


def expire(path):
    """What 15 seconds would do."""
    write(path, "update _embed_jobs set lease_expires = 0 where status = 'running'")


def finish(path, serve, **options):
    """A server that is left in peace until the job is over."""
    serve(path, plugins_dir=PHASES, **options)
    wait_until(path, "select status = 'finished' from _embed_jobs", "the end of the job")


def undisturbed(tmp_path):
    """What a run that nobody killed stores, without the vectors' ids, which may come in another order."""
    path = make_file(tmp_path / "undisturbed.db", NOTES, notes=ROWS)
    embed(path, "notes", ["body"], WordLengths())
    return stored(path)


def stored(path):
    return read(path, STORED)


def assert_whole(path, tmp_path):
    assert read(path, "pragma integrity_check") == [("ok",)]
    assert stored(path) == undisturbed(tmp_path)
    assert read(path, "select rows_done, embedded + reused, failed, removed from _embed_jobs") == [(3000, 3000, 0, 0)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_killed_in_every_phase(tmp_path, serve, kill, journal):
    """Killed while it reads, embeds, writes, commits and sweeps, a server leaves what an undisturbed one leaves."""
    path = make_file(tmp_path / "data.db", f"pragma journal_mode = {journal}; {NOTES}", notes=ROWS)
    create(path, "notes", ["body"], WordLengths())
    phases = [("read", 2), ("model", 2), ("write", 2), ("commit", 1), ("commit", 2), ("sweep", 1)]
    for phase, after in phases if journal == "delete" else phases[2:4]:
        kill(path, phase, after, FAKE_LARGEST_BATCH="400")
        assert read(path, "select status from _embed_jobs") == [("running",)]
        assert read(path, "select rows_done = (select count(*) from _embed_vectors_notes) from _embed_jobs") == [(1,)]
        expire(path)
    finish(path, serve)
    assert_whole(path, tmp_path)


def test_the_lease_of_a_killed_server_runs_out_by_itself(tmp_path, serve, kill):
    """Nobody needs to do anything: once the lease is over, here after 3 seconds, another server takes the job up."""
    path = make_file(tmp_path / "data.db", NOTES, notes=ROWS)
    create(path, "notes", ["body"], WordLengths())
    kill(path, "model", 2, FAKE_LEASE_SECONDS="3")
    ((expires,),) = read(path, "select lease_expires from _embed_jobs")
    finish(path, serve)
    assert_whole(path, tmp_path)
    assert read(path, "select cast(strftime('%s', ended) as integer) >= ? - 1 from _embed_jobs", expires) == [(1,)]


@pytest.mark.minilm
def test_killed_with_minilm(tmp_path, serve, kill, make_datasette):
    """The real model's vectors after a kill are those of an undisturbed run."""
    pytest.importorskip("datasette_embed_sentence_transformers")
    path = make_file(tmp_path / "data.db", NOTES, notes=ROWS[:300])
    calm = make_file(tmp_path / "calm.db", NOTES, notes=ROWS[:300])
    model = registry_for(make_datasette(path, installed_models=True)).model("minilm")
    create(path, "notes", ["body"], model)
    kill(path, "commit", 2)
    expire(path)
    finish(path, serve)
    embed(calm, "notes", ["body"], model)
    assert [row[0] for row in stored(path)] == [row[0] for row in stored(calm)]
    assert cosines(path, calm).min() >= 0.9997


def cosines(*paths):
    left, right = (np.array([np.frombuffer(row[-1], "<f4") for row in stored(path)]) for path in paths)
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
