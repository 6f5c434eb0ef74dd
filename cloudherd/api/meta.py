"""What every object has: metadata, conditions, the base of all models. Field names are camelCase on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cloudherd.api.schema import Crd, named, text

GROUP = "cloudherd.dev"
VERSION = "v1alpha1"


class ObjectKey(NamedTuple):
    """Where an object stands: unique for one kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Model(BaseModel):
    """Reads what it knows and ignores the rest, so that an older operator survives a newer CRD."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,  # `kubectl explain` shows them
    )

    def wire(self) -> dict[str, Any]:
        """The JSON form that Kubernetes stores; fields that were never set are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Condition(Model):
    """A condition as metav1.Condition has it."""

    type: Annotated[str, text(64)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, text(64)]
    message: Annotated[str, text(2048)] = ""
    last_transition_time: datetime
    observed_generation: Annotated[int, Crd(minimum=0)] = 0


Conditions = Annotated[list[Condition], named(16, key="type")]


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


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`. `path` is a simple JSON path, of which the first result is shown; a `wide` one shows
    with `-o wide` only.
    """

    name: str
    path: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    wide: bool = False


AGE = Column("Age", ".metadata.creationTimestamp", "date")


def of_condition(type_: str, field: Literal["status", "reason", "message"]) -> str:
    """The JSON path of a field of a condition."""
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


class Resource(Model):
    """An object of one of our kinds. `kind` and `plural` name it; subclasses add spec and status. The rest of the class
    variables stands in its CRD only.
    """

    kind: ClassVar[str]
    plural: ClassVar[str]
    short: ClassVar[str]
    name_limit: ClassVar[int] = 253
    columns: ClassVar[tuple[Column, ...]]
    selectable: ClassVar[tuple[str, ...]] = ()
    scale: ClassVar[dict[str, str] | None] = None

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
