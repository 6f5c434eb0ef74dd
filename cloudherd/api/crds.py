"""The CustomResourceDefinitions, made of the models: pydantic's JSON schema turned into a strict structural schema.

Pure. Refuses what Kubernetes' schemas cannot say instead of dropping it, so that no check is lost silently.
"""

from __future__ import annotations

from typing import Any

from cloudherd.api import CloudAccount, ClusterService, Context, Instance, Resource, VirtualCluster
from cloudherd.api.meta import GROUP, VERSION, Column
from cloudherd.api.schema import merged

Schema = dict[str, Any]
KINDS: tuple[type[Resource], ...] = (CloudAccount, Context, VirtualCluster, ClusterService, Instance)

_KEPT = {
    *("type", "format", "description", "default", "enum", "properties", "required", "items", "additionalProperties"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
}
_INT_OR_STRING = "x-kubernetes-int-or-string"
_FREE = "x-kubernetes-preserve-unknown-fields"


def definitions() -> dict[str, Schema]:
    """All CustomResourceDefinitions by plural name."""
    return {kind.plural: definition(kind) for kind in KINDS}


def definition(kind: type[Resource]) -> Schema:
    """The CustomResourceDefinition of one kind, as the API server takes it."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": structural(kind)},
        "subresources": {"status": {}, **({"scale": kind.scale} if kind.scale else {})},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    names = {"kind": kind.kind, "listKind": f"{kind.kind}List", "plural": kind.plural, "singular": kind.kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {**names, "shortNames": [kind.short], "categories": ["cloudherd"]},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def structural(kind: type[Resource]) -> Schema:
    """The structural schema of one kind. ValueError where a model says what such a schema cannot."""
    raw = kind.model_json_schema()
    schema = _node({**raw, "required": ["spec"]}, raw["$defs"], kind.kind)
    status = schema["properties"]["status"]  # holds only what somebody wrote, so that nothing differs from that
    schema["properties"] = {
        "apiVersion": {"type": "string", "maxLength": 64},
        "kind": {"type": "string", "maxLength": 63},
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": kind.name_limit}}},
        "spec": schema["properties"]["spec"],
        "status": {**_without_defaults(status), **({"default": status["default"]} if "default" in status else {})},
    }
    return schema


def _node(raw: Schema, definitions: dict[str, Schema], where: str) -> Schema:
    schema = _typed(raw, definitions, where)
    if unknown := {key for key in schema if key not in _KEPT and not key.startswith("x-kubernetes-")}:
        raise ValueError(f"{where}: no structural schema has {', '.join(sorted(unknown))}")
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if "default" in schema:
        schema["default"] = _without_nulls(schema["default"])
    if "properties" in schema:
        schema["properties"] = {
            name: _node(value, definitions, f"{where}.{name}") for name, value in schema["properties"].items()
        }
    if "items" in schema:  # no defaults there: `kubectl apply` compares whole lists and would find a change every time
        schema["items"] = _without_defaults(_node(schema["items"], definitions, f"{where}[]"))
    if "additionalProperties" in schema:
        schema["additionalProperties"] = _node(schema["additionalProperties"], definitions, f"{where}{{}}")
    return schema


def _typed(raw: Schema, definitions: dict[str, Schema], where: str) -> Schema:
    """Without references, alternatives and the keywords that only say otherwise what another one says."""
    schema = {key: value for key, value in raw.items() if key not in ("title", "$defs")}
    if "$ref" in schema:
        target = definitions[schema.pop("$ref").rsplit("/", 1)[1]]
        return _typed(merged(target, schema), definitions, where)
    if "anyOf" in schema:
        choices = [choice for choice in schema.pop("anyOf") if choice != {"type": "null"}]
        if schema.get(_INT_OR_STRING):
            return schema
        if len(choices) != 1:
            raise ValueError(f"{where}: a structural schema cannot say which of {len(choices)} types it is")
        return _typed(merged(choices[0], schema), definitions, where)
    if "default" in schema and schema["default"] is None:
        del schema["default"]  # the API server takes null for left out
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if schema.get("additionalProperties") is True:
        del schema["additionalProperties"]
        schema[_FREE] = True
    return schema


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _without_defaults(schema: Schema) -> Schema:
    slim = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in slim:
        slim["properties"] = {name: _without_defaults(value) for name, value in slim["properties"].items()}
    if "items" in slim:
        slim["items"] = _without_defaults(slim["items"])
    return slim


def _column(column: Column) -> Schema:
    wide = {"priority": 1} if column.wide else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.path, **wide}
