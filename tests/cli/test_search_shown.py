"""How matches are shown: as a table, as JSON, as lines, as CSV; by words and by both; on a terminal and in a pipe."""

import csv
import io
import json
import os
import sqlite3
import subprocess

import commands
import pytest
from embedded import make_file, read, write
from fake_models import WordLengths
from searched import Numbers, chunked_notes

from datasette_embeddings.cli.grid import cut, fitted, width

BLOBS = "id integer primary key, picture blob, body text, year integer"
ENGLISH = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")


@pytest.fixture
def worded(points, execute):
    """POINTS with a full-text index over another column, `word`: its rows are "b bee", "c bee bee" and so on."""
    path = points()
    execute(
        path,
        "alter table notes add column word text",
        "update notes set word = case id when 'b' then 'one bee' when 'c' then 'bee bee' else 'wasp' end",
        "create virtual table notes_fts using fts5(word, content='notes')",
        "insert into notes_fts(notes_fts) values ('rebuild')",
    )
    return path


def shown(embed, *args, **options):
    """The lines that a person sees."""
    return embed(*args, models=[Numbers()], **options).stdout.splitlines()


def test_a_table(embed, points):
    """The score, the key and the first texts, below each other."""
    assert shown(embed, "search", points(), "notes", "[1, 0]", "-n", 2) == [
        "score   id  body",
        "1.0000  a   [1, 0]",
        "0.8000  b   [4, 3]",
    ]


def test_it_fits_80_columns(embed, points, execute):
    """Long texts, texts of several lines and wide characters are cut, and nothing commands the terminal."""
    path = points()
    columns = ("title", "note", "other")
    execute(path, *(f"alter table notes add column {name} text" for name in columns))
    execute(
        path, "update notes set note = replace(hex(zeroblob(99)), '0', '寿'), other = 'a\n\tb' || char(27) || '[31m'"
    )
    lines = shown(embed, "search", path, "notes", "[1, 0]")
    assert lines[0].split() == ["score", "id", "body", "note", "other"]
    assert "寿…   a b [31m" in lines[1]  # an odd place is left over
    assert [width(line) <= 80 for line in lines] == [True] * 6
    assert max(map(width, lines)) > 70


def test_columns_of_ones_choice(embed, points):
    """-c shows what was asked for, binary by its size."""
    path = points(BLOBS, [(1, b"\x00\xff", "[1, 0]", 1950), (2, None, "[0, 1]", None)])
    assert shown(embed, "search", path, "notes", "[1, 0]", "-c", "picture", "-c", "year") == [
        "score   picture            year",
        "1.0000  <Binary: 2 bytes>  1950",
        "0.0000",
    ]


def test_binary(embed, search, points):
    """JSON has Datasette's own form of it, CSV base64; both have every column, whole."""
    path = points(BLOBS, [(1, b"\x00\xff", "[1,     0]", 1950)])
    (match,) = search(path, "[1, 0]")
    binary = {"$base64": True, "encoded": "AP8="}
    assert match == {"score": 1.0, "key": [1], "row": {"id": 1, "picture": binary, "body": "[1,     0]", "year": 1950}}
    rows = list(csv.reader(shown(embed, "search", path, "notes", "[1, 0]", "-f", "csv")))
    assert rows == [["score", "id", "picture", "body", "year"], ["1.0", "1", "AP8=", "[1,     0]", "1950"]]


def test_a_column_named_score(embed, points):
    """CSV has both, each under a name of its own."""
    path = points("id integer primary key, Score text, body text", [(1, "x", "[1, 0]")])
    assert shown(embed, "similar", path, "notes", 1, "-f", "csv") == ["_score,id,Score,body"]


def test_words(embed, search, worded):
    """Words mode ranks by the full-text index, has no scores, and asks no model."""
    args = ("bee", "--mode", "words")
    assert shown(embed, "search", worded, "notes", *args) == [
        "id  body    word",
        "c   [3, 4]  bee bee",
        "b   [4, 3]  one bee",
    ]
    model = Numbers()
    (first, _) = search(worded, *args, models=[model])
    assert (first["score"], first["ranks"], model.contents) == (None, {"words": 1}, [])
    assert search(worded, *args, "--where", "id = 'b'", models=[WordLengths()])[0]["key"] == ["b"]


def test_both(embed, worded):
    """Each match says which ranking found it, and where."""
    write(worded, "update notes_fts set word = '0' where rowid = 4")
    lines = shown(embed, "search", worded, "notes", "[1, 0]", "--mode", "both", "-n", 2)
    assert lines[0] == "score   meaning  words  id  body    word"
    assert lines[1] == "0.0000  4        1      d   [0, 1]  wasp"
    rows = list(csv.reader(shown(embed, "search", worded, "notes", "[1, 0]", "--mode", "both", "-f", "csv")))
    assert rows[0] == ["score", "rank_meaning", "rank_words", "id", "body", "word"]
    assert ["1.0", "1", "", "a", "[1, 0]", "wasp"] in rows


def test_a_configured_full_text_table(embed, worded, tmp_path, execute):
    """--config names the index, and the column by which it is joined, as it does for a server."""
    execute(worded, "alter table notes add column number", "update notes set number = rowid + 100")
    execute(worded, "create virtual table w using fts5(word)", "drop table notes_fts")
    execute(worded, "insert into w (rowid, word) select number, 'fly' from notes where id = 'e'")
    config = {"databases": {"points": {"tables": {"notes": {"fts_table": "w", "fts_pk": "number"}}}}}
    (tmp_path / "datasette.json").write_text(json.dumps(config))
    args = ("search", worded, "notes", "fly", "--mode", "words", "-f", "nl")
    (line,) = shown(embed, *args, "--config", tmp_path / "datasette.json")
    assert json.loads(line)["key"] == ["e"]
    assert "no full-text index" in embed(*args, status=1).stderr


def test_in_a_pipe(notes, table):
    """A process of its own, piped: the same lines, no colour, nothing else."""
    table(notes, "notes", "body")
    line = commands.command_line("search", notes, "notes", "Oil the chain when it squeaks", "-n", "1")
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout == ("score   id  title     body\n1.0000  2   Bicycles  Oil the chain when it squeaks\n")
    assert done.stderr == ""


def test_an_output_without_the_characters(notes, table, execute):
    """An encoding that cannot show a row is told in a sentence; JSON and the like are whole or not there."""
    table(notes, "notes", "body")
    execute(notes, "update notes set title = '自転車' where id = 2")
    line = commands.command_line("similar", notes, "notes", "1", "-f", "csv")
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The output's encoding, latin-1, has no '\\u81ea': ")


def test_on_a_terminal(terminal, notes, table):
    """Cut to its width."""
    table(notes, "notes", "body")
    screen = terminal("search", notes, "notes", "Oil the chain when it squeaks", "-n", "1", env={"COLUMNS": "35"})
    assert screen.wait() == 0
    assert screen.output == "score   id  title     body\r\n1.0000  2   Bicycles  Oil the chai…\r\n"


def test_a_file_that_cannot_be_written(embed, search, points):
    """A search needs no more than to read, and changes nothing."""
    path = points()
    with path.open("r+b") as file:  # a write version that SQLite does not know: it opens the file to read only
        file.seek(18)
        file.write(b"\x03")
    before = path.read_bytes()
    assert len(search(path, "[1, 0]")) == 5
    assert len(search(path, "a", command="similar")) == 4
    assert path.read_bytes() == before
    assert "cannot be written" in embed("rebuild", path, status=1).stderr


def test_wal_in_a_folder_that_cannot_be_written(embed, points, execute, monkeypatch):
    """SQLite cannot read such a file, and the sentence says what helps."""

    def refuse(_):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    path = points()
    execute(path, "pragma journal_mode = wal")
    monkeypatch.setattr("datasette_embeddings.cli.files.connect", refuse)
    assert "points.db is in WAL mode, and its folder" in embed("similar", path, "notes", "a", status=1).stderr


@pytest.mark.minilm
def test_minilm(embed, tmp_path):
    """The three sentences that everybody compares, in the model's order and with its scores."""
    path = make_file(tmp_path / "data.db", "create table says (body text)", says=[(text,) for text in ENGLISH])
    embed("table", path, "says", "body", "-m", "minilm", installed_models=True)
    result = embed("search", path, "says", ENGLISH[0], "-f", "json", installed_models=True)
    matches = json.loads(result.stdout)
    assert [match["row"]["body"] for match in matches] == list(ENGLISH)
    assert [match["score"] for match in matches] == pytest.approx([1, 0.6660, 0.1046], abs=0.005)
    result = embed("similar", path, "says", 3, "-f", "csv")
    assert [row[2] for row in csv.reader(io.StringIO(result.stdout))][1:] == [ENGLISH[1], ENGLISH[0]]


@pytest.mark.parametrize(
    ("widths", "room", "fit"),
    [
        ([6, 2, 10], 20, [6, 2, 10]),
        ([6, 2, 60, 40, 9], 50, [6, 2, 16, 17, 9]),
        ([6, 90, 90], 40, [6, 26, 8]),
        ([6, 90, 90], 20, [6, 7, 7]),
        ([20] * 9, 20, [3] * 9),
    ],
)
def test_how_columns_share_a_width(widths, room, fit):
    """The widest gives first, the first two only when nothing else can."""
    assert fitted(widths, 2, room) == fit


def test_a_text_is_cut():
    """By the places that it takes: a wide character two, an accent of its own none."""
    assert [cut("abcdef", room) for room in (6, 5, 1)] == ["abcdef", "abcd…", "…"]
    assert [cut("寿司です", room) for room in (8, 7, 6)] == ["寿司です", "寿司で…", "寿司…"]
    assert cut("e\u0301e\u0301", 2) == "e\u0301e\u0301"
    assert cut("ab cd", 4) == "ab…"


def test_searching_leaves_nothing_behind(embed, search, points):
    """Neither a table nor a row is written."""
    path = points()
    before = read(path, "select count(*), group_concat(name) from sqlite_master")
    search(path, "[1, 0]")
    assert read(path, "select count(*), group_concat(name) from sqlite_master") == before


@pytest.fixture
def chunked(tmp_path):
    """A row in two chunks, and one that is whole."""
    return chunked_notes(tmp_path / "chunked.db", {1: [[0, 1], [1, 0]], 2: [[3, 4]]})


def test_the_passage_that_matched(embed, chunked):
    """Where a row is in chunks, its passage is shown in every format."""
    arguments = ("search", chunked, "notes", "[1, 0]")
    first, second = json.loads(embed(*arguments, "-f", "json", models=[Numbers()]).stdout)
    assert json.loads(first["chunk"].pop("text")) == [1, 0]
    assert first["chunk"] == {"number": 1, "start": 64, "end": 126}
    assert "chunk" not in second
    rows = list(csv.DictReader(io.StringIO(embed(*arguments, "-f", "csv", models=[Numbers()]).stdout)))
    assert [row["passage"].split() for row in rows] == [["[1,", "0", "]"], []]
    assert [line.split()[:4] for line in shown(embed, *arguments)] == [
        ["score", "id", "passage", "body"],
        ["1.0000", "1", "[1,", "0"],
        ["0.6000", "2", "[3,", "4"],
    ]
