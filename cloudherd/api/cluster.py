"""VirtualCluster: what the user writes; services of VMs and where they may run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from cloudherd.api.account import Count, Duration, LabelSelector, SecretRef
from cloudherd.api.meta import Condition, DnsLabel, DnsName, Model, Resource, ShortText, Text

Replicas = Annotated[int, Field(ge=0, le=10_000)]
Tags = Annotated[dict[str, ShortText], Field(max_length=32)]
Options = Annotated[dict[str, Any], Field(max_length=32)]
IntOrPercent = Annotated[
    int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True, "pattern": r"^(100|[1-9]?[0-9])%$"})
]


class NameRef(Model):
    name: DnsName


class ParametersSource(Model):
    secret_ref: SecretRef


class MachineOverride(Model):
    """What is different at one cloud: matched by provider, by account (`namespace.name` or a name), or both; the last
    match wins.
    """

    provider: ShortText | None = None
    account: ShortText | None = None
    flavor: ShortText | None = None
    image: ShortText | None = None
    options: Options = Field(default_factory=dict)


class Machine(Model):
    """`flavor` and `image` are names that accounts translate."""

    flavor: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    image: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    tags: Tags = Field(default_factory=dict)
    options: Options = Field(default_factory=dict)
    deletion_grace: Duration = "0s"
    overrides: Annotated[list[MachineOverride], Field(max_length=16)] = Field(default_factory=list)


class Readiness(Model):
    when: Literal["Running"] = "Running"
    timeout: Duration = "10m"


class Service(Model):
    name: DnsLabel
    type: Literal["Fixed", "Scalable"]
    replicas: Replicas | None = None
    min_replicas: Replicas | None = None
    max_replicas: Replicas | None = None
    depends_on: Annotated[list[DnsLabel], Field(max_length=8)] = Field(default_factory=list)
    context_ref: NameRef
    parameters: Annotated[dict[str, Text], Field(max_length=64)] = Field(default_factory=dict)
    parameters_from: Annotated[list[ParametersSource], Field(max_length=8)] = Field(default_factory=list)
    machine: Machine
    readiness: Readiness = Field(default_factory=Readiness)

    @property
    def fixed(self) -> bool:
        return self.type == "Fixed"


class AccountEntry(Model):
    """Accounts by name or by selector, in the cluster's namespace unless `namespace` says another."""

    name: DnsName | None = None
    selector: LabelSelector | None = None
    namespace: DnsLabel | None = None
    max_instances: Count | None = None


class Burst(Model):
    enabled: bool = True
    min_instances: Annotated[int, Field(ge=1, le=10_000)] = 1
    max_sites: Annotated[int, Field(ge=1, le=1_000)] | None = None


class Placement(Model):
    accounts: Annotated[list[AccountEntry], Field(min_length=1, max_length=64)]
    strategy: Literal["Ordered", "Balanced"] = "Ordered"
    burst: Burst = Field(default_factory=Burst)


class UpdateStrategy(Model):
    type: Literal["RollingUpdate", "OnDelete"] = "RollingUpdate"
    max_unavailable: IntOrPercent = "25%"
    max_surge: IntOrPercent = 0


class ClusterSpec(Model):
    services: Annotated[list[Service], Field(min_length=1, max_length=32)]
    placement: Placement
    update_strategy: UpdateStrategy = Field(default_factory=UpdateStrategy)
    paused: bool = False

    def service(self, name: str) -> Service | None:
        return next((service for service in self.services if service.name == name), None)


class ServiceCount(Model):
    name: DnsLabel
    desired: int
    current: int
    ready: int
    updated: int


class AccountKeyRef(Model):
    namespace: DnsLabel
    name: DnsName


class SiteStatus(Model):
    """`state` is Open, Opening, Closing or Closed; `failures` in a row of a fixed service that was never ready there."""

    account_ref: AccountKeyRef
    state: Literal["Opening", "Open", "Closing", "Closed"]
    instances: int = 0
    ready: int = 0
    failures: int = 0
    retry_after: datetime | None = None
    reason: Text = ""


class ClusterStatus(Model):
    observed_generation: int = 0
    services: Annotated[list[ServiceCount], Field(max_length=32)] = Field(default_factory=list)
    sites: Annotated[list[SiteStatus], Field(max_length=1024)] = Field(default_factory=list)
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class VirtualCluster(Resource):
    kind: ClassVar[str] = "VirtualCluster"
    plural: ClassVar[str] = "virtualclusters"

    spec: ClusterSpec
    status: ClusterStatus = Field(default_factory=ClusterStatus)
