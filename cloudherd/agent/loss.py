"""The brake on mass losses: many VMs of an account, or nearly all of a service at one, that look lost at once are more
likely a fault of what we see than of the cloud.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from cloudherd.agent.settings import AgentSettings
from cloudherd.api import Instance

Service = tuple[str, str, str]
"""Namespace, cluster, service."""


@dataclass(slots=True)
class LossMemory:
    """`recent` holds when (monotonic) losses were written, and of which service; `accepted` those that a person has
    agreed to. Both by uid.
    """

    recent: dict[str, tuple[float, Service]] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Freeze:
    """These are not to be written as lost until the account's annotation accept-loss says `digest`. `whole`: nothing
    else is to be launched on the account either.
    """

    uids: frozenset[str]
    whole: bool
    digest: str
    message: str


def was_up(record: Instance) -> bool:
    return record.status.phase in ("Ready", "Running", "Stopped")


def service_of(record: Instance) -> Service:
    return record.namespace, record.spec.cluster_name, record.spec.service_name


def digest_of(records: Iterable[Instance]) -> str:
    """Names exactly this set of Instances, also to an agent that has just been started."""
    ids = sorted(record.spec.id for record in records)
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:10]


def too_many(
    lost: Mapping[str, Instance], standing: Iterable[Instance], memory: LossMemory, settings: AgentSettings
) -> tuple[frozenset[Service], bool]:
    """The services too many of whose VMs look lost at once, and whether that is so of the whole account. `lost` by uid;
    `standing` are all that were up, those included.
    """
    before = Counter(service for uid, (_, service) in memory.recent.items() if uid not in lost)
    gone = Counter(service_of(record) for record in lost.values()) + before
    of = Counter(service_of(record) for record in standing) + before
    if _many(gone.total(), of.total(), settings.mass_loss_share, settings):
        return frozenset(gone), True
    share = settings.mass_loss_service_share
    return frozenset(one for one, count in gone.items() if _many(count, of[one], share, settings)), False


def judge(
    lost: Mapping[str, Instance],
    standing: Collection[Instance],
    accepted: str,
    memory: LossMemory,
    settings: AgentSettings,
    monotonic: float,
) -> Freeze | None:
    """Whether the Instances that look lost now, by uid, are too many at once; `accepted` is the account's
    annotation.
    """
    memory.recent = {
        uid: loss for uid, loss in memory.recent.items() if loss[0] > monotonic - settings.mass_loss_window
    }
    memory.accepted &= lost.keys()
    asked = {uid: record for uid, record in lost.items() if was_up(record) and uid not in memory.accepted}
    services, whole = too_many(asked, standing, memory, settings)
    frozen = {uid: record for uid, record in asked.items() if service_of(record) in services}
    if not frozen:
        return None
    digest = digest_of(frozen.values())
    if accepted == digest:
        memory.accepted |= frozen.keys()
        return None
    up = [one for one in standing if whole or service_of(one) in services]
    return Freeze(
        frozenset(frozen),
        whole,
        digest,
        f"{len(frozen)} of {len(up)} VMs{'' if whole else _named(services)} look lost at once "
        f"({_some(str(record.key) for record in frozen.values())}), so none of them is replaced. If they are really "
        f"gone, annotate this account with cloudherd.dev/accept-loss: {digest}",
    )


def _many(count: int, of: int, share: float, settings: AgentSettings) -> bool:
    return count >= settings.mass_loss_count and count > of * share


def _named(services: Iterable[Service]) -> str:
    return f" of {_some(f'{namespace}/{cluster} {service}' for namespace, cluster, service in services)}"


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = sorted(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
