"""What a job would cost, told before it begins."""

import sqlite3
from contextlib import closing

import pytest
from embedded import embed, make_file, write
from fake_models import ByteCounts, Failing, Priced, WordLengths

from datasette_embeddings.engine import estimate as estimating
from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.changing import begin_change
from datasette_embeddings.engine.collections import define
from datasette_embeddings.engine.estimate import estimate, survey
from datasette_embeddings.engine.measures import make_cutter

NOTES = "create table notes (id integer primary key, body text)"


@pytest.fixture
def path(tmp_path):
    """Forty notes of two words each, and two empty ones."""
    rows = [(number, f"{'x' * number} note") for number in range(1, 41)]
    return make_file(tmp_path / "data.db", NOTES, notes=[*rows, (90, None), (91, " ")])


def estimated(path, model, columns=("body",), table="notes", seconds=0.5, **options):
    with closing(connect(path)) as conn:
        wanted = define(conn, table, columns, None, model)
        cutter = make_cutter(wanted.chunking, model)
        return estimate(survey(conn, wanted, model, cutter, seconds, **options), model, binary=wanted.binary)


def figures(found):
    return found.survey.contents, found.survey.stored, found.tokens, found.cost


def test_a_small_table_is_exact(path):
    """Every row is read, every token counted, and nothing is written or embedded for it."""
    found = estimated(path, model := Priced())
    assert (figures(found), found.is_exact, found.survey.seen) == ((40, 0, 80, 80.0), True, None)
    assert model.calls == []
    with closing(connect(path)) as conn:
        assert conn.execute("select name from sqlite_master").fetchall() == [("notes",)]


def test_it_is_what_the_job_comes_to(path):
    """The job hands over just as much."""
    write(path, "insert into notes values (50, 'x note'), (51, 'x note')")
    found = estimated(path, Priced())
    job = embed(path, "notes", ["body"], Priced())
    assert (job.contents, job.tokens) == (found.survey.contents, found.tokens)
    assert found.survey.stored == 2


def test_what_is_stored_is_subtracted(path):
    """What the collection holds already, or another one of the same model, costs nothing."""
    embed(path, "notes", ["body"], Priced())
    assert figures(estimated(path, Priced())) == (0, 40, 0, 0.0)
    write(path, "create table others as select * from notes")
    write(path, "update others set body = 'three new words' where id = 7")
    assert figures(estimated(path, Priced(), table="others")) == (1, 39, 3, 3.0)


class Reading(Priced):
    """Reads twenty tokens, and counts one for each word."""

    max_tokens = 20


def test_anew(path):
    """A change that takes over no vector is given every content, less what it has embedded itself so far."""
    embed(path, "notes", ["body"], Priced())
    assert figures(estimated(path, Priced(), anew=True)) == (40, 0, 80, 80.0)
    with closing(connect(path)) as conn:
        begin_change(conn, "notes", define(conn, "notes", ["body"], None, Priced()), anew=True)
    assert figures(estimated(path, Priced(), anew=True)) == (40, 0, 80, 80.0)
    write(path, 'insert into "_embed_vectors_notes (changed)" select * from _embed_vectors_notes where id <= 10')
    assert figures(estimated(path, Priced(), anew=True)) == (30, 10, 60, 60.0)


def test_what_failed_is_subtracted_as_long_as_it_is_left_alone(path):
    """Contents that a pass would not try are not counted, but told."""
    write(path, "update notes set body = 'FAIL ' || id where id <= 2")
    embed(path, "notes", ["body"], Failing("priced"))
    found = estimated(path, Priced())
    assert (figures(found), found.survey.postponed) == ((0, 38, 0, 0.0), 2)
    write(path, "update _embed_errors set retry_at = 1 where row_key = '[2]'")
    found = estimated(path, Priced())
    assert (figures(found), found.survey.postponed) == ((1, 38, 2, 2.0), 1)


def test_long_texts_are_cut(path):
    """Where rows are chunked it is the chunks that are counted, as the job will hand them over."""
    write(path, "update notes set body = ? where id = 7", " ".join(f"word{number}" for number in range(200)))
    found = estimated(path, Reading())
    assert found.survey.contents > 45
    job = embed(path, "notes", ["body"], Reading())
    assert (job.contents, job.tokens) == (found.survey.contents, found.tokens)
    assert figures(estimated(path, Reading()))[::2] == (0, 0)


def test_vectors_of_another_model_do_not_count(path):
    """They cannot be taken over."""
    embed(path, "notes", ["body"], WordLengths("other"))
    assert figures(estimated(path, Priced()))[:2] == (40, 0)


def test_tokens_are_estimated_where_the_model_does_not_count(path):
    """It is said, and never called exact."""

    class Uncounted(Priced):
        def count_tokens(self, content):
            return None

    found = estimated(path, Uncounted())
    assert (found.counted, found.is_exact) == (False, False)
    assert found.tokens == sum(-(-(number + 5) // 4) for number in range(1, 41))


def test_without_a_price(path):
    """Contents are counted all the same."""
    assert figures(estimated(path, WordLengths())) == (40, 0, None, None)


def test_binary(tmp_path):
    """Bytes have no tokens, and so no price."""
    path = make_file(tmp_path / "data.db", "create table images (id integer primary key, image blob)")
    write(path, "insert into images values (1, x'00'), (2, x'ff')")
    model = ByteCounts()
    model.price_per_million_tokens = 5.0
    assert figures(estimated(path, model, ["image"], "images")) == (2, 0, None, None)


@pytest.fixture
def large(tmp_path):
    """20,000 notes of one word, the second half of two."""
    path = tmp_path / "large.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(NOTES)
        conn.executemany(
            "insert into notes values (?, ?)",
            [(n * 3, f"word{n}" if n <= 10_000 else f"word{n} more") for n in range(1, 20_001)],
        )
    return path


def test_a_large_table_is_estimated_from_all_over(large):
    """Rows from everywhere in it are read, so that what was added last counts as much as what came first."""
    found = sampled(large, Priced())
    assert found.survey.seen == 2000
    assert found.survey.contents == 20_000
    assert abs(found.tokens - 30_000) < 300


def sampled(path, model):
    """The estimate where reading the table whole takes too long, but the sample has its time."""
    times = iter([0, 60])
    with closing(connect(path)) as conn, pytest.MonkeyPatch.context() as patch:
        read = estimating._Tally.read
        patch.setattr(estimating._Tally, "read", lambda self, rows, seconds: read(self, rows, next(times)))
        return estimate(survey(conn, define(conn, "notes", ["body"], None, model), model), model)


def test_a_large_table_that_is_half_embedded(large):
    """What is stored is subtracted in proportion."""
    with closing(sqlite3.connect(large)) as conn, conn:
        conn.execute("create table first as select * from notes limit 10000")
    embed(large, "first", ["body"], Priced())
    found = sampled(large, Priced())
    assert abs(found.survey.contents - 10_000) <= 100
    assert abs(found.tokens - 20_000) <= 200


def test_rowids_with_gaps(tmp_path):
    """No row is counted twice, wherever the rowids are."""
    path = make_file(tmp_path / "gaps.db", NOTES, notes=[(n if n < 150 else n + 10**12, f"w{n}") for n in range(300)])
    found = sampled(path, Priced()).survey
    assert (found.seen <= 300, found.stored) == (True, 0)


def test_a_table_without_rowid(tmp_path):
    """Its first rows stand for all."""
    schema = "create table notes (id text primary key, body text) without rowid"
    path = make_file(tmp_path / "keys.db", schema, notes=[(f"{n:04}", f"w{n}") for n in range(1000)])
    found = estimated(path, Priced(), seconds=0)
    assert (found.survey.seen, found.survey.contents, found.tokens) == (10, 1000, 1000)


def test_tokens_of_a_sample(path, monkeypatch):
    """Where counting takes too long, the tokens of the first contents stand for those of all."""
    with closing(connect(path)) as conn:
        model = Priced()
        found = survey(conn, define(conn, "notes", ["body"], None, model), model)
    whole = estimate(found, model, seconds=-1)
    assert (whole.counted, whole.is_exact) == (True, False)
    assert whole.tokens == round(2 * found.size / len("x note"))
