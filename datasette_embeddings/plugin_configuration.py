"""The checks that model plugins make of their own configuration: what is wrong in it is an error at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .engine.errors import EmbedError

Checks = Mapping[str, tuple[str, Callable[[Any], bool]]]  # by key: what its value must be, in words and as a function


@dataclass(frozen=True)
class PluginConfiguration:
    """The configuration of one plugin: what is wrong is an EmbedError that names the plugin and the key."""

    plugin: str

    def entries(self, given: Any, key: str, checks: Checks) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each entry of the list under a key, checked, with its place, such as `models[0]`."""
        if not isinstance(given, list):
            raise self.wrong(key, f"must be a list, not {given!r}")
        for number, entry in enumerate(given):
            self.check(entry, checks, f"{key}[{number}]")
            yield f"{key}[{number}]", entry

    def check(self, entry: Any, checks: Checks, where: str) -> None:
        """Refuse what is no object, keys that mean nothing, and values of the wrong kind."""
        self.check_keys(entry, checks, where)
        for key, value in entry.items():
            wanted, is_right = checks[key]
            if not is_right(value):
                raise self.wrong(f"{where}.{key}", f"must be {wanted}, not {value!r}")

    def check_keys(self, entry: Any, keys: Iterable[str], where: str) -> None:
        """Refuse what is no object, and keys that mean nothing."""
        if not isinstance(entry, dict):
            raise self.wrong(where, f"must be an object, not {entry!r}")
        for key in entry:
            if key not in keys:
                raise self.wrong(where, f"has the key {key!r}, which is not one of {', '.join(keys)}")

    def wrong(self, where: str, complaint: str) -> EmbedError:
        """The error to raise."""
        return EmbedError(f"In the configuration of the plugin {self.plugin}, {where} {complaint}")
