"""Tags in the shapes that libcloud's drivers have for them: a map, or strings `key:value`. Pure.

Strings hold small letters, digits, dashes and underscores, which clouds take and do not change (some keep the case of
whoever used a tag first): each other byte is `_` and two digits, as in `owner:_5ao_c3_ab` for Zoë.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cloudherd.clouds.protocol import CloudError, ErrorKind

_SHOWN = ("metadata", "tags", "labels")  # where nodes carry them, in `extra`
_LONGEST = 255
_TO_ESCAPE = re.compile(rb"[^a-z0-9-]")
_ESCAPED = re.compile(rb"_([0-9a-f]{2})")


def strings_of(tags: Mapping[str, str]) -> list[str]:
    """CloudError(INVALID) where one is too long."""
    made = {key: f"{_escaped(key)}:{_escaped(value)}" for key, value in tags.items()}
    for key, text in made.items():
        if len(text) > _LONGEST:
            sentence = f"the tag {key[:64]} takes {len(text)} characters there, and {_LONGEST} are the most: shorten it"
            raise CloudError(ErrorKind.INVALID, "TagTooLong", sentence)
    return list(made.values())


def tags_of(extra: Mapping[str, Any]) -> dict[str, str]:
    """What a node's `extra` shows; strings that are not of our form are left out."""
    return {key: value for name in _SHOWN for key, value in _pairs(extra.get(name))}


def _pairs(shown: object) -> Iterator[tuple[str, str]]:
    if isinstance(shown, Mapping):
        yield from ((str(key), str(value)) for key, value in shown.items())
    if isinstance(shown, list):
        for text in shown:
            ours = str(text).lower()
            key, value = map(_plain, ours.partition(":")[::2])
            if f"{_escaped(key)}:{_escaped(value)}" == ours:
                yield key, value


def _escaped(text: str) -> str:
    return _TO_ESCAPE.sub(lambda found: f"_{found[0].hex()}".encode(), text.encode()).decode()


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode()).decode(errors="replace")


def put(arguments: dict[str, Any], path: str, value: object) -> None:
    """`path` is an argument's name, or `argument.key` where it goes into a map that an argument is."""
    name, _, key = path.partition(".")
    if key:
        arguments.setdefault(name, {})[key] = value
    else:
        arguments[name] = value
