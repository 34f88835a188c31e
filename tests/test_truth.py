"""Whatever the table, the edits, the filter and the query: every way to search gives the answer of the reference."""

import json
import math
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from embedded import embed, make_file, write
from hypothesis import given, note, settings
from hypothesis import strategies as st
from searched import PARAGRAPHS, PLENTY, Numbers, embed_within, in_chunks, notes, pairs, reference, searcher
from servers import PATIENCE

from datasette_embeddings.engine.access import connect
from datasette_embeddings.engine.search import Among, Caches, listed, one_state, views
from datasette_embeddings.engine.vectors import decode, encode

KEYS = st.integers(1, 12)
SCALES = st.sampled_from([1, 1, 0.1, 1e30, 1e-30, 0])
VECTORS = st.builds(
    lambda numbers, scale: [number * scale for number in numbers],
    st.lists(st.integers(-2, 2), min_size=3, max_size=3),
    SCALES,
)
ONE, SEVERAL = st.lists(VECTORS, min_size=1, max_size=1), st.lists(VECTORS, min_size=1, max_size=4)


def edits(rows):
    """Changes of rows: None deletes, [] blanks."""
    return st.tuples(KEYS, st.one_of(st.none(), st.just([]), rows))


def stale(rows):
    """Enough changes that some are among the best, or none."""
    return st.just([]) | st.lists(edits(rows), min_size=4, max_size=10)


class Table:
    """What the table and its collection should hold, beside the file that does."""

    def __init__(self, path, rows, chunking):
        self.path, self.chunking, self.now, self.then = path, chunking, {}, {}
        make_file(path, "create table notes (id integer primary key, body text)")
        items = list(rows.items())
        self.edit_and_embed(items[::2])  # so that vector ids are in another order than keys
        self.edit_and_embed(items[1::2])

    def edit(self, conn, edits):
        for key, vectors in edits:
            self.now.pop(key, None)
            if vectors is None:
                conn.execute("delete from notes where id = ?", (key,))
            else:
                self.now[key] = in_chunks(*vectors)
                conn.execute("insert or replace into notes values (?, ?)", (key, self.now[key]))

    def edit_and_embed(self, edits):
        with closing(connect(self.path)) as conn, conn:
            self.edit(conn, edits)
        embed(self.path, "notes", ["body"], Numbers(), chunking=self.chunking)
        self.then = dict(self.now)

    def expected(self, query, among):
        """The answer: of rows that say what was embedded, as the stored float32 numbers have it."""
        chunks = {
            (key, number): decode(encode(json.loads(part))).tolist()
            for key, text in self.now.items()
            if text and self.then.get(key) == text and (among is None or key in among)
            for number, part in enumerate(text.split("\n\n"))
        }
        best = {}
        for (key, _), score in reference(chunks, query):
            best.setdefault(key, score)
        return list(best.items())

    def keeps_order(self, found, among):
        """True where no row was left out that says the same as one that was found and has a lower key."""
        keys = [key for key, _ in found]
        true = {key: text for key, text in self.now.items() if self.then.get(key) == text}
        twins = ((key, other) for key in keys for other in true if other < key and true[other] == true[key])
        return all(other in keys for _, other in twins if among is None or other in among)


@contextmanager
def by_codes():
    with patch.object(views, "EXACT_UP_TO", 0):
        yield


def agrees(found, expected, k):
    """True where the matches are the k best of the reference; equal ones may stand in for each other."""
    scores = dict(expected)
    wanted = [score for _, score in expected[:k]]
    return (
        [score for _, score in found] == pytest.approx(wanted, abs=1e-12)
        and all(score == pytest.approx(scores[key], abs=1e-12) for key, score in found)
        and found == sorted(found, key=lambda match: (-match[1], match[0]))
        and len({key for key, _ in found}) == len(found)
    )


@pytest.mark.parametrize(("row", "chunking"), [(ONE, None), (SEVERAL, PARAGRAPHS)], ids=["whole", "chunked"])
@settings(max_examples=40)
@given(
    st.data(),
    VECTORS.filter(any) | st.just([0, 0, 0]),
    st.one_of(st.none(), st.lists(st.integers(0, 14), max_size=8)),
    st.integers(1, 4) | st.just(14),
)
def test_every_search_agrees_with_the_reference(row, chunking, data, query, among, k):
    """Exact or by codes, cold or renewed, committed or private: one answer, and it is the true one.

    Of rows in chunks, the best one counts.
    """
    rows = data.draw(st.dictionaries(KEYS, row, min_size=2, max_size=12) | st.just({}))
    passes = data.draw(st.lists(st.lists(edits(row), max_size=6), max_size=3))
    uncommitted, changed = data.draw(st.lists(edits(row), max_size=6)), data.draw(stale(row))
    with tempfile.TemporaryDirectory() as folder:
        table = Table(Path(folder) / "data.db", rows, chunking)
        exact, codes = Caches(PLENTY), Caches(PLENTY)
        blob = encode(query)
        wanted = decode(blob).tolist()

        def check(conn, filters=among):
            search, answers = searcher(conn), []
            ways = [None]
            if filters is not None:
                select = "select value from json_each(:keys)"
                ways = [listed(search.source, json.dumps(filters)), Among(select, {"keys": json.dumps(filters)})]
            for way in ways:
                for caches in (exact, Caches(PLENTY)):
                    answers.append(pairs(searcher(conn, caches=caches).nearest(blob, k, among=way)))
                with by_codes():
                    for caches in (codes, Caches(PLENTY)):
                        answers.append(pairs(searcher(conn, caches=caches).nearest(blob, k, among=way)))
            note(f"{answers[0]} should be {table.expected(wanted, filters)[:k]}")
            assert all(answer == answers[0] for answer in answers)
            assert agrees(answers[0], table.expected(wanted, filters), k)
            assert table.keeps_order(answers[0], filters)

        with closing(connect(table.path)) as conn:
            check(conn)
            for changes in passes:
                table.edit_and_embed(changes)
                check(conn)
            before = dict(table.now)
            conn.execute("begin")
            table.edit(conn, uncommitted)
            embed_within(conn)
            table.then = dict(table.now)
            check(conn)
            table.edit(conn, changed)
            check(conn)
            table.edit(conn, [(key, []) for key, _ in table.expected(wanted, among)[:2]])  # others move up
            check(conn)
            conn.rollback()
            table.now, table.then = dict(before), before
            check(conn, None)


@pytest.mark.parametrize(("row", "chunking"), [(ONE, None), (SEVERAL, PARAGRAPHS)], ids=["whole", "chunked"])
@settings(max_examples=12)
@given(st.data())
def test_similar_is_nearest_without_the_row(row, chunking, data):
    """Rows like a row are those nearest to the mean direction of its vectors, itself left out."""
    rows = data.draw(st.dictionaries(KEYS, row, min_size=1, max_size=12))
    with tempfile.TemporaryDirectory() as folder:
        table = Table(Path(folder) / "data.db", rows, chunking)
        key = data.draw(st.sampled_from(sorted(rows)))
        with closing(connect(table.path)) as conn:
            for mode in (by_codes, contextmanager(lambda: iter([None]))):
                with mode():
                    search = searcher(conn)
                    near = dict(pairs(search.nearest(encode(mean(rows[key])), 13)))
                    near.pop(key, None)
                    found = pairs(search.similar((key,), 13))
                    assert dict(found) == {other: pytest.approx(score, abs=1e-6) for other, score in near.items()}
                    assert found == sorted(found, key=lambda match: (-match[1], match[0]))


def mean(vectors):
    """The mean of the vectors' directions, as long as the first vector where it is the only one."""
    units = [[number / length for number in vector] for vector in vectors if (length := math.hypot(*vector))]
    if len(vectors) == 1 or not units:
        return vectors[0]
    return [math.fsum(numbers) / len(units) for numbers in zip(*units, strict=True)]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_many_threads_while_a_writer_changes_rows(tmp_path, mode):
    """Two rows change places again and again: a search sees one state or the other, never half of each."""
    here, there = {1: [1, 0], 2: [0, 1], 3: [1, 1]}, {1: [0, 1], 2: [1, 0], 3: [1, 1]}
    path = notes(tmp_path / "data.db", here)
    write(path, f"pragma journal_mode = {mode}")
    shared, stop, wrong, count = Caches(PLENTY), threading.Event(), [], []
    possible = [reference(state, [1, 0]) for state in (here, there)]
    possible += [[match for match in possible[0] if match[0] == 3]]  # changed, and not yet embedded

    def search():
        with closing(connect(path)) as conn:
            while not stop.is_set():
                with one_state(conn):
                    found = pairs(searcher(conn, caches=shared).nearest(encode([1, 0])))
                count.append(1)
                if not any(_same(found, answer) for answer in possible):
                    wrong.append(found)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for state in [there, here] * 4:
        with closing(connect(path)) as conn, conn:
            conn.execute("begin immediate")
            conn.executemany("update notes set body = ? where id = ?", [(json.dumps(v), k) for k, v in state.items()])
        embed(path, "notes", ["body"], Numbers())
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert (wrong, len(count) > 10) == ([], True)


def _same(found, expected):
    return [key for key, _ in found] == [key for key, _ in expected] and [score for _, score in found] == pytest.approx(
        [score for _, score in expected]
    )
