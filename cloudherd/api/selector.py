"""Label selectors as metav1 has them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cloudherd.api.fields import LabelValue
from cloudherd.api.meta import Model
from cloudherd.api.schema import Crd, Rule, text, validated


class LabelSelectorRequirement(Model):
    model_config = validated(
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "In and NotIn need values; Exists and DoesNotExist take none",
            field=".values",
        )
    )

    key: Annotated[str, text(317, minLength=1)]
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[list[LabelValue], Crd(maxItems=16)] = Field(default_factory=list)


class LabelSelector(Model):
    """A label selector as metav1 has it; an empty one matches everything."""

    match_labels: Annotated[dict[str, LabelValue], Crd(maxProperties=32)] = Field(default_factory=dict)
    match_expressions: Annotated[list[LabelSelectorRequirement], Crd(maxItems=16)] = Field(default_factory=list)

    def matches(self, labels: dict[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            _holds(requirement, labels) for requirement in self.match_expressions
        )


def _holds(requirement: LabelSelectorRequirement, labels: dict[str, str]) -> bool:
    present = requirement.key in labels
    match requirement.operator:
        case "Exists":
            return present
        case "DoesNotExist":
            return not present
        case "In":
            return present and labels[requirement.key] in requirement.values
        case "NotIn":
            return not present or labels[requirement.key] not in requirement.values
