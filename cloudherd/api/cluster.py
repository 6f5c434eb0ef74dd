"""VirtualCluster: what the user writes; services of VMs and where they may run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cloudherd.api.account import SecretRef
from cloudherd.api.context import ParameterText
from cloudherd.api.fields import (
    Count,
    DnsLabel,
    DnsName,
    IntOrPercent,
    Replicas,
    ShortText,
    Text,
    Timeout,
)
from cloudherd.api.machine import Machine
from cloudherd.api.meta import AGE, Column, Conditions, Model, Resource, of_condition
from cloudherd.api.schema import IMMUTABLE, Crd, Rule, named, validated
from cloudherd.api.selector import LabelSelector

BOUNDS = (
    Rule(
        "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
        "minReplicas must not be above maxReplicas: lower the one or raise the other",
        field=".minReplicas",
    ),
    Rule(
        "!has(self.replicas) || !has(self.minReplicas) || self.replicas >= self.minReplicas",
        "replicas must not be below minReplicas: ask for more or lower minReplicas",
        field=".replicas",
    ),
    Rule(
        "!has(self.replicas) || !has(self.maxReplicas) || self.replicas <= self.maxReplicas",
        "replicas must not be above maxReplicas: ask for less or raise maxReplicas",
        field=".replicas",
    ),
)


class NameRef(Model):
    name: DnsName


class ParametersSource(Model):
    secret_ref: SecretRef


class Readiness(Model):
    when: Literal["Running"] = "Running"
    timeout: Timeout = "10m"
    """A VM that is not ready by then has failed and is replaced."""


class Service(Model):
    model_config = validated(
        *BOUNDS,
        Rule(
            "!has(self.dependsOn) || !(self.name in self.dependsOn)",
            "a service cannot depend on itself: take its own name out of dependsOn",
            field=".dependsOn",
        ),
    )

    name: DnsLabel
    type: Annotated[
        Literal["Fixed", "Scalable"],
        Crd(Rule(IMMUTABLE, "the type of a service is immutable: add a service by another name and take this one out")),
    ]
    """Fixed: one copy of the service at every site. Scalable: its VMs are spread over the sites."""
    replicas: Replicas | None = None
    """The VMs asked for (of a Fixed service: at every site). Left out, the ClusterService's own count rules (kubectl
    scale, autoscalers).
    """
    min_replicas: Replicas | None = None
    """The lower bound of replicas; no guarantee."""
    max_replicas: Replicas | None = None
    """The upper bound of replicas."""
    depends_on: Annotated[list[DnsLabel], Crd(maxItems=8, x_kubernetes_list_type="set")] = Field(default_factory=list)
    """Fixed services whose VMs must be ready at a site before one of this service starts there."""
    context_ref: NameRef
    """The Context, in this namespace, of which the VMs' user data is rendered."""
    parameters: Annotated[dict[str, ParameterText], Crd(maxProperties=64)] = Field(default_factory=dict)
    """Values for the Context's parameters."""
    parameters_from: Annotated[list[ParametersSource], Crd(maxItems=8)] = Field(default_factory=list)
    """Opaque Secrets of this namespace whose keys are values for the Context's parameters."""
    machine: Machine
    readiness: Readiness = Readiness()

    @property
    def fixed(self) -> bool:
        return self.type == "Fixed"


class AccountEntry(Model):
    """Accounts by name or by selector, in the cluster's namespace unless `namespace` says another."""

    model_config = validated(
        Rule(
            "has(self.name) != has(self.selector)",
            "an entry of accounts has either name or selector: give one of them, and only one",
        )
    )

    name: DnsName | None = None
    selector: LabelSelector | None = None
    namespace: DnsLabel | None = None
    max_instances: Count | None = None
    """The most VMs of this cluster on one account, those of Fixed services included."""


class Burst(Model):
    enabled: bool = True
    min_instances: Annotated[int, Crd(minimum=1, maximum=10_000)] = 1
    """No further site is opened for fewer VMs of Scalable services than this."""
    max_sites: Annotated[int, Crd(minimum=1, maximum=1_000)] | None = None
    """The most sites in all; left out, no limit."""


class Placement(Model):
    accounts: Annotated[list[AccountEntry], Crd(minItems=1, maxItems=64)]
    """In order of preference."""
    strategy: Literal["Ordered", "Balanced"] = "Ordered"
    """Ordered: fill one site, then burst to the next. Balanced: as many VMs at each."""
    burst: Burst = Burst()


class UpdateStrategy(Model):
    """Counted per service (Fixed: per site)."""

    model_config = validated(
        Rule(
            """(self.maxUnavailable != 0 && self.maxUnavailable != '0%')
                || (self.maxSurge != 0 && self.maxSurge != '0%')""",
            "maxUnavailable and maxSurge must not both be 0, since nothing could be replaced then: raise one of them",
            field=".maxUnavailable",
        )
    )

    type: Literal["RollingUpdate", "OnDelete"] = "RollingUpdate"
    max_unavailable: IntOrPercent = "25%"
    max_surge: IntOrPercent = 0


def _no_dependency(wrong: str, message: str) -> Rule:
    """`wrong` says in CEL which dependency is refused: that of the service `s` on the name `d`. `message` has a %s for
    the first service that has one.
    """
    bad = f"has(s.dependsOn) && s.dependsOn.exists(d, {wrong})"
    return Rule(
        f"!self.exists(s, {bad})",
        message.replace("%s", "a service"),
        details=f"'{message}'.format([self.filter(s, {bad})[0].name])",
    )


_DEPENDENCIES = (
    _no_dependency(
        "!self.exists(o, o.name == d)",
        "dependsOn of %s names a service that is not in spec.services: add it there or take it out of dependsOn",
    ),
    _no_dependency(
        "self.exists(o, o.name == d && o.type == 'Scalable')",
        "dependsOn of %s names a Scalable service: take it out; every site has only the Fixed ones",
    ),
    _no_dependency(
        "d != s.name && self.exists(o, o.name == d && has(o.dependsOn) && s.name in o.dependsOn)",
        "dependsOn of %s names a service that itself depends on it: take the one out of the dependsOn of the other",
    ),
)


class ClusterSpec(Model):
    services: Annotated[list[Service], named(32, minItems=1), Crd(*_DEPENDENCIES)]
    placement: Placement
    update_strategy: UpdateStrategy = UpdateStrategy()
    paused: bool = False
    """Stop all but deletion and status."""

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
    """`failures` are those in a row of a fixed service that was never ready there."""

    account_ref: AccountKeyRef
    state: Literal["Opening", "Open", "Closing", "Closed"]
    instances: int = 0
    ready: int = 0
    failures: int = 0
    retry_after: datetime | None = None
    reason: Text = ""
    flavors: Annotated[dict[str, ShortText], Crd(maxProperties=64)] = Field(default_factory=dict)
    """The flavor that was found by `machine.resources`, by service."""


class ClusterStatus(Model):
    observed_generation: int = 0
    services: Annotated[list[ServiceCount], named(64)] = Field(default_factory=list)
    sites: Annotated[list[SiteStatus], Crd(maxItems=1024)] = Field(default_factory=list)
    conditions: Conditions = Field(default_factory=list)


class VirtualCluster(Resource):
    """A cluster of VMs in services, kept alive across many clouds."""

    model_config = validated(
        Rule(
            "!self.metadata.name.contains('.')",
            "metadata.name must have no dots, since host names of VMs are made of it",
            field=".metadata.name",
        ),
        Rule(
            "self.spec.services.all(s, size(self.metadata.name) + size(s.name) <= 46)",
            "metadata.name and each name in spec.services may have 46 characters together: shorten one",
            field=".metadata.name",
            details="""'metadata.name and %s in spec.services have more than 46 characters together: shorten one'
                .format([self.spec.services.filter(s, size(self.metadata.name) + size(s.name) > 46)[0].name])""",
        ),
    )

    kind: ClassVar[str] = "VirtualCluster"
    plural: ClassVar[str] = "virtualclusters"
    short: ClassVar[str] = "vc"
    name_limit: ClassVar[int] = 45
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Ready", of_condition("Ready", "status")),
        Column("Reason", of_condition("Ready", "reason")),
        Column("Placed", of_condition("Placed", "status")),
        Column("Progressing", of_condition("Progressing", "status"), wide=True),
        Column("Strategy", ".spec.placement.strategy", wide=True),
        Column("Paused", ".spec.paused", "boolean", wide=True),
        AGE,
        Column("Message", of_condition("Ready", "message")),
    )

    spec: ClusterSpec
    status: ClusterStatus = Field(default_factory=ClusterStatus)
