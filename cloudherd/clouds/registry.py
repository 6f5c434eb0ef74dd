"""Finds the providers that are installed, by the entry point group `cloudherd.clouds`; third parties' like our own.

A provider's package is imported when it is first asked for, and nothing that is wrong with one hurts another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from importlib.metadata import Distribution, EntryPoint, distributions

from pydantic import BaseModel

from cloudherd.clouds.protocol import Capabilities, CloudError, ErrorKind, Provider

GROUP = "cloudherd.clouds"
_OWN = "cloudherd"
_log = logging.getLogger(__name__)


class Registry:
    """The providers by name. `installed` stands in for the packages of this Python environment."""

    def __init__(self, installed: Callable[[], Iterable[Distribution]] = distributions) -> None:
        self._entries = _entries(installed())
        self._loaded: dict[str, Provider] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All that are installed, whether they can be loaded or not."""
        return tuple(sorted(self._entries))

    def provider(self, name: str) -> Provider:
        """CloudError(INVALID) in one sentence where it is not installed, or is broken."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Provider:
        entry = self._entries.get(name)
        if entry is None:
            raise CloudError(
                ErrorKind.INVALID,
                "UnknownProvider",
                f"No provider {name[:63]!r} is installed, only {', '.join(self.names) or 'none at all'}.",
            )
        try:
            provider: Provider = entry.load()()
            fault = _shortcoming(provider, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign package does when it is imported
            _log.debug("provider %s cannot be loaded", name, exc_info=True)
            fault = type(error).__name__
        else:
            if not fault:
                return provider
        package = entry.dist.name if entry.dist else "its package"
        raise CloudError(
            ErrorKind.INVALID, "BrokenProvider", f"The provider {name!r} of {package} cannot be used: {fault}."
        )


def _entries(installed: Iterable[Distribution]) -> dict[str, EntryPoint]:
    """By name; our own before others', else the first on the path."""
    found: list[EntryPoint] = []
    for package in installed:
        try:
            found.extend(package.entry_points.select(group=GROUP))
        except Exception:  # noqa: BLE001 - a package with broken metadata is as good as not there
            _log.warning("an installed package has unreadable metadata, and its providers are not available")
    entries: dict[str, EntryPoint] = {}
    for entry in sorted(found, key=lambda each: each.dist is None or each.dist.name != _OWN):
        if entries.setdefault(entry.name, entry) is not entry:
            _log.debug("a second package offers the provider %s", entry.name)
    return entries


def _shortcoming(provider: Provider, name: str) -> str:
    """What keeps a loaded object from being a provider; empty where nothing does."""
    if getattr(provider, "name", None) != name:
        return f"it does not call itself {name!r}"
    if not isinstance(getattr(provider, "capabilities", None), Capabilities):
        return "it declares no capabilities"
    for attribute in ("credentials_model", "options_model", "launch_options_model"):
        model = getattr(provider, attribute, None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return f"its {attribute} is no pydantic model"
    return "" if callable(getattr(provider, "connect", None)) else "it cannot connect"
