"""What the API server demands of a schema, and what people see of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from cloudherd.api.account import CloudAccount
from cloudherd.api.crds import KINDS, definition, definitions, structural
from cloudherd.api.fields import IntOrPercent, Options
from cloudherd.api.instance import Instance
from cloudherd.api.meta import AGE, Model, Resource
from cloudherd.api.schema import IMMUTABLE, RULES, Crd, Rule, immutable_but, named, text, validated
from cloudherd.api.service import ClusterService

SCHEMAS = {kind.kind: structural(kind) for kind in KINDS}


class Part(Model):
    """A part."""

    model_config = validated(Rule("self.size > 0", "size must be above 0", field=".size"))

    name: Annotated[str, text(63, "^[a-z]+$", "letters only")]
    size: Annotated[int, Crd(minimum=0)] = 1


class Spec(Model):
    parts: Annotated[list[Part], named(4), Crd(Rule("size(self) < 4", "three parts at most"))]
    first: Annotated[Part, Crd(Rule("true", "always"))] | None = None
    spare: Part = Part(name="spare")
    when: Literal["Now"] = "Now"
    share: IntOrPercent = "25%"
    options: Options = Field(default_factory=dict)
    label: Annotated[str, text(8)] | None = None


class Thing(Resource):
    kind = "Thing"
    plural = "things"
    short = "th"
    name_limit = 9
    columns = (AGE,)

    spec: Spec
    status: Part | None = None


THING = structural(Thing)
FIELDS = THING["properties"]["spec"]["properties"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key, step in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from nodes(schema[key], path + step)


def bounded(schema: dict[str, Any]) -> bool:
    match schema.get("type"):
        case "string":
            return "maxLength" in schema or "enum" in schema or schema.get("format") == "date-time"
        case "array":
            return "maxItems" in schema
        case "object":
            free = "additionalProperties" in schema or "x-kubernetes-preserve-unknown-fields" in schema
            return free != ("properties" in schema) and (not free or "maxProperties" in schema)
        case None:
            return schema["x-kubernetes-int-or-string"] is True and "maxLength" in schema
        case other:
            return other in {"integer", "number", "boolean"}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_everything_has_a_type_and_a_maximum(kind: str) -> None:
    assert [path for path, schema in nodes(SCHEMAS[kind]) if not bounded(schema)] == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_lists_of_conditions_are_maps_by_type(kind: str) -> None:
    conditions = SCHEMAS[kind]["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert set(conditions["items"]["required"]) == {"type", "status", "reason", "lastTransitionTime"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_columns_show_fields_that_exist(kind: type[Resource]) -> None:
    for column in kind.columns:
        path = re.sub(r"\[\?\(@\.type==\"[A-Za-z]+\"\)\]|\[0\]", "[]", column.path)
        known = {known for known, _ in nodes(SCHEMAS[kind.kind])}
        assert path in known or path == ".metadata.creationTimestamp", f"{kind.kind}: {column.name}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_message_is_the_last_column_so_that_it_pushes_none_away(kind: type[Resource]) -> None:
    assert kind.columns[-1].name == "Message"
    assert all(column.name != "Message" for column in kind.columns[:-1])


def test_every_kind_has_a_short_name_and_the_category() -> None:
    names = {plural: crd["spec"]["names"] for plural, crd in definitions().items()}
    assert {plural: name["shortNames"] for plural, name in names.items()} == {
        "cloudaccounts": ["acct"],
        "contexts": ["ctx"],
        "virtualclusters": ["vc"],
        "clusterservices": ["csvc"],
        "instances": ["inst"],
    }
    assert all(name["categories"] == ["cloudherd"] for name in names.values())


def test_only_a_cluster_service_scales() -> None:
    scaling = [plural for plural, crd in definitions().items() if "scale" in crd["spec"]["versions"][0]["subresources"]]
    assert scaling == [ClusterService.plural]


def test_instances_can_be_selected_by_what_they_are_part_of() -> None:
    fields = definition(Instance)["spec"]["versions"][0]["selectableFields"]
    assert [field["jsonPath"] for field in fields] == [
        ".spec.clusterName",
        ".spec.serviceName",
        ".spec.accountRef.name",
    ]


def test_an_instance_is_pending_by_default_and_no_other_status_has_a_default() -> None:
    defaults = {
        f"{kind}{path}": schema["default"]
        for kind, root in SCHEMAS.items()
        for path, schema in nodes(root)
        if path.startswith(".status") and "default" in schema
    }
    assert defaults == {"Instance.status": {"phase": "Pending"}}


def test_all_of_an_instance_but_its_power_state_is_immutable() -> None:
    fields = SCHEMAS["Instance"]["properties"]["spec"]["properties"]
    frozen = {name for name, field in fields.items() if any(rule["rule"] == IMMUTABLE for rule in field.get(RULES, []))}
    assert fields.keys() - frozen == {"powerState"}


def test_left_out_groups_are_shown_with_their_defaults() -> None:
    assert SCHEMAS["VirtualCluster"]["properties"]["spec"]["properties"]["updateStrategy"]["default"] == {
        "type": "RollingUpdate",
        "maxUnavailable": "25%",
        "maxSurge": 0,
    }


def test_references_are_written_out_with_the_rules_of_both_places() -> None:
    assert [rule["rule"] for rule in FIELDS["first"][RULES]] == ["self.size > 0", "true"]
    assert FIELDS["first"]["description"] == "A part."
    assert FIELDS["first"]["required"] == ["name"]


def test_a_named_list_keeps_the_rules_of_its_own_and_of_its_items() -> None:
    assert FIELDS["parts"]["x-kubernetes-list-type"] == "map"
    assert FIELDS["parts"]["x-kubernetes-list-map-keys"] == ["name"]
    assert [rule["rule"] for rule in FIELDS["parts"][RULES]] == ["size(self) < 4"]
    assert [rule["fieldPath"] for rule in FIELDS["parts"]["items"][RULES]] == [".size"]


def test_what_may_be_left_out_has_one_type_and_no_null() -> None:
    assert FIELDS["label"] == {"type": "string", "maxLength": 8}
    assert FIELDS["spare"]["default"] == {"name": "spare", "size": 1}


def test_items_of_lists_have_no_defaults_since_kubectl_apply_would_never_find_them_unchanged() -> None:
    assert "default" not in FIELDS["parts"]["items"]["properties"]["size"]
    assert FIELDS["first"]["properties"]["size"]["default"] == 1


def test_one_word_is_an_enumeration_of_one() -> None:
    assert FIELDS["when"] == {"type": "string", "enum": ["Now"], "default": "Now"}


def test_a_number_or_a_word_has_no_type() -> None:
    assert "type" not in FIELDS["share"]
    assert FIELDS["share"]["x-kubernetes-int-or-string"] is True


def test_free_options_are_preserved() -> None:
    assert FIELDS["options"] == {"type": "object", "maxProperties": 32, "x-kubernetes-preserve-unknown-fields": True}


def test_the_limit_of_a_name_stands_in_the_metadata() -> None:
    assert THING["properties"]["metadata"]["properties"] == {"name": {"type": "string", "maxLength": 9}}
    assert THING["required"] == ["spec"]


def test_what_no_structural_schema_can_say_is_refused() -> None:
    class Odd(Thing):
        spec: Annotated[Spec, Crd(oneOf=[{"required": ["label"]}])]

    with pytest.raises(ValueError, match=r"Thing\.spec: no structural schema has oneOf"):
        structural(Odd)


def test_a_choice_of_types_is_refused() -> None:
    class Torn(Model):
        size: int | bool

    class Odd(Resource):
        kind = "Odd"
        plural = "odds"
        short = "odd"
        columns = (AGE,)
        spec: Torn
        status: Part | None = None

    with pytest.raises(ValueError, match=r"Odd\.spec\.size: .* which of 2 types"):
        structural(Odd)


def test_an_optional_field_of_a_frozen_model_can_be_neither_added_nor_taken_out() -> None:
    class Record(Model):
        model_config = immutable_but("state", "never changes")

        id: str
        size: int | None = None
        state: str = ""

    schema = Record.model_json_schema()
    assert schema[RULES] == [{"rule": "has(self.size) == has(oldSelf.size)", "message": "each of size never changes"}]
    assert [name for name, field in schema["properties"].items() if RULES in field] == ["id", "size"]


def test_a_form_is_a_rule_whose_message_says_how_to_write_it() -> None:
    assert FIELDS["parts"]["items"]["properties"]["name"] == {
        "type": "string",
        "maxLength": 63,
        RULES: [{"rule": "self.matches('^[a-z]+$')", "message": "letters only"}],
    }


def test_every_rule_has_a_message_of_one_line() -> None:
    rules = [rule for root in SCHEMAS.values() for _, schema in nodes(root) for rule in schema.get(RULES, [])]
    assert rules
    assert all(rule["message"] and "\n" not in rule["message"] for rule in rules)


def test_the_schema_of_an_account_is_described_for_kubectl_explain() -> None:
    spec = structural(CloudAccount)["properties"]["spec"]["properties"]
    assert spec["unschedulable"]["description"] == "Cordon: keep what runs, place nothing new."
