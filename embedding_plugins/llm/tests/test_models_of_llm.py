"""LLM's models in Datasette: which there are, by which names, and how they are called."""

import json
import os
import subprocess
import sys

import pytest
from embedded import embed, errors
from fake_llm_models import OnnxShape, Plugin, Toy
from fake_models import WordLengths, word_lengths

from datasette_embeddings import EmbedError

OPENAI = ("text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large")


def test_importing_is_light():
    """Neither Datasette nor LLM is imported with the plugin, for each starts with it."""
    code = "import sys, datasette_embed_llm; print({'datasette', 'datasette_embeddings', 'llm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_models_that_llm_brings(registry):
    """OpenAI's are there under LLM's ids and aliases, as models that need a key and that SQL may not use."""
    entries = {entry.name: entry for entry in registry().models}
    assert set(OPENAI) <= set(entries)
    small = entries["text-embedding-3-small"]
    assert (small.aliases, small.sql, small.model.batch_size) == (("3-small",), False, 100)
    assert small.as_json()["remote"] is True
    assert small.as_json()["missing"].endswith(
        "set the environment variable OPENAI_API_KEY, or run `llm keys set openai`"
    )


def test_a_model_with_its_aliases(registry, user_path):
    """A model has the aliases of its plugin, and those that `llm aliases set` gave it."""
    (user_path / "aliases.json").write_text(json.dumps({"mine": "toy", "chat": "gpt-4o"}))
    found = registry(plugins=[Plugin("another", (Toy(), ("lengths",)))])
    assert found.find("toy").aliases == ("lengths", "mine")
    assert found.model("mine").embed("to be or") == word_lengths("to be or")


def test_aliases_that_cannot_be_read(registry, user_path, caplog):
    """Where aliases.json is broken, the models are there without them, and a warning says so."""
    (user_path / "aliases.json").write_text("{")
    assert registry(Toy()).find("toy").aliases == ()
    assert "The aliases that LLM keeps could not be read" in caplog.text


def test_of_two_with_one_name_the_later_wins(registry):
    """As in LLM, a name means the model that was registered last, be it an id or an alias."""
    first, second = Toy(), Toy()
    found = registry(plugins=[Plugin("second", (second, ("b",))), Plugin("first", (first, ("a", "b")), (Toy("c"), ()))])
    assert found.model("toy")._model is second
    assert found.find("toy").aliases == ("b",)
    assert found.find("c").model._model.model_id == "c"
    with pytest.raises(EmbedError, match="There is no model 'a'"):
        found.find("a")


def test_ours_win_a_clash(registry):
    """A model of Datasette's has its names; LLM's of that id has those that are left."""
    found = registry(
        plugins=[Plugin("another", (Toy("word-lengths"), ("lengths", "left")))], models=[ours := WordLengths()]
    )
    assert [found.model(name) for name in ("word-lengths", "lengths")] == [ours, ours]
    assert found.model("left").model_id == "word-lengths"


def test_a_clash_leaves_the_name_with_llm_before_it(user_path):
    """Where the plugins are installed, LLM's own MiniLM is llm/<id>, beside ours of the same id."""
    (user_path / "sentence-transformers.json").write_text('["all-MiniLM-L6-v2"]')
    code = (
        "from datasette.app import Datasette; from datasette_embeddings.registry import registry_for;"
        "found = registry_for(Datasette([])); name = 'sentence-transformers/all-MiniLM-L6-v2';"
        "print(found.find(name).plugin, found.find('llm/' + name).plugin)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DATASETTE_LOAD_PLUGINS": os.environ["DATASETTE_LOAD_PLUGINS"] + ",datasette-embed-llm"},
    )
    assert done.stdout.split() == ["datasette-embed-sentence-transformers", "datasette-embed-llm"], done.stderr


def test_a_plugin_that_is_broken(registry, caplog):
    """What it registered before it broke is there, as is everything of the others; a warning names it."""
    broken = Plugin("broken-plugin", (Toy("early"), ()), ValueError("no\nnetwork"))
    found = registry(Toy(), plugins=[broken])
    assert {"early", "toy", *OPENAI} <= {entry.name for entry in found.models}
    assert "The LLM plugin broken-plugin could not register its embedding models: no network" in caplog.text


def test_a_plugin_that_cannot_be_loaded(tmp_path):
    """It is named on standard error, and the others are loaded, in Datasette and in the llm that it has loaded."""
    for number, name in enumerate(("first", "second", "third")):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[llm]\n{name} = toy_plugin_{name}\n")
        code = "import no_such_module" if number == 1 else f"name = {name!r}"
        (tmp_path / f"toy_plugin_{name}.py").write_text(code)
    code = (
        "import datasette_embed_llm as plugin; print(len(plugin.models_of_llm()));"
        "from llm.plugins import pm; print(*(pm.has_plugin(name) for name in ('first', 'second', 'third')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout.split()[1:] == ["True", "False", "True"], done.stderr
    assert int(done.stdout.split()[0]) >= len(OPENAI)
    assert done.stderr == "The LLM plugin second could not be loaded: No module named 'no_such_module'\n"


def test_its_object_is_kept(registry):
    """A model is fetched once for a Datasette, and so loads its weights once."""
    found = registry(model := OnnxShape())
    for _ in range(3):
        found.model("onnx-shape").embed("to be or")
    assert (found.model("onnx-shape")._model, model.loads) == (model, 1)


def test_the_attribute_key_of_a_model_without_one(registry):
    """It is not touched: what llm-embed-onnx keeps in it has nothing to do with a key."""
    model = OnnxShape()
    answered = registry(model, keys={"onnx-shape": "secret"}).model("onnx-shape").embed("to be or")
    assert (answered, model.key) == (word_lengths("to be or"), "bge-micro")


@pytest.mark.parametrize(("batch_size", "sizes"), [(2, [2, 2, 1]), (None, [5])])
def test_batch_size(registry, batch_size, sizes):
    """No call gets more contents than the model takes."""
    model = Toy(batch_size=batch_size)
    vectors = list(registry(model).model("toy").embed_multi(["a", "bb", "ccc", "dd", "e"]))
    assert [len(call) for call in model.calls] == sizes
    assert [vector[0] for vector in vectors] == [1, 2, 3, 2, 1]


def test_more_than_llm_would_hand_over(registry):
    """A model that names no batch_size gets a hundred contents at a time, as from LLM."""
    list(registry(model := Toy()).model("toy").embed_multi("x" * 250))
    assert [len(call) for call in model.calls] == [100, 100, 50]


def test_a_table(registry, notes):
    """Rows are embedded by a model of LLM's as by any other."""
    model = registry(Toy()).model("toy")
    job = embed(notes, "notes", ["title", "body"], model)
    assert (job.status, job.embedded, errors(notes)) == ("finished", 3, [])
