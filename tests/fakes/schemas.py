"""The structural part of our CRDs, as the API server applies it: unknown fields pruned, defaults, types and bounds.

The CEL rules are not evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from cloudherd.api.meta import GROUP
from cloudherd.runtime.ports import ApiError, Kind, Object

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CRDS = Path(__file__).parents[2] / "crds"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_BOUNDS = ("minLength", "maxLength", "minItems", "maxItems", "maxProperties", "minimum", "maximum")
_ROOT = ("apiVersion", "kind", "metadata")


@cache
def _versions() -> dict[str, Any]:
    """The served version of every CRD, by plural."""
    crds = [yaml.load(path.read_text(), _LOADER) for path in sorted(_CRDS.glob("*.yaml"))]
    return {crd["spec"]["names"]["plural"]: crd["spec"]["versions"][0] for crd in crds}


def check_served(kind: Kind) -> None:
    if kind.group == GROUP and kind.plural not in _versions():
        raise ApiError("NotServed", f"the server does not know {kind.plural}.{kind.group}", 404)


def has_subresource(kind: Kind, name: str) -> bool:
    return name in _versions().get(kind.plural, {}).get("subresources", {})


def conform(kind: Kind, obj: Object) -> None:
    """Prunes and completes an object of one of our kinds, in place. Invalid where it breaks its schema."""
    schema = _versions()[kind.plural]["schema"]["openAPIV3Schema"]
    fields = {key: child for key, child in schema["properties"].items() if key not in _ROOT}
    root = {key: obj.pop(key) for key in _ROOT if key in obj}
    given = {key: obj.get(key) for key, child in fields.items() if key in obj or child.get("default") is not None}
    obj.clear()
    problems = [f".{key}: required" for key in schema.get("required", ()) if key not in given]
    for key, value in given.items():
        default = fields[key].get("default")
        text, wrong = _conformed(kind.plural, key, json.dumps(default if value is None else value))
        obj[key] = json.loads(text)
        problems += wrong
    name = schema["properties"]["metadata"]["properties"]["name"]
    problems += _problems(name, root["metadata"]["name"], ".metadata.name")
    obj |= root
    if problems:
        raise ApiError("Invalid", f'{kind.kind} "{root["metadata"]["name"]}" is invalid: {", ".join(problems)}', 422)


@lru_cache(maxsize=8192)
def _conformed(plural: str, field: str, text: str) -> tuple[str, tuple[str, ...]]:
    """A field of an object, pruned and completed, and what is wrong with it: most writes leave most of them alone."""
    schema = _versions()[plural]["schema"]["openAPIV3Schema"]["properties"][field]
    value = json.loads(text)
    _prune(schema, value)
    _default(schema, value)
    return json.dumps(value), tuple(_problems(schema, value, f".{field}"))


def _children(schema: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield schema.get("properties", {}).get(key) or schema.get("additionalProperties") or {}, child
    elif isinstance(value, list):
        for child in value:
            yield schema.get("items", {}), child


def _prune(schema: Any, value: Any) -> None:
    if isinstance(value, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        properties = schema.get("properties", {})
        for key in [key for key in value if key not in properties and "additionalProperties" not in schema]:
            del value[key]
    for child_schema, child in _children(schema, value):
        if child_schema:
            _prune(child_schema, child)


def _default(schema: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if value.get(key) is None and child.get("default") is not None:
                default = child["default"]
                value[key] = dict(default) if isinstance(default, dict) else default
    for child_schema, child in _children(schema, value):
        _default(child_schema, child)


def _problems(schema: Any, value: Any, path: str) -> Iterator[str]:
    """What is wrong, by path; never with the value."""
    wanted = schema.get("type")
    if wanted and (not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        yield f"{path}: must be of type {wanted}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: unsupported value"
    for bound in _BOUNDS:
        if bound in schema and not _within(bound, schema[bound], value):
            yield f"{path}: {bound} is {schema[bound]}"
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{path}.{key}: required"
    keys = list(value) if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key, (child_schema, child) in zip(keys, _children(schema, value), strict=True):
        yield from _problems(child_schema, child, f"{path}.{key}")


def _within(bound: str, limit: float, value: Any) -> bool:
    if bound in ("minLength", "maxLength") and not isinstance(value, str):
        return True  # an int-or-string that is an int
    measure = value if bound in ("minimum", "maximum") else len(value)
    return bool(measure >= limit if bound.startswith("min") else measure <= limit)
