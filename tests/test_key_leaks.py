"""No key is told: not by a page, in JSON, in a log, in the file, on a terminal or in an exception."""

import json
import subprocess
import traceback
from urllib.parse import quote

import pytest
from commands import command_line
from datasette import hookimpl
from embedded import make_file
from fake_models import Leaking, LeakingLoad, NeedsKey
from servers import wait_for

from datasette_embeddings import KeyRefused, ModelBusy, ModelError
from datasette_embeddings.engine.keys import without_keys
from datasette_embeddings.registry import registry_for

KEY = "sk-fake/key+of=ours"  # of characters that an address writes otherwise
ENV = {"LEAKING_MODELS_KEY": KEY}
SQL = "select embed('leaking', 'FAIL in SQL')"


def tells(text):
    """Whether a text has the key in it, in one of the forms in which libraries print one."""
    return any(form in text for form in (KEY, quote(KEY), quote(KEY, safe=""), repr(KEY)[1:-1]))


@pytest.fixture
def leaking(monkeypatch):
    monkeypatch.setenv("LEAKING_MODELS_KEY", KEY)
    return Leaking()


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("FAIL", ModelError, "The model leaking failed: 401 for https://example.com/?key=***"),
        ("REFUSED", KeyRefused, "The server of leaking does not know ***"),
        ("WORDS", ModelError, "something other than numbers: could not convert string to float: '***'"),
    ],
)
def test_an_error(leaking, content, kind, message):
    """Neither its message nor what a log prints of it and its causes has the key, and its kind stays what it was."""
    with pytest.raises(kind) as caught:
        leaking.embed(content)
    assert message in str(caught.value)
    assert not tells("".join(traceback.format_exception(caught.value)))


def test_an_error_of_loading(monkeypatch):
    """The same for what load() raises."""
    monkeypatch.setenv("LEAKING_MODELS_KEY", KEY)
    with pytest.raises(ModelError) as caught:
        LeakingLoad().embed("a")
    assert str(caught.value) == "The model leaking-load could not be loaded: no weights for ***"
    assert not tells("".join(traceback.format_exception(caught.value)))


def test_what_else_an_error_carries():
    """Striking the key out leaves the rest of the error."""

    class Busy(NeedsKey):
        key = KEY

        def embed_batch(self, contents):
            raise ModelBusy(f"{self.get_key()} asks too often", retry_after=7)

    with pytest.raises(ModelBusy, match=r"^\*\*\* asks too often$") as caught:
        Busy().embed("a")
    assert caught.value.retry_after == 7


def test_a_key_that_was_used_before(monkeypatch):
    """A key that was replaced while a call was under way is kept secret too."""

    class Replacing(NeedsKey):
        def embed_batch(self, contents):
            old = self.get_key()
            monkeypatch.setenv("FAKE_MODELS_KEY", "a new key")
            raise ValueError(f"{old}, then {self.get_key()}")

    monkeypatch.setenv("FAKE_MODELS_KEY", KEY)
    with pytest.raises(ModelError, match=r"failed: \*\*\*, then \*\*\*$"):
        Replacing().embed("a")


def test_an_error_without_a_key_keeps_its_cause(leaking):
    """What tells nothing is told whole."""
    leaking.embed_batch = lambda contents: 1 / 0
    with pytest.raises(ModelError, match="division by zero") as caught:
        leaking.embed("a")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("text", "keys", "left"),
    [
        ("key-1 and key-12", ["key-1", "key-12"], "*** and ***"),
        ("a%2Fb%3Dc", ["a/b=c"], "***"),
        ("an EMPTY key", ["an", ""], "an EMPTY key"),
    ],
)
def test_what_is_struck_out(text, keys, left):
    """Longer keys go before those that they begin with; what is too short to be a key stays."""
    assert without_keys(text, keys) == left


async def test_a_registration_that_fails(make_datasette, monkeypatch):
    """A plugin that raises with a configured key in the message stops the start, and does not tell it."""

    class Plugin:
        __name__ = "leaking_plugin"

        @hookimpl
        def register_embedding_models(self, register, datasette):
            raise ValueError(f"bad key {datasette.plugin_config('datasette-embed')['keys']['fake']}")

    monkeypatch.setenv("CONFIGURED", KEY)
    config = {"plugins": {"datasette-embed": {"keys": {"fake": {"$env": "CONFIGURED"}}}}}
    with pytest.raises(Exception, match=r"could not register its embedding models: bad key \*\*\*") as caught:
        registry_for(make_datasette(plugins=[Plugin()], config=config))
    assert not tells("".join(traceback.format_exception(caught.value)))


@pytest.fixture
def texts(tmp_path):
    """A database with two tables: `some`, of which one row fails, and `none`, for which the key is refused."""
    script = "create table some (body text); create table none (body text)"
    rows = [("to be",), ("FAIL here",)]
    return make_file(tmp_path / "data.db", script, some=rows, none=[("REFUSED",)])


def test_a_server(serve, texts, tmp_path):
    """Pages, JSON, SQL, the log and the file of a server whose model fails in every way have no key in them."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"plugins": {"datasette-embed": {"sql_models": ["leaking"]}}}))
    server = serve(texts, args=["-m", config], env=ENV, root=True)
    server.sign_in()
    shown = [embedded(server, table) for table in ("some", "none")]
    paths = ["/-/embed", "/data/-/embed", "/data/-/embed/some", "/data/-/embed/none", "/data/_embed_errors"]
    paths += [f"/data/{table}/-/similar?q={q}" for table in ("some", "none") for q in ("FAIL", "REFUSED", "WORDS")]
    paths += [f"/data/some/-/embed?columns=body&model={name}" for name in ("leaking", "leaking-load")]
    paths += [f"/data?sql={quote(SQL)}"]
    for path in paths:
        shown += [server.client.get(page, follow_redirects=True).text for page in (path, as_json(path))]
    server.terminate()
    assert "401 for https://example.com/?key=***" in "".join(shown)
    assert "does not know ***" in "".join(shown)
    assert "embed(): The model leaking failed" in server.output()
    everything = {"pages": "".join(shown), "log": server.output(), "file": texts.read_bytes().decode("latin-1")}
    assert [name for name, text in everything.items() if tells(text)] == []


def embedded(server, table):
    """The JSON of a collection by the model that leaks, once its job has ended."""
    server.post(f"/data/{table}/-/embed.json", {"columns": ["body"], "model": "leaking"}, 201)

    def ended():
        answer = server.client.get(f"/data/-/embed/{table}.json")
        return answer.json()["job"]["status"] in ("finished", "failed") and answer.text

    return wait_for(ended, f"the job of {table} to end")


def as_json(path):
    head, _, arguments = path.partition("?")
    return f"{head}.json?{arguments}"


@pytest.mark.parametrize(
    "args",
    [
        ("-m", "leaking", "-c", "FAIL"),
        ("-m", "leaking", "-c", "REFUSED"),
        ("-m", "leaking-load", "-c", "a"),
        ("table", "data.db", "some", "body", "-m", "leaking"),
        ("table", "data.db", "none", "body", "-m", "leaking"),
        ("models",),
    ],
)
def test_the_command_line(texts, monkeypatch, args):
    """Nor is there one on a terminal."""
    monkeypatch.setenv("LEAKING_MODELS_KEY", KEY)
    done = subprocess.run(command_line(*args), cwd=texts.parent, capture_output=True, text=True)
    assert "***" in done.stderr or args == ("models",)
    assert not tells(done.stdout + done.stderr)
