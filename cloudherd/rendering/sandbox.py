"""What a template can see and do: a jinja2 sandbox in which values have fields but no Python attributes.

The same source and values give the same text, in every process and on every machine. No value ever gets into an error:
a message shows only names that stand literally in the template, and names that Cloudherd or the Context declared.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Undefined
from jinja2.runtime import LoopContext, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Namespace, missing

from cloudherd.rendering.filters import FILTERS
from cloudherd.rendering.known import ROOTS, Known, RefusedError, names


class Unknown(StrictUndefined):
    """Any use but `is defined` and `default` is an error."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is missing:
            return f"`{self._undefined_name}` is not known; known are: {names(ROOTS)}"
        return f"`.{self._undefined_name}` is not known here"

    def __repr__(self) -> str:
        """An error too: this is how it would get into the text of a list."""
        return self._fail_with_undefined_error()

    @property
    def is_absent(self) -> bool:
        """Declared, but without a value: a template may ask for that with `is defined`."""
        return isinstance(self._undefined_obj, Known) and self._undefined_name in self._undefined_obj.absent


class Range:
    """`range`, bounded; a class because a function prints as its address, which is another one in every process."""

    def __call__(self, *bounds: int) -> range:
        return safe_range(*bounds)

    def __repr__(self) -> str:
        return "range"


class Sandbox(ImmutableSandboxedEnvironment):
    """Mappings have keys, lists have items, loops and namespaces have attributes; nothing else has anything."""

    def __init__(self) -> None:
        super().__init__(undefined=Unknown, autoescape=False, keep_trailing_newline=True, finalize=_printable)
        self.globals = {"range": Range(), "namespace": Namespace}
        self.filters = FILTERS.copy()

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`, which always stands literally in the template, so that an error may show it."""
        if isinstance(obj, (LoopContext, Namespace)):
            return super().getattr(obj, attribute)
        if isinstance(obj, dict):
            return self._field(obj, attribute, literal=True)
        _fail_if_unknown(obj)
        return self.undefined(
            f"`.{attribute}` is not known: {_kind(obj)} has no fields or methods here; there are filters instead, "
            "such as `| upper`"
        )

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`, which may be a value and is never shown."""
        if isinstance(obj, dict):
            return self._field(obj, argument, literal=False)
        _fail_if_unknown(obj)
        if not isinstance(obj, (str, list, tuple, range)) or not isinstance(argument, (int, slice)):
            return self.undefined(f"what stands in the brackets is not known: {_kind(obj)} has no such field")
        try:
            return obj[argument]
        except IndexError:
            return self.undefined(f"what stands in the brackets is not known: {_kind(obj)} is shorter than that")

    def _field(self, mapping: dict[str, Any], key: Any, *, literal: bool) -> Any:
        if key in mapping:
            return mapping[key]
        if not isinstance(mapping, Known):
            return self.undefined(
                f"`.{key}` is not known here" if literal else "what stands in the brackets is not known here"
            )
        path = f"{mapping.path}.{key}" if literal else f"{mapping.path}[...]"
        if key in mapping.absent:
            hint = f"`{path}` has no value: none was given and there is no default"
            return self.undefined(hint, obj=mapping, name=key)
        return self.undefined(f"`{path}` is not known; known are: {names(mapping.keys() | mapping.absent)}")


def _fail_if_unknown(obj: Any) -> None:
    if isinstance(obj, Undefined):
        obj._fail_with_undefined_error()


def _kind(obj: Any) -> str:
    if isinstance(obj, str):
        return "text"
    if isinstance(obj, (int, float)):
        return "a number"
    return "a list" if isinstance(obj, (list, tuple, range)) else "this"


def _printable(value: Any) -> Any:
    """What `{{ }}` prints: true and false as YAML, JSON and shells spell them, and nothing that is not data."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float, list, tuple, dict, Undefined)):
        return value
    raise RefusedError("what stands in the braces is no text, number or list")
