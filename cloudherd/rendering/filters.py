"""What templates can do with values: those of jinja2's filters that always give the same text, and a few that user data
needs. Pure; they refuse what cannot be done instead of giving something else, and never say what they were given.
"""

from __future__ import annotations

import functools
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jinja2.filters
from jinja2 import Undefined

from cloudherd.rendering.known import RefusedError, Text

OFFERED = (
    *("abs", "batch", "capitalize", "count", "d", "default", "dictsort", "first", "format", "groupby", "indent"),
    *("items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace"),
    *("reverse", "round", "select", "selectattr", "slice", "sort", "string", "sum", "title", "trim", "truncate"),
    *("unique", "upper", "urlencode", "wordwrap"),
)
REQUIRED = object()


def integer(value: Any, default: Any = REQUIRED) -> Any:
    """A whole number; what is none is an error unless there is a default, where jinja2's own says 0."""
    return _number(int, value, default, "`| int` was given something that is no whole number")


def decimal(value: Any, default: Any = REQUIRED) -> Any:
    return _number(float, value, default, "`| float` was given something that is no number")


def tojson(value: Any, indent: int | None = None) -> str:
    """JSON, and so YAML, without the escapes for HTML that jinja2's own adds."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent, default=_not_json)


def split(value: Any, separator: str | None = None) -> list[Text]:
    return [Text(piece) for piece in str(value).split(separator)]


def base64(value: Any) -> str:
    return b64encode(str(value).encode()).decode()


def _number(kind: Callable[[Any], Any], value: Any, default: Any, refusal: str) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        if default is REQUIRED:
            raise RefusedError(refusal) from None
        return default


def _not_json(value: Any) -> NoReturn:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    raise RefusedError("`| tojson` was given something that is no text, number, list or mapping")


def _settled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose text is Text again, and whose generators are lists: a generator prints as its address."""

    @functools.wraps(function)
    def settled(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, str):
            return Text(result)
        return list(result) if isinstance(result, Iterator) else result

    return settled


_OWN: dict[str, Callable[..., Any]] = {
    "b64encode": base64,
    "float": decimal,
    "int": integer,
    "split": split,
    "tojson": tojson,
}
FILTERS = {
    name: _settled(function)
    for name, function in ({name: jinja2.filters.FILTERS[name] for name in OFFERED} | _OWN).items()
}
