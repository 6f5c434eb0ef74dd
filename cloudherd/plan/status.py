"""What a VirtualCluster and its services say of themselves: written for a person at 3 a.m. who asks why three are
missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cloudherd.api import Condition, Instance, ObjectKey
from cloudherd.api.cluster import AccountKeyRef, ClusterStatus, Service, ServiceCount, SiteStatus
from cloudherd.api.conditions import condition, merged
from cloudherd.api.meta import GROUP
from cloudherd.api.service import ServiceStatus
from cloudherd.plan.candidates import Candidate
from cloudherd.plan.model import ClusterView, UpdateService
from cloudherd.plan.outcomes import Outcomes
from cloudherd.plan.placement import Assignment
from cloudherd.plan.records import Records
from cloudherd.plan.rollout import is_ready
from cloudherd.plan.userdata import Broken, Wait

MOST_NAMED = 5
STEADY = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a status is made of."""

    view: ClusterView
    records: Records
    counts: Mapping[str, int]
    assignment: Assignment
    outcomes: Outcomes
    order: Sequence[Candidate]
    outdated: Mapping[str, Sequence[Instance]]
    unsure: set[str]
    removing: int
    creating: int
    failures: Mapping[tuple[str, ObjectKey], tuple[int, float]]
    now: float
    monotonic: float


def status(picture: Picture) -> ClusterStatus:
    view = picture.view
    counts = [_count(picture, service) for service in view.cluster.spec.services]
    sites = [_site(picture, key) for key in _site_keys(picture)]
    ready = _ready(picture, counts)
    conditions = (ready, _placed(picture), _progressing(picture, counts))
    before = view.cluster.status.conditions
    return ClusterStatus(
        observed_generation=view.cluster.metadata.generation,
        services=counts,
        sites=sites,
        conditions=merged(before, *conditions),
    )


def _condition(view: ClusterView, type_: str, status_: bool, reason: str, message: str, now: float) -> Condition:
    generation = view.cluster.metadata.generation
    return condition(view.cluster.status.conditions, type_, status_, reason, message, generation=generation, now=now)


# -- counts and sites


def _open_sites(picture: Picture) -> int:
    """Sites that are meant to stay: those on their way out ask for no fixed services any more."""
    return max(1, len(picture.assignment.sites))


def _count(picture: Picture, service: Service) -> ServiceCount:
    alive = picture.records.of(service.name)
    want = picture.counts[service.name] * (_open_sites(picture) if service.fixed else 1)
    old = {one.uid for one in picture.outdated.get(service.name, ())}
    updated = 0 if service.name in picture.unsure and not old else sum(one.uid not in old for one in alive)
    return ServiceCount(
        name=service.name,
        desired=want,
        current=picture.records.kept(service.name),
        ready=sum(is_ready(one) for one in alive),
        updated=updated,
    )


def _site_keys(picture: Picture) -> list[ObjectKey]:
    passed_over = [key for (name, key), (count, _) in picture.failures.items() if count and _is_fixed(picture, name)]
    return list(dict.fromkeys((*picture.assignment.sites, *picture.records.accounts(), *passed_over)))


def _is_fixed(picture: Picture, name: str) -> bool:
    service = picture.view.cluster.spec.service(name)
    return service is not None and service.fixed


def _site(picture: Picture, key: ObjectKey) -> SiteStatus:
    alive = [one for (_, at), found in picture.records.alive.items() if at == key for one in found]
    fixed = [service for service in picture.view.cluster.spec.services if service.fixed]
    count, until = max((picture.failures.get((service.name, key), (0, 0.0)) for service in fixed), default=(0, 0.0))
    complete = all(
        sum(is_ready(one) for one in picture.records.alive.get((service.name, key), ())) >= picture.counts[service.name]
        for service in fixed
    )
    state: Literal["Opening", "Open", "Closing", "Closed"] = "Open" if complete else "Opening"
    if key not in picture.assignment.sites:
        state = "Closing" if any(at == key for _, at in picture.records.all) else "Closed"
    waiting = until > picture.monotonic
    retry = _steady(picture, key, picture.now + until - picture.monotonic) if waiting else None
    return SiteStatus(
        account_ref=AccountKeyRef(namespace=key.namespace, name=key.name),
        state=state,
        instances=len(alive),
        ready=sum(is_ready(one) for one in alive),
        failures=count,
        retry_after=retry if state == "Closed" else None,
        reason=f"fixed services failed {count} times in a row" if state == "Closed" and count else "",
    )


def _steady(picture: Picture, key: ObjectKey, at: float) -> datetime:
    """The time that the status already holds where it is the same one: two clocks never agree to the second."""
    for site in picture.view.cluster.status.sites:
        same = (site.account_ref.namespace, site.account_ref.name) == key
        if same and site.retry_after and abs(site.retry_after.timestamp() - at) < STEADY:
            return site.retry_after
    return datetime.fromtimestamp(int(at), UTC)


# -- conditions


def _ready(picture: Picture, counts: Sequence[ServiceCount]) -> Condition:
    view = picture.view
    broken = sorted({one.why for one in picture.outcomes.known.values() if isinstance(one, Broken)})
    if broken:
        return _condition(view, "Ready", False, "ContextInvalid", "; ".join(broken[:MOST_NAMED]), picture.now)
    short = [one for one in counts if one.ready != one.desired or one.current != one.desired]
    extra = any(one.deleting or one.status.phase == "Failed" for one in view.instances)
    if not short and not extra:
        total = sum(one.ready for one in counts)
        return _condition(view, "Ready", True, "AllReady", f"all {total} VMs are ready", picture.now)
    parts = [f"{one.name}: {one.ready} of {one.desired} ready{_why(picture, one)}" for one in short]
    leaving = sum(one.deleting for one in view.instances)
    if leaving:
        parts.append(f"{leaving} on their way out")
    reason = "Paused" if view.cluster.spec.paused else "NotAllReady"
    return _condition(view, "Ready", False, reason, "; ".join(parts) or "failed VMs are being replaced", picture.now)


def _why(picture: Picture, count: ServiceCount) -> str:
    """In brackets, what those that are missing wait for."""
    service = picture.view.cluster.spec.service(count.name)
    assert service
    found: Counter[str] = Counter()
    for one in picture.records.of(count.name):
        if not is_ready(one):
            ready = one.condition("Ready")
            reason = f" ({ready.reason})" if ready and ready.reason not in ("Launching", "Starting") else ""
            found[f"{one.status.phase.lower()} at {_label(one.account)}{reason}"] += 1
    for (name, key), places in picture.assignment.places.items():
        if name == count.name and places:
            outcome = picture.outcomes.at(service, key)
            found[outcome.why if isinstance(outcome, Wait) else f"about to be made at {_label(key)}"] += places
    if picture.assignment.unplaced[count.name]:
        found["without a place"] += picture.assignment.unplaced[count.name]
    return f" ({', '.join(f'{number} {what}' for what, number in found.items())})" if found else ""


def _placed(picture: Picture) -> Condition:
    view, unplaced = picture.view, picture.assignment.unplaced
    if not unplaced.total():
        return _condition(view, "Placed", True, "AllPlaced", "every VM has an account", picture.now)
    what = ", ".join(f"{number} of {_wanted(picture, name)} {name}" for name, number in unplaced.items() if number)
    reasons = [
        f"{one.label} {picture.assignment.why[one.key]}" for one in picture.order if picture.assignment.why.get(one.key)
    ]
    more = f", and {len(reasons) - 2 * MOST_NAMED} more" if len(reasons) > 2 * MOST_NAMED else ""
    if not picture.order:
        reasons = ["spec.placement.accounts matches no CloudAccount"]
    text = f"no place for {what}: {'; '.join(reasons[: 2 * MOST_NAMED])}{more}"
    return _condition(view, "Placed", False, "NoPlace", text, picture.now)


def _wanted(picture: Picture, name: str) -> int:
    return picture.counts[name] * (_open_sites(picture) if _is_fixed(picture, name) else 1)


def _progressing(picture: Picture, counts: Iterable[ServiceCount]) -> Condition:
    view = picture.view
    if view.cluster.spec.paused:
        return _condition(view, "Progressing", False, "Paused", "spec.paused is true: nothing is changed", picture.now)
    rolling = view.cluster.spec.update_strategy.type == "RollingUpdate"
    work = {
        "being made": picture.creating + sum(picture.assignment.places.values()),
        "starting": sum(one.current - one.ready for one in counts),
        "being removed": picture.removing + sum(one.deleting for one in view.instances),
        "to be updated": sum(len(found) for found in picture.outdated.values()) if rolling else 0,
    }
    text = ", ".join(f"{number} {what}" for what, number in work.items() if number > 0)
    if text:
        return _condition(view, "Progressing", True, "Working", text, picture.now)
    return _condition(view, "Progressing", False, "Idle", "nothing to do", picture.now)


def refused_status(view: ClusterView, reason: str, why: str, now: float) -> ClusterStatus:
    """The status of a cluster that cannot be planned; its VMs are left alone."""
    conditions = (
        _condition(view, "Ready", False, reason, why, now),
        _condition(view, "Progressing", False, reason, "nothing is changed until that is mended", now),
    )
    before = view.cluster.status
    return before.model_copy(
        update={
            "observed_generation": view.cluster.metadata.generation,
            "conditions": merged(before.conditions, *conditions),
        }
    )


def deletion_status(view: ClusterView, now: float) -> ClusterStatus:
    """What a cluster says while it goes: how many VMs are left, and what the slowest wait for."""
    left = Counter(one.spec.service_name for one in view.instances)
    what = ", ".join(f"{number} {name}" for name, number in sorted(left.items()))
    slow = sorted(
        f"{one.name}: {ready.message}"
        for one in view.instances
        if one.deleting and (ready := one.condition("Ready")) and ready.status == "Unknown"
    )
    text = f"being deleted; left are {what}" + (f"; {'; '.join(slow[:MOST_NAMED])}" if slow else "")
    before = view.cluster.status
    conditions = (
        _condition(view, "Ready", False, "Deleting", text, now),
        _condition(view, "Progressing", True, "Deleting", text, now),
    )
    return before.model_copy(update={"conditions": merged(before.conditions, *conditions)})


# -- the services' own


def service_statuses(picture: Picture, put_back: Mapping[str, UpdateService]) -> dict[str, ServiceStatus]:
    """The status of every ClusterService that exists, by service name."""
    view, result = picture.view, {}
    for service in view.cluster.spec.services:
        existing = view.services.get(service.name)
        if existing is None:
            continue
        count = _count(picture, service)
        result[service.name] = ServiceStatus(
            observed_generation=existing.metadata.generation,
            replicas=count.current,
            ready_replicas=count.ready,
            selector=f"{GROUP}/cluster={view.cluster.name},{GROUP}/service={service.name}",
            conditions=merged(
                existing.status.conditions,
                condition(
                    existing.status.conditions,
                    "Ready",
                    count.ready == count.desired == count.current,
                    "AllReady" if count.ready == count.desired == count.current else "NotAllReady",
                    f"{count.ready} of {count.desired} ready",
                    generation=existing.metadata.generation,
                    now=picture.now,
                ),
                _held(picture, service, put_back.get(service.name)),
            ),
        )
    return result


def _held(picture: Picture, service: Service, put_back: UpdateService | None) -> Condition:
    """Who the count belongs to; and that a scale was put back, if one was."""
    cluster, existing = picture.view.cluster, picture.view.services[service.name]
    before = existing.status.conditions
    message = next((one.message for one in before if one.type == "HeldByManifest" and one.status == "True"), "")
    if service.replicas is None:
        message = "the manifest leaves replicas out: the count belongs to whoever scales this object"
    elif put_back:
        message = (
            f"a scale to {put_back.service.spec.replicas} was put back: VirtualCluster {cluster.name} holds replicas: "
            f"{service.replicas}; change it there, or leave it out there to scale here"
        )
    elif f"replicas: {service.replicas};" not in message:
        message = f"VirtualCluster {cluster.name} holds replicas: {service.replicas}; change it there"
    held = service.replicas is not None
    reason = "ScalePutBack" if "put back" in message else "ManifestHolds" if held else "Free"
    generation = existing.metadata.generation
    return condition(before, "HeldByManifest", held, reason, message, generation=generation, now=picture.now)


def _label(key: ObjectKey) -> str:
    return f"{key.namespace}.{key.name}"
