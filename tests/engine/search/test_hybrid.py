"""Words and meaning together."""

import json
from contextlib import closing

import pytest
from embedded import embed, make_file, write
from searched import Numbers, searcher

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.errors import EmbedError
from datasette_embeddings.engine.search import hybrid, listed, search_both, search_words
from datasette_embeddings.engine.vectors import encode

EAST = encode([1, 0])


def fused(*places):
    return sum(1 / (60 + place) for place in places)


@pytest.fixture(params=["fts5", "fts4"])
def path(request, tmp_path):
    """Forty notes that turn away from east; those with an even number hold the word even, number 40 twice."""
    path = make_file(
        tmp_path / "data.db",
        "create table notes (id integer primary key, word text, body text);"
        f"create virtual table w using {request.param}(word, content='notes')",
        notes=[(n, ["odd", "even"][n % 2 == 0] + " even" * (n == 40), json.dumps([40 - n, n])) for n in range(1, 41)],
    )
    write(path, "insert into w(w) values ('rebuild')")
    embed(path, "notes", ["body"], Numbers())
    return path


@pytest.fixture
def search(path):
    with closing(connect(path)) as conn:
        yield searcher(conn)


def test_both_rankings_are_fused(search):
    """A match is worth 1 / (60 + rank) in each ranking that has it, and says which and where."""
    matches = search_both(search, "even", EAST, 3)
    words = [match.key[0] for match in search_words(search, "even", 40)]
    for match in matches:
        number = match.key[0]
        assert match.ranks == {"meaning": number, "words": words.index(number) + 1}
    worth = {n: fused(*([n] if n <= 30 else []), *([words.index(n) + 1] if n in words else [])) for n in range(1, 41)}
    assert [match.key[0] for match in matches] == sorted(worth, key=lambda n: (-worth[n], n))[:3]


def test_the_pool_is_ten_times_the_limit(search, monkeypatch):
    """Each ranking gives ten times the matches asked for, and no more."""
    matches = search_both(search, "even", EAST, 2)
    assert max(match.ranks.get("meaning", 0) for match in search_both(search, "odd", EAST, 1)) <= 10
    monkeypatch.setattr(hybrid, "POOL", 1)
    assert [match.ranks for match in search_both(search, "nothing", EAST, 2)] == [{"meaning": 1}, {"meaning": 2}]
    assert len(matches) == 2


def test_a_row_that_only_the_words_found_has_its_score(search, monkeypatch):
    """Who is not among the nearest still gets the cosine of its vector."""
    monkeypatch.setattr(hybrid, "POOL", 1)
    found = {match.key[0]: match for match in search_both(search, "even", EAST, 40)}
    assert found[40].score == pytest.approx(0)
    by_words = [match for match in search_both(search, "even", EAST, 1) if "meaning" not in match.ranks]
    assert all(match.score is not None for match in by_words)


@pytest.mark.parametrize(
    "change", ["update notes set body = '[9, 9]' where id = 40", "delete from _embed_vectors_notes"]
)
def test_a_row_without_a_true_vector_has_no_score(path, change):
    """Found by words, a row with no vector, or with one of an older content, has the score null."""
    write(path, change)
    with closing(connect(path)) as conn:
        match = next(match for match in search_both(searcher(conn), "even", EAST, 40) if match.key == (40,))
    assert match.score is None
    assert list(match.ranks) == ["words"]


def test_among_restricts_both(search):
    """Neither ranking looks at what is not listed."""
    found = search_both(search, "even", EAST, 10, among=listed(search.source, "[3, 4, 38, 39]"))
    assert {match.key[0]: dict(match.ranks) for match in found} == {
        3: {"meaning": 1},
        4: {"meaning": 2, "words": 1},
        38: {"meaning": 3, "words": 2},
        39: {"meaning": 4},
    }


def test_words_alone(search):
    """By words alone a match has a rank and no score."""
    first, *_ = search_words(search, "even", 3)
    assert (first.score, dict(first.ranks), first.as_json(search.source)["ranks"]) == (None, {"words": 1}, {"words": 1})


@pytest.mark.parametrize("k", [10**9, 1e30])
def test_more_than_there_is(search, k):
    """A k beyond the table gives every row once."""
    found = [match.key[0] for match in search_both(search, "even", EAST, k)]
    assert sorted(found) == list(range(1, 41))


def test_a_key_that_changed_its_case(tmp_path):
    """A row is one match, however its vector's table spells its key."""
    path = make_file(
        tmp_path / "data.db",
        "create table notes (id text collate nocase primary key, body text); insert into notes values ('ab', '[1, 0]');"
        "create virtual table w using fts5(id, content='notes')",
    )
    embed(path, "notes", ["body"], Numbers())
    write(path, "update notes set id = 'AB'")
    write(path, "insert into w(w) values ('rebuild')")
    with closing(connect(path)) as conn:
        (match,) = search_both(searcher(conn), "ab", EAST)
    assert (match.key, match.score, dict(match.ranks)) == (("AB",), 1.0, {"meaning": 1, "words": 1})


def test_no_index(path):
    """Without a full-text index there is no search by words, and a sentence that says so."""
    write(path, "drop table w")
    with closing(connect(path)) as conn, pytest.raises(EmbedError, match="has no full-text index"):
        search_both(searcher(conn), "even", EAST)


def test_a_collection_without_vectors(tmp_path):
    """What was not embedded yet is found by its words."""
    path = make_file(
        tmp_path / "data.db",
        "create table notes (id integer primary key, body text);create virtual table w using fts5(body, content=notes)",
    )
    embed(path, "notes", ["body"], Numbers())
    write(path, "insert into notes values (1, 'swift')")
    write(path, "insert into w(w) values ('rebuild')")
    with closing(connect(path)) as conn:
        assert [(match.key, match.score) for match in search_both(searcher(conn), "swift", EAST)] == [((1,), None)]
