"""The list of installed models."""

import json
import re

from fake_models import ByteCounts, NeedsKey, WordLengths

from datasette_embeddings.registry import NO_MODELS


def test_each_model_is_described(embed):
    """Every name, where it came from, what it takes, and whether it is ready."""
    text = embed("models", models=[WordLengths()]).stdout
    assert text.startswith("word-lengths\n  aliases: lengths\n  from models_of_this_test")
    assert text.endswith("  text, 16 dimensions, longest text not known, runs here, the default\n  ready\n")


def test_what_a_model_says_of_itself(embed):
    """A limit is told, dimensions that are not known are said to be so, and so is a server."""

    class Far(ByteCounts):
        dimensions, max_tokens, remote = None, 8192, True

    assert (
        "\n  text and binary, dimensions known once used, reads 8,192 tokens, calls another server, the default\n"
        in embed("models", models=[Far()]).stdout
    )


def test_json(embed):
    """The same for programs."""
    (found,) = json.loads(embed("models", "--json", models=[ByteCounts()]).stdout)
    assert found.pop("plugin").startswith("models_of_this_test")
    assert found == {
        "id": "byte-counts",
        "aliases": ["bytes"],
        "version": None,
        "text": True,
        "binary": True,
        "dimensions": 16,
        "max_tokens": None,
        "remote": False,
        "price_per_million_tokens": None,
        "default": True,
        "ready": False,
        "missing": None,
    }


def test_a_price(embed, tmp_path):
    """What a model costs is told, and the configuration's price wins over the model's own."""

    class Priced(WordLengths):
        price_per_million_tokens = 10

    config = tmp_path / "datasette.json"
    config.write_text(json.dumps({"plugins": {"datasette-embed": {"prices": {"lengths": 0.02}}}}))
    assert "runs here, $10.00 for a million tokens" in embed("models", models=[Priced()]).stdout
    assert "runs here, $0.02 for a million tokens" in embed("models", "--config", config, models=[Priced()]).stdout
    config.write_text(json.dumps({"plugins": {"datasette-embed": {"prices": {"lengths": 0}}}}))
    assert "$" not in embed("models", "--config", config, models=[Priced()]).stdout


def test_a_missing_key(embed, monkeypatch):
    """A model without its key says where to put one."""
    monkeypatch.delenv("FAKE_MODELS_KEY", raising=False)
    assert "set the environment variable FAKE_MODELS_KEY" in embed("models", models=[NeedsKey()]).stdout
    monkeypatch.setenv("FAKE_MODELS_KEY", "any")
    assert embed("models", models=[NeedsKey()]).stdout.endswith("ready\n")


def test_none_is_installed(embed):
    """Without models the list is the command that installs one, and for programs it is empty."""
    result = embed("models", status=1)
    assert (result.stdout, result.stderr) == ("", f"Error: {NO_MODELS}\n")
    assert embed("models", "--json").stdout == "[]\n"


def test_models_of_a_folder(embed, plugins_dir):
    """--plugins-dir adds models, before the subcommand's name as well as after it."""
    after = embed("models", "--plugins-dir", plugins_dir).stdout
    assert "word-lengths" in after
    assert embed("--plugins-dir", plugins_dir, "models").stdout == after


def test_two_models_of_one_name(embed):
    """What would keep a server from starting is a sentence here."""
    result = embed("models", models=[WordLengths(), WordLengths()], status=1)
    assert re.fullmatch(r"Error: .* two models named 'word-lengths'\n", result.stderr)
