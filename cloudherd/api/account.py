"""CloudAccount: one set of credentials at one cloud, with what it may hold (the Node of this system)."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cloudherd.api.fields import (
    CloudName,
    Count,
    DnsLabel,
    DnsName,
    Duration,
    MemoryQuantity,
    MemoryText,
    Options,
    Quantity,
    ShortText,
    Text,
    duration_between,
)
from cloudherd.api.meta import AGE, Column, Conditions, Model, Resource, of_condition
from cloudherd.api.quantity import parse_quantity
from cloudherd.api.schema import IMMUTABLE, Crd, Rule, named, validated
from cloudherd.api.selector import LabelSelector


class SecretRef(Model):
    name: DnsName


class Quota(Model):
    """Our own ceilings, on top of the cloud's; each left out is no ceiling."""

    instances: Count | None = None
    cpus: Quantity | None = None
    memory: MemoryQuantity | None = None

    @property
    def memory_bytes(self) -> float | None:
        return None if self.memory is None else parse_quantity(self.memory)

    @property
    def cpu_count(self) -> float | None:
        return None if self.cpus is None else parse_quantity(self.cpus)


class AllowedNamespaces(Model):
    """Who may place Instances on an account, as Gateway API's allowedRoutes has it."""

    model_config = validated(
        Rule(
            "(self.from == 'Selector') == has(self.selector)",
            "selector goes with from: Selector, and only with it; add the one or take out the other",
            field=".selector",
        )
    )

    from_: Literal["Same", "All", "Selector"] = Field("Same", alias="from")
    selector: LabelSelector | None = None


class Network(Model):
    """Where a VM's ports go; what is left out is the cloud's default."""

    name: ShortText | None = None
    """A subnet or network, by name or ID."""
    security_groups: Annotated[list[ShortText], Crd(maxItems=16)] = Field(default_factory=list)
    public_address: bool = False


class SimulatedSettings(Model):
    """The simulated cloud of one account; a change acts on the running cloud at once."""

    capacity: Count | None = None
    """VMs that the cloud can hold; left out, no limit."""
    boot_seconds: Annotated[float, Crd(minimum=0, maximum=86400)] = 0
    latency_seconds: Annotated[float, Crd(minimum=0, maximum=600)] = 0
    listing_lag_seconds: Annotated[float, Crd(minimum=0, maximum=3600)] = 0
    limits_readable: bool = True
    """false: the capacity is learnt by being refused only."""


_ELSEWHERE = "{} is immutable, since the VMs there would be lost sight of: make another CloudAccount"


class AccountSpec(Model):
    model_config = validated(
        Rule("has(self.region) == has(oldSelf.region)", _ELSEWHERE.format("region"), field=".region"),
        Rule(
            "!has(self.simulated) || self.provider == 'simulated'",
            "simulated goes with provider: simulated only; take it out",
            field=".simulated",
        ),
    )

    provider: Annotated[DnsLabel, Crd(Rule(IMMUTABLE, _ELSEWHERE.format("provider")))]
    """The kind of cloud: simulated, ec2 or one that another package offers. Immutable, like region."""
    region: Annotated[ShortText, Crd(Rule(IMMUTABLE, _ELSEWHERE.format("region")))] | None = None
    endpoint: (
        Annotated[
            Text,
            Crd(
                Rule(
                    "isURL(self) && url(self).getScheme() in ['http', 'https'] && !self.contains('@')",
                    "write a URL like https://cloud.example.org:5000 without a user or password: "
                    "those belong into the Secret that credentialsRef names",
                )
            ),
        ]
        | None
    ) = None
    """Left out for the provider's public one."""
    credentials_ref: SecretRef | None = None
    """A Secret in this namespace, with the provider's own names of keys. Its key caBundle may hold certificates, in
    PEM, of private CAs that have signed the cloud's.
    """
    quota: Quota = Field(default_factory=Quota)
    allowed_namespaces: AllowedNamespaces = AllowedNamespaces()
    flavors: Annotated[dict[str, CloudName], Crd(maxProperties=64)] = Field(default_factory=dict)
    """From names used in manifests to the cloud's own sizes, by name or ID."""
    images: Annotated[dict[str, CloudName], Crd(maxProperties=64)] = Field(default_factory=dict)
    """From names used in manifests to the cloud's own images, by name or ID."""
    network: Network = Field(default_factory=Network)
    unschedulable: bool = False
    """Cordon: keep what runs, place nothing new."""
    poll_interval: Annotated[Duration, duration_between("1s", "24h")] = "60s"
    """How often the cloud is listed while nothing changes."""
    changing_poll_interval: Annotated[Duration, duration_between("100ms", "1h")] = "2s"
    """How often it is listed while a VM is on its way up or down."""
    options: Options = Field(default_factory=dict)
    """Provider-specific."""
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
    memory: MemoryText = "0"
    disk: MemoryText | None = None
    """Left out where the image or the user decides."""
    price: float | None = None
    """Per hour, where one is known."""

    @property
    def memory_bytes(self) -> float:
        return parse_quantity(self.memory)

    @property
    def disk_bytes(self) -> float:
        """Infinite where the flavor sets no bounds."""
        return math.inf if self.disk is None else parse_quantity(self.disk)


class Lack(Model):
    """A flavor or image of the spec, by the manifest's name, that cannot be used, and why: with the way out."""

    kind: Literal["Flavor", "Image"]
    name: ShortText
    reason: ShortText
    message: Text


class Limit(Model):
    """What the cloud itself allows or holds; left out where it does not say."""

    instances: int | None = None
    cpus: float | None = None
    memory: MemoryText | None = None

    @property
    def memory_bytes(self) -> float | None:
        return None if self.memory is None else parse_quantity(self.memory)


class Usage(Model):
    instances: int = 0
    cpus: float = 0
    memory: MemoryText = "0"

    @property
    def memory_bytes(self) -> float:
        return parse_quantity(self.memory)


class AccountStatus(Model):
    observed_generation: int = 0
    scope: ShortText | None = None
    agent: ShortText | None = None
    """The agent that began to serve the account last: one process, from its start to its end."""
    limit: Limit | None = None
    used: Usage | None = None
    foreign: Usage | None = None
    full: Annotated[list[FullMark], Crd(maxItems=128)] = Field(default_factory=list)
    flavors: Annotated[list[FlavorStatus], named(64)] = Field(default_factory=list)
    lacking: Annotated[list[Lack], Crd(maxItems=128)] = Field(default_factory=list)
    conditions: Conditions = Field(default_factory=list)


class CloudAccount(Resource):
    """One set of credentials at one cloud, with what it may hold."""

    model_config = validated(
        Rule(
            "!self.metadata.name.contains('.')",
            "metadata.name must have no dots, since tags at the cloud say <namespace>.<name>",
            field=".metadata.name",
        )
    )

    kind: ClassVar[str] = "CloudAccount"
    plural: ClassVar[str] = "cloudaccounts"
    short: ClassVar[str] = "acct"
    name_limit: ClassVar[int] = 63
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Provider", ".spec.provider"),
        Column("Region", ".spec.region"),
        Column("Ready", of_condition("Ready", "status")),
        Column("Reason", of_condition("Ready", "reason")),
        Column("Used", ".status.used.instances", "integer"),
        Column("Limit", ".status.limit.instances", "integer"),
        Column("Quota", ".spec.quota.instances", "integer"),
        Column("Full", ".status.full[0].reason"),
        Column("Full-Until", ".status.full[0].until", wide=True),
        Column("Foreign", ".status.foreign.instances", "integer", wide=True),
        Column("Cordoned", ".spec.unschedulable", "boolean", wide=True),
        Column("Agent", ".status.agent", wide=True),
        Column("Scope", ".status.scope", wide=True),
        AGE,
        Column("Message", of_condition("Ready", "message")),
    )

    spec: AccountSpec
    status: AccountStatus = Field(default_factory=AccountStatus)
