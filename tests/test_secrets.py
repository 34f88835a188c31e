"""Keys from datasette-secrets: where they rank, when they are looked for, and what is said where there is none."""

import os
import subprocess
import threading

import clients
import pytest
from commands import command_line
from datasette import hookimpl
from fake_models import NeedsKey, WordLengths
from servers import PATIENCE

from datasette_embeddings import KeyRefused, secrets
from datasette_embeddings.registry import registry_for

datasette_secrets = pytest.importorskip("datasette_secrets")

NAME = "FAKE_MODELS_KEY"
ENCRYPTION_KEY, ANOTHER = "b2Zfb3VyX3Rlc3RzX29mX3RoZV9zZWNyZXRzX29ubHk=", "YW5vdGhlcl9vZl9vdXJfdGVzdHNfb2Zfc2VjcmV0c18="
ROOT = {"id": "root"}


class RootManages:
    """Lets root manage the secrets on 0.65, where nobody may unless a plugin says so."""

    __name__ = "root_manages_secrets"

    @hookimpl
    def permission_allowed(self, actor, action):
        return True if action == "manage-secrets" and actor == ROOT else None


@pytest.fixture
async def with_secrets(make_datasette, monkeypatch):
    """await with_secrets(*models, **ours): a Datasette with datasette-secrets; `ours` is our configuration."""
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setattr(secrets, "WAIT_SECONDS", PATIENCE)
    monkeypatch.setattr(secrets, "RENEW_SECONDS", PATIENCE)

    async def make(*models, encryption_key=ENCRYPTION_KEY, settings=None, **ours):
        config = {"plugins": {"datasette-embed": ours}}
        if encryption_key:
            config["plugins"]["datasette-secrets"] = {"encryption-key": encryption_key}
        plugins = [datasette_secrets, RootManages()]
        datasette = make_datasette(memory=True, models=models, plugins=plugins, config=config, settings=settings)
        await datasette.invoke_startup()
        return datasette

    return make


async def put(datasette, secret):
    """Type a secret into the page of datasette-secrets."""
    response = await clients.post_form(datasette, f"/-/secrets/{NAME}", {"secret": secret}, ROOT)
    assert response.status_code == 302, response.text


async def test_its_page_asks_for_the_keys_of_our_models(with_secrets):
    """The page lists the key under the name of its environment variable, with the models that need it."""
    datasette = await with_secrets(NeedsKey(), NeedsKey("another"), WordLengths())
    page = (await clients.get(datasette, "/-/secrets", ROOT)).text
    assert NAME in page
    (secret,) = secrets.declared(entry.model for entry in registry_for(datasette).models)
    assert (secret.name, secret.description) == (NAME, "Key of the embedding model needs-key, another")


async def test_a_key_that_was_typed_there(with_secrets):
    """A model finds it at once, from any thread, and from one that runs an event loop."""
    datasette = await with_secrets(model := NeedsKey())
    await put(datasette, "from the page")
    assert model.get_key() == "from the page"
    found = []
    thread = threading.Thread(target=lambda: found.append(model.get_key()))
    thread.start()
    thread.join(PATIENCE)
    assert found == ["from the page"]


async def test_before_the_environment(with_secrets, monkeypatch):
    """What datasette-secrets has goes before the model's own environment variable."""
    monkeypatch.setenv(NAME, "of the environment")
    await with_secrets(model := NeedsKey())
    assert model.get_key() == "of the environment"
    monkeypatch.setenv(f"DATASETTE_SECRETS_{NAME}", "of the secrets")
    assert model.get_key() == "of the secrets"


async def test_after_the_configuration(with_secrets, monkeypatch):
    """A key of the configuration goes before what datasette-secrets has."""
    monkeypatch.setenv(f"DATASETTE_SECRETS_{NAME}", "of the secrets")
    monkeypatch.setenv("CONFIGURED", "of the configuration")
    await with_secrets(model := NeedsKey(), keys={"fake": {"$env": "CONFIGURED"}})
    assert model.get_key() == "of the configuration"


async def test_a_key_that_is_missing(with_secrets):
    """One sentence names every place that there is."""
    datasette = await with_secrets(model := NeedsKey())
    with pytest.raises(KeyRefused) as caught:
        model.get_key()
    assert str(caught.value) == (
        "The model needs-key needs the key 'fake': put it under \"keys\" in the configuration of the plugin "
        "datasette-embed, or as FAKE_MODELS_KEY on the page /-/secrets, or set the environment variable FAKE_MODELS_KEY"
    )
    (shown,) = (await clients.get_json(datasette, "/-/embed.json", ROOT))["models"]
    assert shown["missing"] == str(caught.value)
    await put(datasette, "any")
    (shown,) = (await clients.get_json(datasette, "/-/embed.json", ROOT))["models"]
    assert shown["missing"] is None


async def test_a_page_that_is_not_set_up(with_secrets):
    """Without an encryption key nothing can be typed on the page, so nobody is sent there."""
    await with_secrets(model := NeedsKey(), encryption_key=None)
    with pytest.raises(KeyRefused) as caught:
        model.get_key()
    assert "/-/secrets" not in str(caught.value)


async def test_a_refused_key_is_looked_for_anew(with_secrets):
    """After a key was refused and mended on the page, the next call has the new one."""
    datasette = await with_secrets(model := NeedsKey())
    await put(datasette, "wrong")
    with pytest.raises(KeyRefused, match="refused the key"):
        model.embed("to be")
    await put(datasette, "right")
    assert model.embed("to be")[:2] == [2.0, 2.0]


async def test_an_old_key_is_looked_for_anew(with_secrets, monkeypatch):
    """A key is asked for once a minute."""
    datasette = await with_secrets(model := NeedsKey())
    await put(datasette, "first")
    assert model.get_key() == "first"
    await put(datasette, "second")
    assert model.get_key() == "first"
    monkeypatch.setattr(secrets, "KEPT_SECONDS", 0.0)
    assert model.get_key() == "second"


async def test_an_old_key_is_better_than_none(with_secrets, monkeypatch):
    """Where datasette-secrets takes long, the key that is known is given, and it is asked no second time meanwhile."""
    await with_secrets(model := NeedsKey())
    answered, asked = threading.Event(), []

    async def slow(datasette, name):
        asked.append(name)
        assert len(asked) == 1 or answered.wait(PATIENCE)
        return f"number {len(asked)}"

    monkeypatch.setattr(datasette_secrets, "get_secret", slow)
    monkeypatch.setattr(secrets, "KEPT_SECONDS", 0.0)
    monkeypatch.setattr(secrets, "RENEW_SECONDS", 0.05)
    assert [model.get_key(), model.get_key(), model.get_key()] == ["number 1"] * 3
    monkeypatch.setattr(secrets, "KEPT_SECONDS", 60.0)
    monkeypatch.setattr(secrets, "RENEW_SECONDS", PATIENCE)
    answered.set()
    assert model.get_key() == "number 2"
    assert asked == [NAME, NAME]


async def test_a_secret_that_cannot_be_read(with_secrets, caplog, monkeypatch):
    """A secret that another encryption key closed is missing, and the log says why."""
    datasette = await with_secrets(model := NeedsKey())
    await put(datasette, "any")
    monkeypatch.setattr(datasette_secrets, "get_config", lambda datasette: {"encryption_key": ANOTHER})
    with pytest.raises(KeyRefused):
        model.get_key()
    assert f"datasette-secrets could not give {NAME}: " in caplog.text


async def test_sql_that_needs_a_key_does_not_wait_for_itself(with_secrets):
    """With one thread for all reading, a query that finds the key unknown ends in time, and a later one has it."""
    settings = {"num_sql_threads": 1, "sql_time_limit_ms": 500}
    datasette = await with_secrets(NeedsKey(), sql_models=["needs-key"], settings=settings)
    await put(datasette, "any")
    database = datasette.get_database("_memory")
    with pytest.raises(Exception, match="interrupted"):
        await database.execute("select embed('needs-key', 'to be')")
    datasette._embed_loading["needs-key"].result(PATIENCE)
    rows = await database.execute("select embed_dimensions(embed('needs-key', 'to be'))")
    assert rows.single_value() == 16


def test_the_command_line():
    """A command finds the secrets that stand in its environment."""
    names = {"DATASETTE_LOAD_PLUGINS": "datasette-embed,datasette-secrets", f"DATASETTE_SECRETS_{NAME}": "any"}
    command = command_line("-m", "needs-key", "-c", "to be")
    done = subprocess.run(command, env={**os.environ, **names}, capture_output=True, text=True)
    assert done.stdout.startswith("[2.0, 2.0, 0.0"), done.stderr
