"""Searching from the terminal."""

import json

import pytest
from embedded import make_file, write
from fake_models import ByteCounts, QuerySide, WordLengths
from searched import Numbers


def keys(matches):
    """The keys alone; one of one column is the value itself."""
    return [match["key"][0] if len(match["key"]) == 1 else match["key"] for match in matches]


def test_a_text(search, points):
    """The rows that are nearest, best first, each whole and with its cosine."""
    matches = search(points(), "[1, 0]", "-n", 3)
    assert keys(matches) == ["a", "b", "c"]
    assert [match["score"] for match in matches] == pytest.approx([1, 0.8, 0.6])
    assert matches[1]["row"] == {"id": "b", "body": "[4, 3]"}


def test_the_query_side(search, notes, table):
    """A query goes through the model's query side."""
    table(notes, "notes", "body", model=QuerySide())
    (best, *_) = search(notes, "Oil the chain when it squeaks", models=[QuerySide()])
    assert best["score"] < 0


@pytest.mark.parametrize("args", [("search", "--row", "b"), ("similar", "b")])
def test_a_row(embed, points, args):
    """Rows like a row, itself left out, without its model."""
    command, *key = args
    result = embed(command, points(), "notes", *key, "-n", 2, "-f", "nl")
    assert keys(map(json.loads, result.stdout.splitlines())) == ["c", "a"]


@pytest.mark.parametrize(
    ("columns", "key", "typed"),
    [
        ("id integer primary key, body text", 7, ["7"]),
        ("id integer primary key, body text", 7, ["[7]"]),
        ("id text primary key, body text", "[7]", ["[7]"]),
        ("id primary key, body text", 7, ["7"]),
        ("id primary key, body text", 0.5, ["0.5"]),
        ("id text primary key, body text", "007", ["007"]),
        ("id text collate nocase primary key, body text", "Ab", ["aB"]),
        ("id blob primary key, body text", b"\x00\xff", ['[{"$base64": true, "encoded": "AP8="}]']),
        ("a text, b integer, body text, primary key (a, b)", ("x,1", 7), ["x,1", "7"]),
        ("a text, b integer, body text, primary key (a, b)", ("x,1", 7), ['["x,1", 7]']),
        ("a text, b integer, body text, primary key (b, a)", ("x,1", 7), ["7", "x,1"]),
        (
            "a text, b blob, body text, primary key (a, b)",
            ("é", b"\x01"),
            ['["é", {"$base64": true, "encoded": "AQ=="}]'],
        ),
    ],
)
def test_keys_as_they_are_typed(search, points, columns, key, typed):
    """A key of any type, and of several columns in the key's order, finds its row."""
    key = key if isinstance(key, tuple) else (key,)
    other = tuple(value * 2 for value in key)
    path = points(columns, [(*key, "[1, 0]"), (*other, "[3, 4]")])
    (match,) = search(path, *typed, command="similar")
    assert match["score"] == pytest.approx(0.6)
    rows = [option for part in typed for option in ("--row", part)]
    assert search(path, *rows) == [match]


def test_a_table_without_rowids(search, points):
    """Its rows are found by their key, as any."""
    rows = [("x", "y", "[1, 0]"), ("y", "x", "[3, 4]")]
    path = points("a text, b text, body text, primary key (b, a)", rows, "without rowid")
    assert keys(search(path, "[1, 0]")) == [["y", "x"], ["x", "y"]]
    assert keys(search(path, "y", "x", command="similar")) == [["x", "y"]]


def test_rowids_and_odd_names(embed, search, tmp_path, table):
    """A table without a key has its rowid shown, and names may be anything."""
    name = 'my "notes"'
    rows = [("x", "[1, 0]", "y"), (None, "[0, 1]", None)]
    path = make_file(tmp_path / "o'd d.db", 'create table "my ""notes""" ("score" text, "a,b" text, "select" text);')
    write(path, 'insert into "my ""notes""" values (?, ?, ?), (?, ?, ?)', *rows[0], *rows[1])
    table(path, name, "a,b", "--collection", "notes", model=Numbers())
    (first, second) = search(path, "[1, 0]")
    assert first["row"] == {"rowid": 1, "score": "x", "a,b": "[1, 0]", "select": "y"}
    assert keys([first, second]) == [1, 2]
    (match, _) = search(path, "[1, 0]", "-c", "a,b", "-c", "SELECT,rowid")
    assert list(match["row"].items()) == [("a,b", "[1, 0]"), ("select", "y"), ("rowid", 1)]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("id > 'b'", ["c", "d", "e"]),
        ("id in ('e', 'd') -- a comment", ["d", "e"]),
        ("0", []),
        ("notes.rowid = 5 or id = (select min(id) from notes)", ["a", "e"]),
    ],
)
def test_where(search, points, where, found):
    """A condition restricts the rows before they are ranked."""
    assert keys(search(points(), "[1, 0]", "--where", where, "-n", len(found) or 1)) == found


@pytest.mark.parametrize(
    "where", ["nosuch = 1", "", "1) or (", "nosuch()", ":x", "1); drop table notes --", "json(id)"]
)
def test_a_wrong_condition(embed, points, where):
    """It is one sentence, also where it shows only when it meets a row."""
    path = points()
    before = path.read_bytes()
    result = embed("search", path, "notes", "[1, 0]", "--where", where, models=[Numbers()], status=1)
    assert result.stderr.startswith("Error: SQLite cannot apply --where: ")
    assert (result.stderr.count("\n"), path.read_bytes()) == (1, before)


def test_a_least_score(search, points):
    """Only what is near enough."""
    path = points()
    assert keys(search(path, "[1, 0]", "--min-score", 0.7)) == ["a", "b"]
    assert keys(search(path, "b", "--min-score", 0.9, command="similar")) == ["c"]


def test_more_than_there_are(search, points):
    """However many are asked for, all is the most."""
    path = points()
    for limit in (6, 10**9, 10**30):
        assert len(search(path, "[1, 0]", "-n", limit)) == 5


def test_a_file(search, embed, points, tmp_path):
    """-i is a text from a file or from standard input."""
    path, query = points(), tmp_path / "query"
    query.write_text("[0, 1]\n")
    assert keys(search(path, "-i", query, "-n", 1)) == ["d"]
    assert keys(search(path, "-i", "-", "-n", 1, input="[0, 1]")) == ["d"]


def test_a_binary_file(search, notes, tmp_path, table, execute):
    """Bytes that are no text go as they are to a model that takes binary, and to no other."""
    execute(notes, "alter table notes add column image blob", "update notes set image = x'00ff', title = x'01'")
    table(notes, "notes", "image", model=ByteCounts())
    (tmp_path / "image").write_bytes(b"\xff\x00")
    (match, *_) = search(notes, "-i", tmp_path / "image", models=[ByteCounts()])
    assert match["score"] == pytest.approx(1)
    assert match["row"]["image"] == {"$base64": True, "encoded": "AP8="}


@pytest.mark.parametrize(("format", "shown"), [("table", ""), ("json", "[]\n"), ("nl", ""), ("csv", "score,id,body\n")])
def test_nothing_found(embed, points, format, shown):
    """It is said on standard error, and the exit status is 0."""
    result = embed("search", points(), "notes", "[1, 0]", "--where", "id = 'z'", "-f", format, models=[Numbers()])
    assert (result.stdout, result.stderr) == (shown, "No matches in notes where id = 'z'\n")


def test_a_collection_without_vectors(embed, notes, table, execute):
    """An empty table has nothing to be found, which is no error."""
    execute(notes, "delete from notes")
    table(notes, "notes", "body")
    result = embed("search", notes, "notes", "anything", models=[WordLengths()])
    assert result.stderr == "notes has no vectors yet: datasette embed status shows how far it is\n"
