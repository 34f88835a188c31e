"""The checks that model plugins share: each error names the plugin, the place and what is wrong."""

import pytest

from datasette_embeddings import EmbedError, PluginConfiguration

CHECKS = {"id": ("a text", lambda value: isinstance(value, str)), "size": ("a number", lambda value: value == 1)}


def test_entries_that_are_right():
    """Each comes with its place."""
    found = PluginConfiguration("mine").entries([{"id": "a"}, {"size": 1}], "models", CHECKS)
    assert list(found) == [("models[0]", {"id": "a"}), ("models[1]", {"size": 1})]


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (PluginConfiguration.TEXT, "a", ["", 1, None]),
        (PluginConfiguration.TEXTS, ["a", ""], ["a", [1], None]),
        (PluginConfiguration.COUNT, 1, [0, -1, 1.0, True, "1"]),
    ],
)
def test_checks_for_all(check, right, wrong):
    """A text has characters, a count is a whole number and no true or false."""
    assert check[1](right)
    assert not any(map(check[1], wrong))


def test_what_may_hold_a_password():
    """It is not quoted where the plugin says so."""
    with pytest.raises(EmbedError) as error:
        list(PluginConfiguration("mine", quotes=False).entries([{"id": 2}], "models", CHECKS))
    assert str(error.value).endswith("models[0].id must be a text")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"id": "a"}, "models must be a list, not {'id': 'a'}"),
        (["a"], "models[0] must be an object, not 'a'"),
        ([{}, {"nosuch": 1}], "models[1] has the key 'nosuch', which is not one of id, size"),
        ([{"id": 2}], "models[0].id must be a text, not 2"),
    ],
)
def test_entries_that_are_wrong(given, complaint):
    """One sentence for each kind of mistake."""
    with pytest.raises(EmbedError) as error:
        list(PluginConfiguration("mine").entries(given, "models", CHECKS))
    assert str(error.value) == f"In the configuration of the plugin mine, {complaint}"
