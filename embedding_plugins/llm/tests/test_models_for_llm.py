"""Datasette's models in LLM: found by its functions and used by its commands."""

import json
import subprocess
import sys

import datasettes
import fake_llm_models
import llm
import pytest
from click.testing import CliRunner
from datasette.cli import cli as datasette
from embedded import read
from fake_llm_models import Toy
from fake_models import ByteCounts, NeedsKey, WordLengths, word_lengths
from llm.cli import cli as llm_cli

import datasette_embed_llm
from datasette_embeddings import KeyRefused
from datasette_embeddings.registry import registry_for

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def offered():
    """offered(*models): LLM's function that finds a model by its name, while Datasette has these."""
    with datasettes.plugins(plugin := datasettes.Models([])):

        def offer(*models):
            plugin.models = models
            datasette_embed_llm.models_of_datasette.cache_clear()
            return llm.get_embedding_model

        yield offer
    datasette_embed_llm.models_of_datasette.cache_clear()


@pytest.fixture
def run_llm(user_path):
    """run_llm(*args, status=0): what `llm ARGS` printed, with both distributions installed."""

    def run(*args, status=0):
        command = [sys.executable, "-m", "llm", *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def test_by_id_and_by_alias(offered):
    """LLM finds a model by each of its names, and by datasette/<id>."""
    find = offered(WordLengths())
    for name in ("word-lengths", "lengths", "datasette/word-lengths"):
        assert find(name).embed("to be or") == word_lengths("to be or")
    assert find("lengths").model_id == "word-lengths"


def test_the_model_is_kept(offered):
    """However often LLM asks, there is one model behind it, whose weights are loaded once."""
    find = offered(model := WordLengths())
    assert [find("lengths").embed("a"), find("lengths").embed("b")] == [word_lengths("a")] * 2
    assert model.contents == ["a", "b"]


def test_binary(offered):
    """What a model takes is what LLM is told."""
    model = offered(ByteCounts(), WordLengths())("bytes")
    assert model.supports_binary
    assert sum(model.embed(b"\x10\xff")) == 2
    with pytest.raises(ValueError, match="does not support binary"):
        llm.get_embedding_model("lengths").embed(b"x")


def test_several_batches(offered):
    """LLM hands over as many contents at a time as the model takes."""
    model = WordLengths()
    model.batch_size = 2
    vectors = list(offered(model)("lengths").embed_multi("abc" for _ in range(5)))
    assert vectors == [word_lengths("abc")] * 5
    assert [len(call) for call in model.calls] == [2, 2, 1]


def test_where_a_key_comes_from(offered, keys, monkeypatch):
    """`--key` goes before `llm keys`, and that before what Datasette would use."""
    seen = []
    monkeypatch.setattr(NeedsKey, "embed_batch", lambda self, _: seen.append(self.get_key()) or [word_lengths("x")])
    model = offered(NeedsKey())("needs-key")
    with pytest.raises(KeyRefused, match="needs-key needs the key 'fake'"):
        model.embed("x")
    monkeypatch.setenv("FAKE_MODELS_KEY", "of the environment")
    model.embed("x")
    keys(fake="of LLM", other="another of LLM")
    model.embed("x")
    model.embed("x", key="of the command")
    model.embed("x", key="other")
    assert seen == ["of the environment", "of LLM", "of the command", "another of LLM"]


def test_a_configuration(user_path, monkeypatch, tmp_path):
    """DATASETTE_EMBED_CONFIG names the file with the models and keys that a server would have."""
    config = {"plugins": {"datasette-embed-sentence-transformers": {"models": [{"id": "mine", "path": "/nowhere"}]}}}
    (tmp_path / "datasette.json").write_text(json.dumps(config))
    monkeypatch.setenv("DATASETTE_EMBED_CONFIG", str(tmp_path / "datasette.json"))
    assert llm.get_embedding_model("mine").model_id == "mine"
    assert llm.get_embedding_model("minilm").model_id == MINILM


def test_of_two_with_one_name_llms_wins(offered):
    """A model of LLM's keeps its id; ours of the same is datasette/<id>."""
    find = offered(WordLengths("toy"))
    with fake_llm_models.plugins(fake_llm_models.Plugin("toy-plugin", (toy := Toy(), ()))):
        assert find("toy") is toy
        assert find("datasette/toy").embed("to be") == word_lengths("to be")


def test_a_plugin_of_datasettes_that_is_broken(offered, caplog):
    """LLM goes on with its own models, and a warning says why it has no other."""
    find = offered(WordLengths(), WordLengths())
    assert find("ada").model_id == "text-embedding-ada-002"
    with pytest.raises(llm.UnknownModelError):
        find("lengths")
    assert "LLM does without the models of Datasette's plugins: The plugin models_of_this_test" in caplog.text


def test_no_model_comes_back(offered):
    """With both directions installed, each gives the other its own models alone."""
    offered(WordLengths())
    toy = fake_llm_models.Plugin("toy-plugin", (Toy(), ()))
    with datasettes.plugins(datasette_embed_llm), fake_llm_models.plugins(toy):
        of_llm = {model.model_id: type(model).__name__ for model in llm.get_embedding_models()}
        instance = datasettes.build()
        of_datasette = [entry.name for entry in registry_for(instance).models]
        datasettes.close(instance)
    ours = {MINILM, "word-lengths"}
    assert {name for name, kind in of_llm.items() if kind == "DatasetteModel"} == ours
    assert ours | {"toy"} <= set(of_datasette)
    assert len(of_datasette) == len(set(of_datasette)) == len(of_llm)


@pytest.fixture
def command(user_path):
    """command(cli, *args): what a command of LLM's or of ours printed, run in this process."""

    def run(cli, *args):
        result = CliRunner().invoke(cli, [*map(str, args)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.mark.minilm
def test_there_and_back(run_llm, command, notes, tmp_path):
    """`llm embed-multi -m minilm` embeds by our model, its vectors are imported, exported again, and found by both."""
    theirs, ours = tmp_path / "theirs.db", tmp_path / "ours.db"
    sql = "select id, title, body from data.notes"
    run_llm("embed-multi", "notes", "-m", "minilm", "-d", theirs, "--attach", "data", notes, "--sql", sql)
    assert read(theirs, "select model, length(embedding) from collections, embeddings") == [(MINILM, 4 * 384)] * 3
    assert ": 3 imported" in command(datasette, "embed", "import-llm", notes, "notes", theirs)
    assert ": 3 exported" in command(datasette, "embed", "export-llm", notes, "notes", ours)
    neighbours = [json.loads(line) for line in command(llm_cli, "similar", "notes", 1, "-d", ours).splitlines()]
    matches = json.loads(command(datasette, "embed", "similar", notes, "notes", 1, "-f", "json"))
    expected = [(str(match["key"][0]), pytest.approx(match["score"])) for match in matches]
    assert [(found["id"], found["score"]) for found in neighbours] == expected
    lines = command(llm_cli, "similar", "notes", "-c", "a loaf from the oven", "-d", ours).splitlines()
    assert json.loads(lines[0])["id"] == "1"
