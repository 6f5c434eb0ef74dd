"""Context: how a VM is contextualized; a template of user data with declared parameters."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from cloudherd.api.meta import Condition, Model, Resource, ShortText, Text

ParameterName = Annotated[str, StringConstraints(max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Parameter(Model):
    name: ParameterName
    default: Text | None = None
    required: bool = False
    secret: bool = False
    description: Text = ""


class Part(Model):
    """One part of the user data; more than one become MIME multipart."""

    content_type: Annotated[str, StringConstraints(max_length=128, pattern=r"^[a-z]+/[-+.a-z0-9]+$")] = (
        "text/cloud-config"
    )
    template: Annotated[str, StringConstraints(max_length=65536)]


class ContextSpec(Model):
    description: Text = ""
    parameters: Annotated[list[Parameter], Field(max_length=64)] = Field(default_factory=list)
    parts: Annotated[list[Part], Field(min_length=1, max_length=16)]


class ContextStatus(Model):
    """`size` is the bytes that a rendering with sample values has; `revision` a hash of the spec."""

    observed_generation: int = 0
    revision: ShortText | None = None
    size: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class Context(Resource):
    kind: ClassVar[str] = "Context"
    plural: ClassVar[str] = "contexts"

    spec: ContextSpec
    status: ContextStatus = Field(default_factory=ContextStatus)
