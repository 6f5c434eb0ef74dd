"""Label selectors choose as Kubernetes' own do."""

from __future__ import annotations

from typing import Any

import pytest

from cloudherd.api.selector import LabelSelector

LABELS = {"region": "us", "tier": "burst"}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({}, True),
        ({"matchLabels": {"region": "us"}}, True),
        ({"matchLabels": {"region": "ch"}}, False),
        ({"matchLabels": {"region": "us", "tier": "home"}}, False),
        ({"matchLabels": {"zone": ""}}, False),
        (expression("region", "In", "ch", "us"), True),
        (expression("region", "In", "ch"), False),
        (expression("zone", "In", "a"), False),
        (expression("region", "NotIn", "ch"), True),
        (expression("region", "NotIn", "us"), False),
        (expression("zone", "NotIn", "a"), True),
        (expression("tier", "Exists"), True),
        (expression("zone", "Exists"), False),
        (expression("zone", "DoesNotExist"), True),
        (expression("tier", "DoesNotExist"), False),
        ({"matchLabels": {"region": "us"}, **expression("tier", "NotIn", "burst")}, False),
    ],
)
def test_a_selector_matches_what_meets_all_of_it(selector: dict[str, Any], matches: bool) -> None:
    assert LabelSelector.model_validate(selector).matches(LABELS) is matches


def test_an_empty_selector_matches_what_has_no_labels() -> None:
    assert LabelSelector().matches({})
