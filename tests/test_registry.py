"""The registry: who may have which name, and what is said at start where something is wrong."""

import pytest
from datasette import hookimpl
from datasette.plugins import pm
from datasette.utils import StartupError
from embedded import read
from fake_models import NeedsKey, QuerySide, WordLengths

from datasette_embeddings.engine.collections import define
from datasette_embeddings.engine.errors import UnknownModel
from datasette_embeddings.registry import registry_for


class Plugin:
    """A plugin of this name that registers models with these arguments."""

    def __init__(self, name, *offers):
        self.__name__ = name
        self.offers = offers

    @hookimpl
    def register_embedding_models(self, register):
        for model, options in self.offers:
            register(model, **options)


def names(datasette):
    return [(entry.name, entry.aliases, entry.plugin) for entry in registry_for(datasette).models]


async def start_fails(datasette, message):
    with pytest.raises(StartupError, match=message):
        await datasette.invoke_startup()


def test_by_id_and_by_alias(make_datasette):
    """A model answers to its id and to its aliases."""
    datasette = make_datasette(plugins=[Plugin("one", (model := WordLengths(), {"aliases": ["lengths", "wl", "wl"]}))])
    assert names(datasette) == [("word-lengths", ("lengths", "wl"), "one")]
    assert {registry_for(datasette).model(name) for name in ("word-lengths", "lengths", "wl")} == {model}
    assert registry_for(datasette).find("wl").short_name == "wl"


def test_an_unknown_name(make_datasette):
    """A name that there is not is an error with the names that there are, or with what to install."""
    with pytest.raises(UnknownModel, match=r"no model 'nosuch'; the installed ones are lengths, word-lengths"):
        registry_for(make_datasette(models=[WordLengths()])).find("nosuch")
    with pytest.raises(UnknownModel, match=r"This installs one .*: datasette install datasette-embed-"):
        registry_for(make_datasette()).find("nosuch")


@pytest.mark.parametrize("options", [{}, {"aliases": ["word-lengths"]}])
async def test_two_plugins_with_one_name(make_datasette, options):
    """Two models that claim one name stop the start, with both plugins named."""
    second = WordLengths("other" if options else "word-lengths")
    datasette = make_datasette(plugins=[Plugin("one", (WordLengths(), {})), Plugin("two", (second, options))])
    await start_fails(datasette, r"Two plugins register a model named 'word-lengths': (one and two|two and one)\.")


async def test_one_plugin_with_one_name_twice(make_datasette):
    """A plugin that clashes with itself is named alone."""
    plugin = Plugin("one", (WordLengths(), {}), (WordLengths(), {}))
    await start_fails(make_datasette(plugins=[plugin]), "The plugin one registers two models named 'word-lengths'")


@pytest.mark.parametrize("first", ["fallback", "owner"])
def test_a_fallback_loses(make_datasette, first):
    """A fallback leaves the name to the other plugin, in whatever order, and stays reachable as <plugin>/<id>."""
    fallback = Plugin("fallback", (loser := WordLengths(), {"aliases": ["lengths", "mine"], "fallback": True}))
    owner = Plugin("owner", (winner := WordLengths(), {"aliases": ["lengths"]}))
    plugins = [fallback, owner] if first == "fallback" else [owner, fallback]
    registry = registry_for(make_datasette(plugins=plugins))
    assert [registry.model(name) for name in ("word-lengths", "lengths")] == [winner, winner]
    assert [registry.model(name) for name in ("fallback/word-lengths", "mine")] == [loser, loser]


def test_a_fallback_without_a_clash(make_datasette):
    """A fallback whose name is free has it, and answers to the name that a clash would have left it."""
    plugin = Plugin("fallback", (model := WordLengths(), {"aliases": ["lengths"], "fallback": True}))
    datasette = make_datasette(plugins=[plugin])
    assert names(datasette) == [("word-lengths", ("lengths",), "fallback")]
    registry = registry_for(datasette)
    assert {registry.model(name) for name in ("word-lengths", "lengths", "fallback/word-lengths")} == {model}


def test_a_fallback_of_a_plugin_named_as_ours_are(make_datasette):
    """`datasette-embed-` is left out of the name by which a fallback stays reachable."""
    plugin = Plugin("datasette-embed-shapes", (loser := WordLengths(), {"fallback": True}))
    registry = registry_for(make_datasette(models=[winner := WordLengths()], plugins=[plugin]))
    assert (registry.model("word-lengths"), registry.model("shapes/word-lengths")) == (winner, loser)


def test_sql_may_use_the_model_that_answers_to_the_name(make_datasette):
    """`sql_models` means who has a name after a clash, and not who wanted it."""
    config = {"plugins": {"datasette-embed": {"sql_models": ["fallback/needs-key"]}}}
    fallback = Plugin("fallback", (loser := NeedsKey(), {"fallback": True}))
    datasette = make_datasette(models=[winner := NeedsKey()], plugins=[fallback], config=config)
    assert {entry.model: entry.sql for entry in registry_for(datasette).models} == {winner: False, loser: True}


async def test_collections_of_a_fallback_are_its_own(make_datasette, notes):
    """What a fallback embedded is never taken for the vectors of the model that has its id."""
    fallback = Plugin("fallback", (loser := WordLengths(), {"fallback": True}))
    datasette = make_datasette(notes, plugins=[fallback, Plugin("owner", (WordLengths(), {}))])
    await datasette.invoke_startup()
    definition = await datasette.get_database("data").execute_fn(
        lambda conn: define(conn, "notes", ["body"], None, loser)
    )
    assert definition.model == "fallback/word-lengths"
    assert registry_for(datasette).model(definition.model) is loser
    assert read(notes, "select count(*) from notes") == [(3,)]


@pytest.mark.parametrize(
    ("offer", "message"),
    [
        ((WordLengths, {}), "The plugin bad registered <class .*>, which is not an instance of .*EmbeddingModel"),
        ((WordLengths(), {"aliases": "lengths"}), r"The plugin bad gave 'lengths' as aliases: write a tuple"),
        ((type("NoId", (WordLengths,), {"model_id": 1})(), {}), "The plugin bad registered a NoId without a model_id"),
        ((WordLengths(), {"nosuch": 1}), "The plugin bad could not register its embedding models: .*nosuch"),
    ],
)  # fmt: skip
async def test_a_plugin_that_is_wrong(make_datasette, offer, message):
    """What a plugin does wrong stops the start with a sentence that names it."""
    await start_fails(make_datasette(plugins=[Plugin("bad", offer)]), message)


async def test_errors_are_raised_where_that_was_asked_for(make_datasette, monkeypatch):
    """With DATASETTE_EMBED_RAISE_ERRORS the author gets the traceback."""
    monkeypatch.setenv("DATASETTE_EMBED_RAISE_ERRORS", "1")
    with pytest.raises(TypeError, match="nosuch"):
        await make_datasette(plugins=[Plugin("bad", (WordLengths(), {"nosuch": 1}))]).invoke_startup()


def test_a_hook_may_ask_for_datasette(make_datasette):
    """An implementation takes whichever of the hook's arguments it wants."""

    class Asking:
        __name__ = "asking"

        @hookimpl
        def register_embedding_models(self, datasette, register):
            register(WordLengths(f"model-of-{len(datasette.databases)}"))

    assert [name for name, _, _ in names(make_datasette(plugins=[Asking()]))] != []


def test_the_default(make_datasette):
    """The configured model, else the only one; several without a default are an error that names them."""
    both = [WordLengths(), QuerySide()]
    configured = {"plugins": {"datasette-embed": {"default_model": "lengths"}}}
    assert registry_for(make_datasette(models=both, config=configured)).default().model is both[0]
    assert registry_for(make_datasette(models=both[:1])).pick(None).model is both[0]
    assert registry_for(make_datasette(models=both)).pick("query-side").model is both[1]
    with pytest.raises(UnknownModel, match=r"several are installed \(lengths, query-side\)"):
        registry_for(make_datasette(models=both)).default()
    with pytest.raises(UnknownModel, match="No embedding model is installed"):
        registry_for(make_datasette()).default()


async def test_a_default_that_is_not_installed(make_datasette):
    """A default_model that there is not stops the start."""
    config = {"plugins": {"datasette-embed": {"default_model": "nosuch"}}}
    await start_fails(make_datasette(models=[WordLengths()], config=config), "There is no model 'nosuch'")


@pytest.mark.parametrize("name", ["fake", "needs-key"])
def test_keys_of_the_configuration(make_datasette, name):
    """A key is given by its own name or by the model's id."""
    config = {"plugins": {"datasette-embed": {"keys": {name: "secret"}}}}
    datasette = make_datasette(models=[model := NeedsKey()], config=config)
    assert registry_for(datasette).find("needs-key").sql is False
    assert model.get_key() == "secret"


def test_the_registry_is_built_once(make_datasette):
    """A Datasette keeps its registry, and with it the models that are loaded."""
    datasette = make_datasette(models=[WordLengths()])
    assert registry_for(datasette) is registry_for(datasette)
    assert pm.hook.register_embedding_models.has_spec()


def test_a_clash_at_the_start_of_a_server(serve, notes, tmp_path):
    """`datasette serve` ends with the sentence and no traceback."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(
            "from datasette import hookimpl\nfrom datasette_embeddings import EmbeddingModel\n"
            "class M(EmbeddingModel):\n    model_id = 'm'\n    def embed_batch(self, contents): pass\n"
            "@hookimpl\ndef register_embedding_models(register): register(M())\n"
        )
    with pytest.raises(AssertionError) as caught:
        serve(notes, plugins_dir=tmp_path)
    assert "Two plugins register a model named 'm': " in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("config", [{"default_model": "minlim"}, {"sql_models": ["word-lengths", "minlim"]}])
async def test_a_misspelt_model_in_the_configuration(make_datasette, config):
    """A configuration that names no model ends the start with the name."""
    plugins = {"plugins": {"datasette-embed": config}}
    await start_fails(make_datasette(models=[WordLengths()], config=plugins), "There is no model 'minlim'")
