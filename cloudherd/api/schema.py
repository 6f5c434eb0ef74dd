"""What the models say to the API server only: keywords and CEL rules of the CRDs' schemas.

Reading never checks any of this, so that an object which a newer CRD allows, or an older one allowed, can still be
read. What a reader could not go on without (a type, a known word, a duration that is one) is pydantic's to check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema

RULES = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule. `message` names the way out; `field` (`.minReplicas`) is the field to blame below the one that bears
    the rule; `details` is a CEL expression that says more than `message`, which stands in where it cannot be evaluated.
    """

    rule: str
    message: str
    field: str = ""
    details: str = ""

    def wire(self) -> dict[str, Any]:
        texts = {
            "rule": self.rule,
            "message": self.message,
            "messageExpression": self.details,
            "fieldPath": self.field,
        }
        return {key: " ".join(text.split()) for key, text in texts.items() if text}


class Crd:
    """An annotation of a type or a field: its rules, and keywords as OpenAPI spells them, dashes for underscores in
    `x_kubernetes_...`.
    """

    def __init__(self, *rules: Rule, **keywords: Any) -> None:
        self.keywords = {_spelt(key): value for key, value in keywords.items()}
        if rules:
            self.keywords[RULES] = [rule.wire() for rule in rules]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return merged(handler(core_schema), self.keywords)


def _spelt(keyword: str) -> str:
    return keyword.replace("_", "-") if keyword.startswith("x_kubernetes_") else keyword


def merged(schema: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both schemas; the second wins, but rules add up."""
    both = [*schema.get(RULES, []), *more.get(RULES, [])]
    return {**schema, **more, **({RULES: both} if both else {})}


def text(limit: int, pattern: str = "", message: str = "", **keywords: Any) -> Crd:
    """A string of at most `limit` characters that matches `pattern`; `message` says how to write it.

    A rule and not the keyword `pattern`, because the API server answers that one with the bare expression.
    """
    rules = [Rule(f"self.matches('{pattern}')", message)] if pattern else []
    return Crd(*rules, maxLength=limit, **keywords)


def named(limit: int, key: str = "name", **keywords: Any) -> Crd:
    """A list whose items are told apart by `key`: no two alike, and each has a history that rules can compare."""
    return Crd(maxItems=limit, x_kubernetes_list_type="map", x_kubernetes_list_map_keys=[key], **keywords)


def validated(*rules: Rule) -> ConfigDict:
    """The `model_config` of a model with rules."""
    return ConfigDict(json_schema_extra={RULES: [rule.wire() for rule in rules]})


IMMUTABLE = "self == oldSelf"


def immutable_but(mutable: str, why: str) -> ConfigDict:
    """The `model_config` of a model of which only one field may ever change; `why` goes on after a field's name."""

    def mark(schema: dict[str, Any]) -> None:
        fields = {name: field for name, field in schema["properties"].items() if name != mutable}
        for name, field in fields.items():
            schema["properties"][name] = merged(field, {RULES: [Rule(IMMUTABLE, f"{name} {why}").wire()]})
        optional = [name for name in fields if name not in schema["required"]]
        there = " && ".join(f"has(self.{name}) == has(oldSelf.{name})" for name in optional)
        schema[RULES] = [Rule(there, f"each of {', '.join(optional)} {why}").wire()]

    return ConfigDict(json_schema_extra=mark)
