"""Instance: the record of one VM, bound once to one account; never moved, only replaced (the Pod of this system)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from cloudherd.api.account import Duration, Network, SecretRef
from cloudherd.api.cluster import AccountKeyRef, Options, Tags
from cloudherd.api.meta import Condition, DnsLabel, Model, ObjectKey, Resource, ShortText

Phase = Literal["Pending", "Launching", "Running", "Ready", "Terminating", "Failed"]
PowerState = Literal["Running", "Stopped", "Suspended"]


class Resources(Model):
    """What a VM counts against quotas: cores and bytes, written at binding so that an account's later edits change no
    count.
    """

    cpus: float = 0
    memory: Annotated[int, Field(ge=0)] = 0


class InstanceSpec(Model):
    """The whole request. Immutable but for `powerState`."""

    id: Annotated[str, StringConstraints(max_length=36, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
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
    deletion_grace: Duration = "0s"
    user_data_ref: SecretRef
    revision: Annotated[str, StringConstraints(max_length=64)]
    recipe: Annotated[int, Field(ge=1)] = 1


class Addresses(Model):
    private: Annotated[list[ShortText], Field(max_length=16)] = Field(default_factory=list)
    public: Annotated[list[ShortText], Field(max_length=16)] = Field(default_factory=list)

    @property
    def first(self) -> str:
        """The first private address; a public one only where there is no private one; empty where there is none."""
        return next(iter([*self.private, *self.public]), "")


class InstanceStatus(Model):
    observed_generation: int = 0
    phase: Phase = "Pending"
    provider_id: Annotated[str, StringConstraints(max_length=512)] | None = Field(None, alias="providerID")
    addresses: Addresses | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class Instance(Resource):
    kind: ClassVar[str] = "Instance"
    plural: ClassVar[str] = "instances"

    spec: InstanceSpec
    status: InstanceStatus = Field(default_factory=InstanceStatus)

    @property
    def account(self) -> ObjectKey:
        return ObjectKey(self.spec.account_ref.namespace, self.spec.account_ref.name)

    @property
    def vm_name(self) -> str:
        """The VM's name at the cloud, and its host name."""
        return f"{self.name}-{self.spec.id[:8]}"

    def condition(self, type_: str) -> Condition | None:
        return next((condition for condition in self.status.conditions if condition.type == type_), None)
