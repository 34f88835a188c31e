"""The benchmarks: that they run, on data of their own and without the packages they compare with."""

import gzip
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


def run(script, *arguments, env=None):
    """What a benchmark prints."""
    command = [sys.executable, str(BENCH / script), *map(str, arguments)]
    env = {**os.environ, **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_search_is_measured():
    """Every measurement of bench/search.py comes out, over random vectors."""
    printed = run("search.py", "--quick")
    for line in ("numpy, exact", "recall@10", "first query after a start", "memory above", "a filter", "a changed row"):
        assert line in printed
    assert printed.count("10 clients: ") == 3


def test_how_many_are_scored_is_measured():
    """bench/scored.py says for each of its parameters what is found and what is read, and leaves none out."""
    printed = run("scored.py", "--quick")
    assert printed.count(": recall 0.") == 12
    assert "10 matches, 400 candidates, 3.5: recall" in printed


def test_following_is_measured():
    """Every measurement of bench/follow.py comes out, with ratios to the bare load."""
    printed = run("follow.py", "--rows", 2000, "--rounds", 1)
    assert printed.count("times the bare load") == 3 * (4 if find_spec("sqlite_chronicle") else 3)
    for line in ("drained 2,000 rows new", "drained 1,000 rows deleted", "a look at 20 followed collections"):
        assert line in printed


@pytest.mark.skipif(not find_spec("wordllama"), reason="wordllama has no wheel for every Python")
def test_embedding_is_measured():
    """bench/embed.py compares a job with the model alone, here over short rows by wordllama."""
    env = {"DATASETTE_LOAD_PLUGINS": "datasette-embed,datasette-embed-model2vec"}
    options = "--model wordllama --short --rows 100 --rounds 2 --beside wordllama"
    printed = run("embed.py", *options.split(), env=env)
    assert "100 rows" in printed
    for name in ("datasette-embed", "bare wordllama", "bare model2vec", "job of wordllama"):
        assert printed.count(name) == 3


@pytest.mark.minilm
@pytest.mark.skipif(not find_spec("llm_sentence_transformers"), reason="llm-sentence-transformers is compared with")
def test_embedding_by_minilm_is_measured():
    """It compares MiniLM's job with LLM's and with the library's own encode()."""
    printed = run("embed.py", "--rows", 20, "--rounds", 1)
    assert "20 rows" in printed
    for name in ("datasette-embed", "llm embed-multi", "bare encode()"):
        assert printed.count(name) == 2


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
