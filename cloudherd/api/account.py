"""CloudAccount: one set of credentials at one cloud, with what it may hold (the Node of this system)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from cloudherd.api.meta import Condition, DnsName, Model, Resource, ShortText, Text
from cloudherd.api.quantity import DURATION_PATTERN, QUANTITY_PATTERN, parse_quantity

Quantity = Annotated[
    str | int, Field(json_schema_extra={"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN})
]
Duration = Annotated[str, StringConstraints(max_length=32, pattern=DURATION_PATTERN)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class SecretRef(Model):
    name: DnsName


class Quota(Model):
    """Our own ceilings, on top of the cloud's; each left out is no ceiling."""

    instances: Count | None = None
    cpus: Quantity | None = None
    memory: Quantity | None = None

    @property
    def memory_bytes(self) -> float | None:
        return None if self.memory is None else parse_quantity(self.memory)

    @property
    def cpu_count(self) -> float | None:
        return None if self.cpus is None else parse_quantity(self.cpus)


class LabelSelectorRequirement(Model):
    key: ShortText
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[list[ShortText], Field(max_length=32)] = Field(default_factory=list)


class LabelSelector(Model):
    """A label selector as metav1 has it; an empty one matches everything."""

    match_labels: Annotated[dict[str, ShortText], Field(max_length=32)] = Field(default_factory=dict)
    match_expressions: Annotated[list[LabelSelectorRequirement], Field(max_length=16)] = Field(default_factory=list)

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


class AllowedNamespaces(Model):
    """Who may place Instances on an account, as Gateway API's allowedRoutes has it."""

    from_: Literal["Same", "All", "Selector"] = Field("Same", alias="from")
    selector: LabelSelector | None = None


class Network(Model):
    """Where a VM's ports go; what is left out is the cloud's default."""

    name: ShortText | None = None
    security_groups: Annotated[list[ShortText], Field(max_length=16)] = Field(default_factory=list)
    public_address: bool = False


class SimulatedSettings(Model):
    """The simulated cloud of one account; a change acts on the running cloud at once."""

    capacity: Annotated[Count | None, Field(description="VMs that the cloud can hold; left out, no limit")] = None
    boot_seconds: Annotated[float, Field(ge=0, le=86400)] = 0
    latency_seconds: Annotated[float, Field(ge=0, le=600)] = 0
    listing_lag_seconds: Annotated[float, Field(ge=0, le=3600)] = 0
    limits_readable: Annotated[bool, Field(description="false: the capacity is learnt by being refused only")] = True


class AccountSpec(Model):
    provider: Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    region: ShortText | None = None
    endpoint: Text | None = None
    credentials_ref: SecretRef | None = None
    quota: Quota = Field(default_factory=Quota)
    allowed_namespaces: AllowedNamespaces = Field(default_factory=AllowedNamespaces)
    flavors: Annotated[dict[str, ShortText], Field(max_length=64)] = Field(default_factory=dict)
    images: Annotated[dict[str, ShortText], Field(max_length=64)] = Field(default_factory=dict)
    network: Network = Field(default_factory=Network)
    unschedulable: bool = False
    poll_interval: Duration = "60s"
    changing_poll_interval: Duration = "2s"
    options: Annotated[dict[str, Any], Field(max_length=32)] = Field(default_factory=dict)
    simulated: SimulatedSettings | None = None


class FullMark(Model):
    """A lack of capacity that blocks while it stands. An empty flavor fills the whole account. Only the agent sets
    and removes it.
    """

    flavor: ShortText = ""
    image: ShortText = ""
    until: datetime
    reason: ShortText
    message: ShortText = ""


class FlavorStatus(Model):
    """A flavor of the manifest as the cloud knows it: `id` is the cloud's own, `memory` a quantity."""

    name: ShortText
    id: ShortText
    cpus: float = 0
    memory: Annotated[str, StringConstraints(max_length=32)] = "0"

    @property
    def memory_bytes(self) -> float:
        return parse_quantity(self.memory)


class Limit(Model):
    """What the cloud itself allows or holds; left out where it does not say."""

    instances: int | None = None
    cpus: float | None = None
    memory: Annotated[str, StringConstraints(max_length=32)] | None = None

    @property
    def memory_bytes(self) -> float | None:
        return None if self.memory is None else parse_quantity(self.memory)


class Usage(Model):
    instances: int = 0
    cpus: float = 0
    memory: Annotated[str, StringConstraints(max_length=32)] = "0"

    @property
    def memory_bytes(self) -> float:
        return parse_quantity(self.memory)


class AccountStatus(Model):
    observed_generation: int = 0
    scope: ShortText | None = None
    limit: Limit | None = None
    used: Usage | None = None
    foreign: Usage | None = None
    full: Annotated[list[FullMark], Field(max_length=128)] = Field(default_factory=list)
    flavors: Annotated[list[FlavorStatus], Field(max_length=64)] = Field(default_factory=list)
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class CloudAccount(Resource):
    kind: ClassVar[str] = "CloudAccount"
    plural: ClassVar[str] = "cloudaccounts"

    spec: AccountSpec
    status: AccountStatus = Field(default_factory=AccountStatus)
