"""The checks that model plugins make of their own configuration: what is wrong in it is an error at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .engine.errors import EmbedError

Check = tuple[str, Callable[[Any], bool]]  # what a value must be, in words and as a function
Checks = Mapping[str, Check]  # by key


@dataclass(frozen=True)
class PluginConfiguration:
    """The configuration of one plugin: what is wrong is an EmbedError that names the plugin and the key."""

    TEXT: ClassVar[Check] = ("a text", lambda value: isinstance(value, str) and value != "")
    TEXTS: ClassVar[Check] = ("a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value)))
    COUNT: ClassVar[Check] = ("a whole number above 0", lambda value: type(value) is int and value > 0)

    plugin: str
    quotes: bool = True  # what is wrong; False where it may hold a password, as an address may

    def entries(self, given: Any, key: str, checks: Checks) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each entry of the list under a key, checked, with its place, such as `models[0]`."""
        if not isinstance(given, list):
            raise self._not(key, "a list", given)
        for number, entry in enumerate(given):
            self.check(entry, checks, f"{key}[{number}]")
            yield f"{key}[{number}]", entry

    def check(self, entry: Any, checks: Checks, where: str) -> None:
        """Refuse what is no object, keys that mean nothing, and values of the wrong kind."""
        self.check_keys(entry, checks, where)
        for key, value in entry.items():
            wanted, is_right = checks[key]
            if not is_right(value):
                raise self._not(f"{where}.{key}", wanted, value)

    def check_keys(self, entry: Any, keys: Iterable[str], where: str) -> None:
        """Refuse what is no object, and keys that mean nothing."""
        if not isinstance(entry, dict):
            raise self._not(where, "an object", entry)
        for key in entry:
            if key not in keys:
                raise self.wrong(where, f"has the key {key!r}, which is not one of {', '.join(keys)}")

    def _not(self, where: str, wanted: str, given: object) -> EmbedError:
        return self.wrong(where, f"must be {wanted}{f', not {given!r}' if self.quotes else ''}")

    def wrong(self, where: str, complaint: str) -> EmbedError:
        """The error to raise."""
        return EmbedError(f"In the configuration of the plugin {self.plugin}, {where} {complaint}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)
