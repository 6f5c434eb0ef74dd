"""What a plan reads and what it says: plain data. Nothing here decides."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudherd.api import CloudAccount, ClusterService, Context, Instance, ObjectKey, VirtualCluster
from cloudherd.api.cluster import ClusterStatus
from cloudherd.api.instance import Resources
from cloudherd.api.service import ServiceSpec, ServiceStatus
from cloudherd.plan.amount import Amount
from cloudherd.plan.vm import Vm
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
    """All that one plan of one VirtualCluster reads."""

    cluster: VirtualCluster
    services: Mapping[str, ClusterService]
    instances: tuple[Instance, ...]
    contexts: Mapping[str, Context]
    accounts: Mapping[ObjectKey, CloudAccount]
    namespaces: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Mapping[str, str] | str] = field(default_factory=dict)
    """The values of the Secrets that parametersFrom names, or a sentence on why there are none."""
    strangers: tuple[Stranger, ...] = ()
    taken: Container[str] = frozenset()
    """Names that Instances of this namespace bear, other clusters' too."""
    user_data: frozenset[str] = frozenset()
    """The names of this cluster's user data Secrets."""
    rendered: Mapping[str, RenderResult] = field(default_factory=dict)
    """Results by the key of their request."""
    conflict: str = ""
    """A sentence, where another cluster has this one's names."""
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


@dataclass(frozen=True, slots=True)
class Waiting:
    """VMs of one cluster that would go to one account if it had room.

    `urgent` of the `vms` are fixed ones of a site that is open there; `least` is the smallest room that is of any use
    to the first of them: a new site takes its fixed services and some scalable VMs at once, or nothing.
    """

    vms: int
    urgent: int
    least: Amount


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
    """`guarded`: only if it still is as the plan read it (a scale-down must not take one that was just marked dear)."""

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


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """Launches of one service that failed in a row at one account: how many, the monotonic time before which the next
    one is not tried, and the cloud's words for the last one. `of` is what was tried: after an edit of it the series is
    over.
    """

    count: int
    until: float
    why: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a gateway remembers of one cluster between plans; lost at a restart, harmlessly.

    `vms` are what the last plan read, by the id of the Instance object; `waiting_since` (monotonic seconds by Instance
    uid) guards readiness time-outs; `failures` are launches that failed in a row, by service and account; `blamed` are
    the uids of Instances that can count for no more of them, `proven` of those that were ready there before.
    """

    vms: Mapping[int, Vm] = field(default_factory=dict, repr=False)
    waiting_since: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[tuple[str, ObjectKey], Failure] = field(default_factory=dict)
    blamed: frozenset[str] = frozenset()
    proven: frozenset[str] = frozenset()
    fresh: bool = True  # the first plan since the start: what the status says of closed sites still counts


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
    status: ClusterStatus | None = None  # None: it stays as it is
    remove_finalizer: bool = False
    notes: tuple[Note, ...] = ()
    holds: Mapping[ObjectKey, tuple[Resources, ...]] = field(default_factory=dict)
    waits_for: Mapping[ObjectKey, Waiting] = field(default_factory=dict)
    candidates: frozenset[ObjectKey] = frozenset()
    memory: Memory = field(default_factory=Memory)
    again_in: float | None = None  # seconds until time alone changes the plan
