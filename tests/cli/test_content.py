"""One content to one vector."""

import base64
import json
import math

import pytest
from fake_models import ByteCounts, NeedsKey, QuerySide, WordLengths, word_lengths

from datasette_embeddings.engine import vectors
from datasette_embeddings.registry import NO_MODELS

TEXT = "to be or"
BLOB = vectors.encode(word_lengths(TEXT))


def test_a_text_is_an_argument(embed):
    """-c gives the text, and JSON is what comes out."""
    result = embed("-m", "lengths", "-c", TEXT, models=[WordLengths()])
    assert json.loads(result.stdout) == word_lengths(TEXT)


def test_a_text_is_piped_in(embed):
    """Without -c and -i the text is read from standard input."""
    assert json.loads(embed(input=TEXT, models=[WordLengths()]).stdout) == word_lengths(TEXT)


def test_a_text_is_in_a_file(embed, tmp_path):
    """-i reads a file, as it is; - is standard input."""
    model, path = WordLengths(), tmp_path / "é.txt"
    path.write_text("ünï cödé\n", encoding="utf-8")
    embed("-i", path, models=[model])
    embed("-i", "-", models=[model], input="b")
    assert model.contents == ["ünï cödé\n", "b"]


@pytest.mark.parametrize(
    ("format", "expected"),
    [("blob", BLOB), ("base64", base64.b64encode(BLOB) + b"\n"), ("hex", BLOB.hex().encode() + b"\n")],
)
def test_a_vector_has_other_forms(embed, format, expected):
    """The BLOB is what is stored; base64 and hex are that in text."""
    assert embed("-c", TEXT, "-f", format, models=[WordLengths()]).stdout_bytes == expected


def test_a_query_goes_through_the_query_side(embed):
    """--query embeds as the model embeds what is searched for."""
    result = embed("-c", TEXT, "--query", models=[QuerySide()])
    assert json.loads(result.stdout) == [-number for number in word_lengths(TEXT)]


def test_bytes_are_handed_on(embed):
    """--binary gives the model the bytes themselves."""
    result = embed("--binary", input=b"\xff\xfe\x00", models=[ByteCounts()])
    assert json.loads(result.stdout) == [1.0, *[0.0] * 14, 2.0]


def test_bytes_are_refused_by_a_model_of_texts(embed):
    """A model that takes only text says so."""
    result = embed("--binary", input=b"\xff", models=[WordLengths()], status=1)
    assert result.stderr == "Error: The model word-lengths does not take binary content, only text\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-c", ""], "There is nothing to embed: the content is empty"),
        (["-c", "a", "-i", "b"], "Give -c or -i, not both"),
        (["-i", "nosuch.txt"], "nosuch.txt cannot be read: No such file or directory"),
        (["-m", "nosuch", "-c", "a"], "There is no model 'nosuch'; the installed ones are lengths, word-lengths"),
    ],
)
def test_what_is_wrong_is_a_sentence(embed, args, message):
    """Every mistake is one sentence on stderr, and exit status 1."""
    result = embed(*args, models=[WordLengths()], status=1)
    assert (result.stdout, result.stderr) == ("", f"Error: {message}\n")


def test_text_that_is_no_text(embed):
    """What is not UTF-8 is no text, and the message knows the way out."""
    result = embed(input=b"caf\xe9", models=[WordLengths()], status=1)
    assert "not valid UTF-8 (byte 4): write --binary" in result.stderr


def test_an_argument_that_is_no_text(start):
    """Bytes on the command line that are no UTF-8 are refused as text and handed on as binary."""
    assert "not valid UTF-8 (byte 4)" in start("-m", "lengths", "-c", b"caf\xe9").wait(1)
    assert json.loads(start("-m", "bytes", "-c", b"\xe9", "--binary").wait())[14] == 1.0


def test_without_models_it_says_which_to_install(embed):
    """Nothing installed: the message is the command that installs a model."""
    assert embed("-c", TEXT, status=1).stderr == f"Error: {NO_MODELS}\n"


def test_the_configured_model_is_the_default(embed, tmp_path):
    """--config names the model that is used where none is named."""
    path = tmp_path / "datasette.yaml"
    path.write_text("plugins:\n  datasette-embed:\n    default_model: query-side\n")
    result = embed("--config", path, "-c", TEXT, "--query", models=[WordLengths(), QuerySide()])
    assert json.loads(result.stdout)[0] == -2.0
    assert "several are installed" in embed("-c", "a", models=[WordLengths(), QuerySide()], status=1).stderr


def test_the_configuration_holds_keys(embed, tmp_path):
    """A key stands in --config as it does for a server."""
    path = tmp_path / "datasette.json"
    path.write_text(json.dumps({"plugins": {"datasette-embed": {"keys": {"fake": "wrong"}}}}))
    assert "refused the key" in embed("--config", path, "-c", "a", models=[NeedsKey()], status=1).stderr
    assert "needs the key 'fake'" in embed("-c", "a", models=[NeedsKey()], status=1).stderr


@pytest.mark.parametrize("text", ["[not: closed", "plugins: {datasette-embed: {nosuch: 1}}", "- a list"])
def test_a_wrong_configuration(embed, tmp_path, text):
    """A configuration that a server would not start with is a sentence too."""
    path = tmp_path / "datasette.yaml"
    path.write_text(text)
    result = embed("--config", path, "-c", "a", models=[WordLengths()], status=1)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_an_option_before_a_subcommand_is_not_lost(embed, notes):
    """-m belongs after `table`; before it, it would have been ignored."""
    result = embed("-m", "lengths", "table", notes, "notes", "body", models=[WordLengths()], status=2)
    assert "Write -m after `table`" in result.stderr


def test_on_a_terminal_it_shows_help(terminal):
    """Nobody has to guess that it waits for text."""
    shown = terminal("-m", "lengths")
    assert shown.wait() == 0
    assert "Usage:" in shown.output


@pytest.mark.minilm
def test_minilm(embed):
    """The three sentences that everybody compares: the vectors are the model's."""
    sentences = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
    results = [embed("-m", "minilm", "-c", sentence, installed_models=True) for sentence in sentences]
    first, second, third = (json.loads(result.stdout) for result in results)
    found = [cosine(first, second), cosine(first, third), cosine(second, third)]
    assert found == pytest.approx([0.6660, 0.1046, 0.1411], abs=0.005)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_a_plugin_that_cannot_be_loaded(embed, tmp_path):
    """A broken file in --plugins-dir is named by its error."""
    (tmp_path / "broken.py").write_text("raise ValueError('half a plugin')\n")
    result = embed("--plugins-dir", tmp_path, "-c", "a", status=1)
    assert result.stderr == "Error: Datasette could not be set up: half a plugin\n"
