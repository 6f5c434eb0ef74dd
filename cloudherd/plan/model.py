"""What a plan reads and what it says: plain data. Nothing here decides."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudherd.api import CloudAccount, ClusterService, Context, Instance, ObjectKey, VirtualCluster
from cloudherd.api.cluster import ClusterStatus
from cloudherd.api.instance import Resources
from cloudherd.api.service import ServiceSpec, ServiceStatus
from cloudherd.rendering.model import RenderRequest, RenderResult

RECIPE = 1
"""The version of how revisions are computed. A new one never rolls anything: each Instance is compared by its own."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """An Instance of this cluster that cannot be read: its slot is taken and its VM counts, and it is never touched."""

    name: str
    service: str
    account: ObjectKey | None


@dataclass(frozen=True, slots=True)
class ClusterView:
    """All that one plan of one VirtualCluster reads.

    `secrets` holds the values of the Secrets that parametersFrom names, or a sentence on why there are none; `taken`
    the
    names of Instances in this namespace that are not this cluster's; `user_data` the names of this cluster's user
    data
    Secrets; `rendered` results by the key of their request; `conflict` a sentence where another cluster has this
    one's names.
    """

    cluster: VirtualCluster
    services: Mapping[str, ClusterService]
    instances: tuple[Instance, ...]
    contexts: Mapping[str, Context]
    accounts: Mapping[ObjectKey, CloudAccount]
    namespaces: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Mapping[str, str] | str] = field(default_factory=dict)
    strangers: tuple[Stranger, ...] = ()
    taken: Container[str] = frozenset()
    user_data: frozenset[str] = frozenset()
    rendered: Mapping[str, RenderResult] = field(default_factory=dict)
    conflict: str = ""
    namespace_ends: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What a VM of a service would be at one account: manifest names for the revision, the cloud's for the launch."""

    flavor: str
    image: str
    flavor_id: str
    image_id: str
    options: Mapping[str, Any]
    resources: Resources


@dataclass(frozen=True, slots=True)
class UserData:
    """What VMs of one service at one site boot with; stands in the Secret `secret`."""

    secret: str
    content: bytes
    revision: str


# -- actions: somebody else carries them out, in the order of Plan's fields


@dataclass(frozen=True, slots=True)
class CreateService:
    name: str
    spec: ServiceSpec


@dataclass(frozen=True, slots=True)
class UpdateService:
    service: ClusterService
    changes: Mapping[str, Any]  # spec fields by their wire name; None removes
    put_back: bool = False  # somebody scaled what the manifest holds


@dataclass(frozen=True, slots=True)
class CreateInstance:
    """The name is the slot; the identity's UUID is given when it is written."""

    name: str
    service: str
    account: ObjectKey
    offer: Offer
    user_data: UserData


@dataclass(frozen=True, slots=True)
class DeleteInstance:
    """`guarded`: only if it still is as the plan read it (a scale-down must not take one that was just marked as
    dear).
    """

    instance: Instance
    reason: str
    message: str
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A change of state that a person wants to know: an Event on the VirtualCluster."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What a gateway remembers of one cluster between plans; lost at a restart, harmlessly.

    `waiting_since` (monotonic seconds by Instance uid) guards readiness time-outs; `failures` counts launches that
    failed in
    a row by service and account, with the monotonic time before which the next one is not tried.
    """

    waiting_since: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[tuple[str, ObjectKey], tuple[int, float]] = field(default_factory=dict)
    blamed: frozenset[str] = frozenset()  # uids of the failed Instances that are already counted


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one VirtualCluster now. Fields stand in the order in which they are carried out."""

    add_finalizer: bool = False
    create_services: tuple[CreateService, ...] = ()
    update_services: tuple[UpdateService, ...] = ()
    renders: tuple[RenderRequest, ...] = ()
    user_data: tuple[UserData, ...] = ()
    create: tuple[CreateInstance, ...] = ()
    delete: tuple[DeleteInstance, ...] = ()
    drop_user_data: tuple[str, ...] = ()
    drop_services: tuple[ClusterService, ...] = ()
    service_status: Mapping[str, ServiceStatus] = field(default_factory=dict)
    status: ClusterStatus | None = None
    remove_finalizer: bool = False
    notes: tuple[Note, ...] = ()
    holds: Mapping[ObjectKey, tuple[Resources, ...]] = field(default_factory=dict)
    waits_for: Mapping[ObjectKey, int] = field(default_factory=dict)  # VMs that would go to a full account, by account
    candidates: frozenset[ObjectKey] = frozenset()
    memory: Memory = field(default_factory=Memory)
    again_in: float | None = None  # seconds until time alone changes the plan
