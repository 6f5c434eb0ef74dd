"""Instance: the record of one VM, bound once to one account; never moved, only replaced (the Pod of this system)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cloudherd.api.account import Network, SecretRef
from cloudherd.api.cluster import AccountKeyRef
from cloudherd.api.fields import DnsLabel, Grace, Options, ShortText, Tags
from cloudherd.api.meta import AGE, Column, Condition, Conditions, Model, ObjectKey, Resource, of_condition
from cloudherd.api.schema import Crd, Rule, immutable_but, text, validated

Phase = Literal["Pending", "Launching", "Running", "Ready", "Stopped", "Terminating", "Failed"]
CLOUD_FULL = "CloudFull"
"""The reason of an Instance that its cloud had no room for."""
PowerState = Literal["Running", "Stopped", "Suspended"]


class Resources(Model):
    """What a VM counts against quotas: cores and bytes, written at binding so that an account's later edits change no
    count.
    """

    cpus: Annotated[float, Crd(minimum=0)] = 0
    memory: Annotated[int, Crd(minimum=0)] = 0


class InstanceSpec(Model):
    """The whole request. Immutable but for `powerState`."""

    model_config = immutable_but("powerState", "is immutable: delete the Instance, and the gateway makes another one")

    id: Annotated[
        str,
        text(36, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "the id of an Instance is a UUID in lower case"),
    ]
    cluster_name: DnsLabel
    service_name: DnsLabel
    account_ref: AccountKeyRef
    flavor: ShortText
    image: ShortText
    resources: Resources = Field(default_factory=Resources)
    network: Network = Field(default_factory=Network)
    options: Options = Field(default_factory=dict)
    tags: Tags = Field(default_factory=dict)
    power_state: PowerState = "Running"
    deletion_grace: Grace = "0s"
    user_data_ref: SecretRef
    agent: ShortText | None = None
    """The agent that served the account when this was made: any other one claims the Instance before it launches it."""
    revision: Annotated[str, text(64)]
    recipe: Annotated[int, Crd(minimum=1)] = 1


class Addresses(Model):
    private: Annotated[list[ShortText], Crd(maxItems=16)] = Field(default_factory=list)
    public: Annotated[list[ShortText], Crd(maxItems=16)] = Field(default_factory=list)

    @property
    def first(self) -> str:
        """The first private address; a public one only where there is no private one; empty where there is none."""
        return next(iter([*self.private, *self.public]), "")


class InstanceStatus(Model):
    observed_generation: int = 0
    phase: Phase = "Pending"
    provider_id: Annotated[str, text(512)] | None = Field(None, alias="providerID")
    addresses: Addresses | None = None
    conditions: Conditions = Field(default_factory=list)


class Instance(Resource):
    """The record of one VM: made by the gateway, bound once to one account, never moved, only replaced."""

    model_config = validated(
        Rule(
            "self.metadata.name.startsWith(self.spec.clusterName + '-' + self.spec.serviceName + '-')",
            "metadata.name must be <spec.clusterName>-<spec.serviceName>-<slot>",
            field=".metadata.name",
        )
    )

    kind: ClassVar[str] = "Instance"
    plural: ClassVar[str] = "instances"
    short: ClassVar[str] = "inst"
    name_limit: ClassVar[int] = 54  # the VM's name has nine characters more and must fit in 63
    selectable: ClassVar[tuple[str, ...]] = (".spec.clusterName", ".spec.serviceName", ".spec.accountRef.name")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Service", ".spec.serviceName"),
        Column("Account", ".spec.accountRef.name"),
        Column("Phase", ".status.phase"),
        Column("Address", ".status.addresses.private[0]"),
        Column("Reason", of_condition("Ready", "reason")),
        Column("Public", ".status.addresses.public[0]", wide=True),
        Column("Flavor", ".spec.flavor", wide=True),
        Column("Image", ".spec.image", wide=True),
        Column("Revision", ".spec.revision", wide=True),
        Column("Provider-ID", ".status.providerID", wide=True),
        AGE,
        Column("Message", of_condition("Ready", "message")),
    )

    spec: InstanceSpec
    status: Annotated[InstanceStatus, Crd(default={"phase": "Pending"})] = Field(default_factory=InstanceStatus)

    @property
    def account(self) -> ObjectKey:
        return ObjectKey(self.spec.account_ref.namespace, self.spec.account_ref.name)

    @property
    def vm_name(self) -> str:
        """The VM's name at the cloud, and its host name."""
        return f"{self.name}-{self.spec.id[:8]}"

    @property
    def lacked_room(self) -> bool:
        """Whether it failed for want of room: if the cloud made a VM for it all the same, that one holds no place."""
        ready = self.condition("Ready")
        return ready is not None and ready.reason == CLOUD_FULL

    def condition(self, type_: str) -> Condition | None:
        return next((condition for condition in self.status.conditions if condition.type == type_), None)
