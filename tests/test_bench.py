"""The benchmarks of the search: that they run, on data of their own and without the packages they compare with."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


def run(script, *arguments):
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, str(BENCH / script), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_search_is_measured():
    """Every measurement of bench/search.py comes out, over random vectors."""
    printed = run("search.py", "--quick")
    for line in ("numpy, exact", "recall@10", "first query after a start", "memory above", "a filter", "a changed row"):
        assert line in printed
    assert printed.count("10 clients: ") == 3


@pytest.mark.minilm
def test_the_quality_is_measured(tmp_path):
    """bench/quality.py gives 1.0 to three ways of searching that all put the right text first."""
    texts = {"1": "A recipe for bread with rye flour", "2": "The orbit of Mars around the sun"}
    queries = {"a": "rye bread", "b": "the orbit of Mars"}
    write(tmp_path / "corpus.jsonl.gz", [{"_id": key, "title": "", "text": text} for key, text in texts.items()])
    write(tmp_path / "queries.jsonl.gz", [{"_id": key, "text": text} for key, text in queries.items()])
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t1\nb\t2\t1\n")
    printed = run("quality.py", tmp_path)
    assert [line.split()[1] for line in printed.splitlines()[-3:]] == ["1.0000"] * 3


def write(path, objects):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in objects)
