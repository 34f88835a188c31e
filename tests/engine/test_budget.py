"""A job that may spend so much and no more: it stops before the content that would exceed its limit."""

import pytest
from embedded import act, create, embed, make_file, run, vectors, write
from fake_models import ByteCounts, Priced, WordLengths

from datasette_embeddings.engine import jobs
from datasette_embeddings.engine.access import FileAccess
from datasette_embeddings.engine.errors import EmbedError
from datasette_embeddings.engine.running import pace

NOTES = "create table notes (id integer primary key, body text)"
GO_ON = "With another limit, or with none, the job goes on where it stopped"


@pytest.fixture
def path(tmp_path):
    """Forty notes, of two words each; the longest last."""
    rows = [(number, f"{'x' * number} note") for number in range(1, 41)]
    return make_file(tmp_path / "data.db", NOTES, notes=rows)


def limited(path, model=None, **limits):
    """A pass under these limits; the job as it then stands."""
    _, job = create(path, "notes", ["body"], model or Priced(), limits=limits)
    return run(path, job, model or Priced())


def resumed(path, job, model, **limits):
    with FileAccess(path) as access:
        access.write(lambda conn: jobs.act(conn, job.collection_id, "resume", limits))
    return run(path, job, model)


def test_tokens_are_counted(path):
    """A model with a price has its tokens counted, by itself where it can; what is reused has none."""
    write(path, "insert into notes values (99, 'x note')")
    job = embed(path, "notes", ["body"], Priced())
    assert (job.contents, job.tokens) == (40, 80)
    job = embed(path, "notes", ["body"], Priced(), name="again")
    assert (job.contents, job.tokens, job.reused) == (0, 0, 41)


def test_tokens_are_estimated(tmp_path):
    """A model that does not count has four bytes of text for a token."""
    path = make_file(tmp_path / "data.db", NOTES, notes=[(1, "abcde"), (2, "ééé"), (3, "a")])
    model = WordLengths()
    model.price_per_million_tokens = 0.02
    assert embed(path, "notes", ["body"], model).tokens == 2 + 2 + 1


def test_without_a_price_no_token_is_counted(path):
    """To count takes time, and says nothing where nothing is to be paid."""

    class Free(Priced):
        price_per_million_tokens = None

        def count_tokens(self, content):
            raise AssertionError("Counted all the same")

    assert embed(path, "notes", ["body"], Free()).tokens == 0


def test_a_tokenizer_that_fails(path):
    """The tokens are estimated then, and the job gets on."""

    class Broken(Priced):
        def count_tokens(self, content):
            raise OSError("no tokenizer")

    job = embed(path, "notes", ["body"], Broken())
    assert (job.status, job.tokens > 40) == ("finished", True)


@pytest.mark.parametrize("rows", [1, 10, 35])
def test_max_rows(path, rows):
    """So many contents are embedded, the table's first, and the job is paused with a sentence that says so."""
    job = limited(path, model := Priced(), max_rows=rows)
    assert (job.status, job.contents, job.embedded, len(model.contents)) == ("paused", rows, rows, rows)
    assert sorted(vectors(path, "notes")) == list(range(1, rows + 1))
    assert f"The limit of {rows} row" in job.reason
    assert job.reason.endswith(f"with {2 * rows} tokens for ${2 * rows}.00. {GO_ON}")


def test_max_rows_without_a_price(path):
    """Nothing is said of money where there is none to pay."""
    job = limited(path, WordLengths(), max_rows=3)
    assert job.reason == f"The limit of 3 rows is reached: the model was given 3 contents. {GO_ON}"


@pytest.mark.parametrize("cost", [0.5, 2, 19.99, 60])
def test_max_cost(path, cost):
    """No content is handed over that would exceed the limit, and what was embedded before stays."""
    job = limited(path, model := Priced(), max_cost=cost)
    assert (job.status, len(model.contents), job.tokens) == ("paused", cost // 2, cost // 2 * 2)
    assert len(vectors(path, "notes")) == cost // 2
    assert job.reason.startswith(f"The next content would exceed the limit of ${cost:.2f}: the model was given ")


def test_a_limit_that_is_just_enough(path):
    """A job whose limit is exactly what it takes finishes."""
    assert limited(path, max_rows=40).status == "finished"
    write(path, "update notes set body = body || ' more'")
    assert limited(path, max_cost=120, max_rows=None).status == "finished"


def test_what_costs_nothing_does_not_count(path):
    """Unchanged rows, equal contents and contents that another collection holds are beyond every limit."""
    embed(path, "notes", ["body"], Priced())
    write(path, "insert into notes select id + 100, 'the same' from notes")
    write(path, "update notes set body = 'quite new' where id = 7")
    job = limited(path, model := Priced(), max_rows=2)
    assert (job.status, sorted(model.contents)) == ("finished", ["quite new", "the same"])


def test_resumed_under_the_same_limit(path):
    """It is paused again, with the same sentence, and nothing is spent."""
    first = limited(path, max_rows=10)
    again = resumed(path, first, model := Priced())
    assert (again.status, again.reason, model.calls) == ("paused", first.reason, [])


def test_resumed_with_another_limit(path):
    """It goes on where it stopped, up to the new limit, which is the job's in all."""
    first = limited(path, max_rows=10)
    again = resumed(path, first, model := Priced(), max_rows=25)
    assert (again.status, again.contents, len(model.contents)) == ("paused", 25, 15)
    assert sorted(vectors(path, "notes")) == list(range(1, 26))


def test_resumed_without_a_limit(path):
    """None lifts it, and what the job has spent counts from its beginning."""
    job = resumed(path, limited(path, max_cost=20), Priced(), max_cost=None)
    assert (job.status, job.max_cost, job.contents, job.tokens) == ("finished", None, 40, 80)


def test_a_limit_in_the_middle_of_many_batches(path, monkeypatch):
    """What is in the batch being saved counts too."""
    monkeypatch.setattr(pace, "FIRST_BATCH", 3)
    monkeypatch.setattr(pace, "LARGEST_BATCH", 3)
    monkeypatch.setattr("datasette_embeddings.engine.running.walk.SORTED_TOGETHER", 5)
    job = limited(path, model := Priced(), max_rows=20, max_cost=34)
    assert (job.contents, len(model.contents), job.tokens) == (17, 17, 34)
    job = resumed(path, job, model, max_cost=None)
    assert (job.contents, len(model.contents)) == (20, 20)
    assert sorted(vectors(path, "notes")) == list(range(1, 21))


class Reading(Priced):
    """Reads twenty tokens, so that longer texts are cut."""

    max_tokens = 20


def test_a_limit_in_the_middle_of_a_long_row(tmp_path):
    """Its chunks count one by one; the row has no vector until all are embedded, and none of them is paid for twice."""
    text = " ".join(f"word{number}" for number in range(200))
    path = make_file(tmp_path / "long.db", NOTES, notes=[(1, text)])
    job = limited(path, first := Reading(), max_rows=5)
    assert (job.status, job.contents, job.embedded, vectors(path, "notes")) == ("paused", 5, 0, {})
    job = resumed(path, job, second := Reading(), max_rows=None)
    assert (job.status, job.embedded, len(vectors(path, "notes"))) == ("finished", 1, 1)
    assert job.contents == len(first.contents) + len(second.contents) == len({*first.contents, *second.contents})
    assert job.tokens == sum(len(content.split()) for content in [*first.contents, *second.contents])


def test_later_jobs_keep_the_limits(path):
    """Of what is not given, the collection's job before has the say; each job counts for itself."""
    limited(path, max_rows=10, max_cost=50)
    act(path, "cancel", "notes")
    job = limited(path)
    assert (job.status, job.max_rows, job.max_cost, job.contents) == ("paused", 10, 50, 10)
    act(path, "cancel", "notes")
    job = limited(path, max_rows=None)
    assert (job.status, job.max_rows, job.max_cost) == ("finished", None, 50)


def test_changes_that_are_followed_keep_the_limits(path):
    """What nobody asks for spends no more than what somebody asked for; a limit that is lifted stays lifted."""
    limited(path, max_rows=50)
    noted = {"kind": jobs.NOTED}
    _, job = create(path, "notes", ["body"], Priced(), **noted)
    assert job.max_rows == 50
    act(path, "pause", "notes")
    with FileAccess(path) as access:
        access.write(lambda conn: jobs.act(conn, job.collection_id, "resume", {"max_rows": None}))
    run(path, job, Priced())
    assert create(path, "notes", ["body"], Priced(), **noted)[1].max_rows is None


def test_a_price_that_is_gone(path):
    """A limit of money is not passed over because nobody knows the price any more."""
    job = limited(path, model := WordLengths(), max_cost=20)
    assert (job.status, model.calls) == ("paused", [])
    assert (
        job.reason == f"The model word-lengths names no price any more, so the limit of $20.00 cannot be kept. {GO_ON}"
    )


def test_binary_has_no_tokens(tmp_path):
    """A price for tokens says nothing of bytes, but they can be counted."""
    path = make_file(tmp_path / "data.db", "create table notes (id integer primary key, body blob)")
    write(path, "insert into notes values (1, x'00'), (2, x'ff')")
    model = ByteCounts()
    model.price_per_million_tokens = 5.0
    job = limited(path, model, max_rows=1)
    assert (job.status, job.contents, job.tokens, "$" in job.reason) == ("paused", 1, 0, False)
    with pytest.raises(EmbedError, match="Binary has no tokens, so max_cost cannot be kept: give max_rows"):
        jobs.check_affordable({"max_cost": 1}, model, binary=True)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_cost": 0}, "max_cost must be a number of US dollars above 0"),
        ({"max_cost": float("nan")}, "max_cost must be a number of US dollars above 0"),
        ({"max_cost": float("inf")}, "max_cost must be a number of US dollars above 0"),
        ({"max_cost": "1"}, "max_cost must be a number of US dollars above 0"),
        ({"max_cost": True}, "max_cost must be a number of US dollars above 0"),
        ({"max_rows": 0}, "max_rows must be a whole number above 0"),
        ({"max_rows": 2.5}, "max_rows must be a whole number above 0"),
        ({"max_rows": True}, "max_rows must be a whole number above 0"),
    ],
)
def test_what_is_no_limit(limits, message):
    """A sentence names it."""
    with pytest.raises(EmbedError, match=message):
        jobs.Limits().changed(limits)


def test_a_model_without_a_price():
    """Money cannot be limited where nobody knows what there is to pay."""
    with pytest.raises(
        EmbedError, match="The model word-lengths names no price, so max_cost cannot be kept: give max_r"
    ):
        jobs.check_affordable({"max_cost": 1}, WordLengths())
    jobs.check_affordable({"max_cost": None, "max_rows": 5}, WordLengths())
    jobs.check_affordable({"max_cost": 1}, Priced())
