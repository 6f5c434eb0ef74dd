"""The names and values that templates see: text that behaves as it was meant, and mappings that know where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import TemplateRuntimeError

ROOTS = ("cluster", "parameters", "service", "services", "site")
"""The names that every template knows."""

SHOWN_NAMES = 12


class RefusedError(TemplateRuntimeError):
    """What a template may not do, in words that may be shown."""


class Text(str):
    """A value as somebody wrote it.

    It prints unchanged; as a condition "false", "0" and "" are false; it is never silently taken for a number, or
    silently unequal to one.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        return self.casefold() not in ("", "0", "false")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (int, float)):
            raise RefusedError(
                "text is compared with a number or with true or false; quote that, or make a number of the text "
                "with `| int`"
            )
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __mul__(self, _other: object) -> Text:
        raise RefusedError("text cannot be multiplied; make a number of it with `| int`")

    __rmul__ = __mul__


class Known(dict[str, Any]):
    """A mapping of declared names. `path` is how templates reach it; `absent` names are declared, but have no value."""

    __slots__ = ("absent", "path")

    def __init__(self, path: str, values: Mapping[str, Any], absent: frozenset[str] = frozenset()) -> None:
        super().__init__(values)
        self.path = path
        self.absent = absent


def known(values: Mapping[str, Any], path: str = "") -> Known:
    """JSON data as templates see it: sorted, since two mappings that differ only in their order are one input."""
    absent = frozenset(name for name, value in values.items() if value is None)
    prefix = f"{path}." if path else ""
    return Known(path, {name: _seen(values[name], prefix + name) for name in sorted(values.keys() - absent)}, absent)


def _seen(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return known(value, path)
    if isinstance(value, (list, tuple)):
        return [_seen(item, path) for item in value]
    return Text(value) if isinstance(value, str) else value


def names(of: Iterable[str]) -> str:
    """Names for an error: sorted, and not more than fit into a sentence."""
    shown = sorted(of)
    rest = f" and {len(shown) - SHOWN_NAMES} more" if len(shown) > SHOWN_NAMES else ""
    return (", ".join(shown[:SHOWN_NAMES]) + rest) or "none"
