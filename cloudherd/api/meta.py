"""What every object has: metadata, conditions, the base of all models. Field names are camelCase on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

GROUP = "cloudherd.dev"
VERSION = "v1alpha1"

DnsLabel = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
DnsName = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]
Text = Annotated[str, StringConstraints(max_length=1024)]
ShortText = Annotated[str, StringConstraints(max_length=256)]


class ObjectKey(NamedTuple):
    """Where an object stands: unique for one kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Model(BaseModel):
    """Reads what it knows and ignores the rest, so that an older operator survives a newer CRD."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def wire(self) -> dict[str, Any]:
        """The JSON form that Kubernetes stores; fields that were never set are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Condition(Model):
    """A condition as metav1.Condition has it."""

    type: Annotated[str, StringConstraints(max_length=64)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, StringConstraints(max_length=64)]
    message: Annotated[str, StringConstraints(max_length=2048)] = ""
    last_transition_time: datetime
    observed_generation: Annotated[int, Field(ge=0)] = 0


class ObjectMeta(Model):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Resource(Model):
    """An object of one of our kinds. `kind` and `plural` name it; subclasses add spec and status."""

    kind: ClassVar[str]
    plural: ClassVar[str]

    metadata: ObjectMeta

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.metadata.namespace, self.metadata.name)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def age_base(self) -> float:
        """Creation time in Unix seconds by the API server's clock; 0 where it is not known."""
        created = self.metadata.creation_timestamp
        return created.timestamp() if created else 0.0

    def annotation(self, name: str) -> str:
        return self.metadata.annotations.get(f"{GROUP}/{name}", "")


def timestamp(now: float) -> str:
    """Unix seconds as Kubernetes writes times (whole seconds, UTC)."""
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
