"""The configuration: what may stand in it, and what is said where something else does."""

import pytest
from datasette.utils import StartupError
from fake_models import WordLengths

from datasette_embeddings.config import Config, read_config


def configured(make_datasette, config):
    return make_datasette(models=[WordLengths()], config={"plugins": {"datasette-embed": config}})


def test_nothing_is_configured(make_datasette):
    """Without a configuration the defaults hold."""
    assert read_config(make_datasette()) == Config()


def test_everything_is_configured(make_datasette):
    """Every key is read."""
    given = {
        "default_model": "lengths",
        "warm": False,
        "sql_models": ["lengths"],
        "public_search": True,
        "search_memory_mb": 64,
        "keys": {"fake": "x"},
        "prices": {"lengths": 0.02},
    }
    config = read_config(configured(make_datasette, given))
    assert config == Config("lengths", False, ("lengths",), True, 64, {"fake": "x"}, {"lengths": 0.02})
    assert config.allows_sql("nosuch", "lengths")
    assert not config.allows_sql("nosuch")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"defualt_model": "x"}, r"has no key 'defualt_model'; it has default_model, keys, prices, public_search"),
        ({"warm": "yes"}, "'warm' must be true or false"),
        ({"search_memory_mb": True}, "'search_memory_mb' must be a number of megabytes"),
        ({"search_memory_mb": 0}, "'search_memory_mb' must be a number of megabytes"),
        ({"default_model": 5}, "'default_model' must be a model's id or alias"),
        ({"sql_models": "lengths"}, "'sql_models' must be a list of model ids"),
        ({"keys": ["x"]}, "'keys' must be an object of keys by name"),
        ({"keys": {"fake": 12345}}, "the key 'fake' must be a text"),
        ({"prices": [1]}, "'prices' must be an object of prices by model"),
        ({"prices": {"lengths": "0.02"}}, "the price of 'lengths' must be a number of US dollars for a million"),
        ({"prices": {"lengths": -1}}, "the price of 'lengths' must be a number"),
        ({"prices": {"lenghts": 1}}, "There is no model 'lenghts'; the installed ones are lengths, word-lengths"),
        (["warm"], "The configuration of datasette-embed must be an object"),
    ],
)
async def test_a_wrong_configuration(make_datasette, config, message):
    """A wrong key or value stops the start with a sentence that names it."""
    with pytest.raises(StartupError, match=message):
        await configured(make_datasette, config).invoke_startup()


async def test_a_key_that_everybody_could_read(make_datasette):
    """Datasette 0.65 shows the metadata to everybody, so a key in it ends the start; 1.0 strikes it out."""
    datasette = make_datasette(config={"plugins": {"datasette-embed": {"keys": {"fake": "sk-fake"}}}})
    if hasattr(datasette, "allowed"):
        await datasette.invoke_startup()
        assert "sk-fake" not in (await datasette.client.get("/-/config.json")).text
    else:
        with pytest.raises(StartupError, match=r"The key 'fake' stands in the metadata, .* write \{\"\$env\": \"…\"\}"):
            await datasette.invoke_startup()


async def test_a_key_of_the_environment_is_shown_to_nobody(make_datasette, monkeypatch):
    """With $env the metadata names the variable alone."""
    monkeypatch.setenv("FAKE_KEY", "sk-fake")
    datasette = make_datasette(config={"plugins": {"datasette-embed": {"keys": {"fake": {"$env": "FAKE_KEY"}}}}})
    await datasette.invoke_startup()
    for path in ("/-/metadata.json", "/-/config.json"):
        assert "sk-fake" not in (await datasette.client.get(path)).text
