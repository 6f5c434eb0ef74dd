"""Context: how a VM is contextualized; a template of user data with declared parameters."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from cloudherd.api.fields import ShortText, Text
from cloudherd.api.meta import AGE, Column, Conditions, Model, Resource, of_condition
from cloudherd.api.schema import Crd, Rule, named, text, validated

ParameterName = Annotated[
    str,
    text(
        63,
        "^[A-Za-z_][A-Za-z0-9_]*$",
        "the name of a parameter has only letters, digits and underscores and begins with no digit, since templates "
        "say parameters.<name>",
    ),
]
ParameterText = Annotated[str, text(8192)]


class Parameter(Model):
    model_config = validated(
        Rule(
            "!(has(self.required) && self.required && has(self.default))",
            "required and default exclude one another: a parameter with a default need not be given; take one out",
            field=".default",
        )
    )

    name: ParameterName
    default: ParameterText | None = None
    """What a service that does not give the parameter gets; left out and not required, the parameter is unknown."""
    required: bool = False
    secret: bool = False
    """Its value is shown nowhere."""
    description: Text = ""


class Part(Model):
    """One part of the user data; more than one become MIME multipart."""

    content_type: Annotated[
        str, text(128, "^[a-z]+/[-+.a-z0-9]+$", "write a content type like text/cloud-config or text/x-shellscript")
    ] = "text/cloud-config"
    template: Annotated[str, text(65536)]
    """Jinja: {{ parameters.pool }}, {{ services.master.address }}, {{ cluster.name }}, {{ site.account }}."""


class ContextSpec(Model):
    description: Text = ""
    parameters: Annotated[list[Parameter], named(64)] = Field(default_factory=list)
    parts: Annotated[list[Part], Crd(minItems=1, maxItems=16)]


class ContextStatus(Model):
    """`size` is the bytes that a rendering with sample values has; `revision` a hash of the spec."""

    observed_generation: int = 0
    revision: ShortText | None = None
    size: int | None = None
    conditions: Conditions = Field(default_factory=list)


class Context(Resource):
    """How a VM is contextualized: a template of user data with declared parameters."""

    kind: ClassVar[str] = "Context"
    plural: ClassVar[str] = "contexts"
    short: ClassVar[str] = "ctx"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Ready", of_condition("Ready", "status")),
        Column("Reason", of_condition("Ready", "reason")),
        Column("Size", ".status.size", "integer"),
        Column("Revision", ".status.revision", wide=True),
        AGE,
        Column("Message", of_condition("Ready", "message")),
    )

    spec: ContextSpec
    status: ContextStatus = Field(default_factory=ContextStatus)
