"""A model that keeps its name and gets other weights: noticed before its vectors stand beside the old ones."""

import pytest
from embedded import embed, make_file, read, write
from fake_models import ByteCounts, Turned, WordLengths

from datasette_embeddings.engine import fingerprint as fingerprints
from datasette_embeddings.engine.fingerprint import PROBE, fingerprint

NOTES = "create table notes (id integer primary key, body text)"
KEPT = "select fingerprint from _embed_collections"


@pytest.fixture
def path(tmp_path):
    return make_file(tmp_path / "data.db", NOTES, notes=[(1, "to be or"), (2, "not to be")])


def change(path, body):
    write(path, "update notes set body = ? where id = 1", body)


def test_a_model_is_asked_once(path):
    """One probe for all that a process embeds, and it is not counted as a content."""
    model = WordLengths()
    first = embed(path, "notes", ["body"], model)
    assert fingerprint(model) == read(path, KEPT)[0][0]
    assert (first.contents, len(model.contents)) == (2, 2)


def test_other_weights_stop_the_job(path):
    """What is stored stays, nothing new stands beside it, and the reason says what to do."""
    embed(path, "notes", ["body"], WordLengths())
    before = read(path, "select id, vector from _embed_vectors_notes order by id")
    change(path, "or not")
    job = embed(path, "notes", ["body"], Turned(0.9))
    assert job.status == "failed"
    assert "word-lengths now makes other vectors than those in 'notes'" in job.reason
    assert "--anew" in job.reason
    assert read(path, "select id, vector from _embed_vectors_notes order by id") == before


def test_the_same_weights_in_bfloat16_are_the_same_model(path):
    """As far as MiniLM's vectors differ by it, 0.9998."""
    embed(path, "notes", ["body"], WordLengths())
    change(path, "or not")
    assert embed(path, "notes", ["body"], Turned(0.9998)).status == "finished"


def test_an_older_collection_gets_its_fingerprint_when_the_model_is_next_used(path):
    """A collection of the time before there were fingerprints is trusted once."""
    embed(path, "notes", ["body"], WordLengths())
    write(path, "update _embed_collections set fingerprint = null")
    change(path, "or not")
    embed(path, "notes", ["body"], WordLengths())
    assert read(path, KEPT)[0][0] is not None


def test_a_remote_model_is_asked_again_after_a_while(monkeypatch):
    """Its server may have been given other weights while we run."""
    model = Turned(1.0)
    before = fingerprint(model)
    model.cosine = 0.5
    assert fingerprint(model) == before
    monkeypatch.setattr(fingerprints, "FRESH_SECONDS", 0.0)
    assert fingerprint(model) != before


def test_a_model_without_text_or_without_this_text_has_none():
    """Neither is an error: their vectors are told apart by their length alone."""

    class Picky(WordLengths):
        def embed_batch(self, contents):
            raise ValueError(f"No {PROBE}")

    class OnlyBinary(ByteCounts):
        supports_text = False

    assert fingerprint(Picky()) is None
    assert fingerprint(OnlyBinary()) is None
