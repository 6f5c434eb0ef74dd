"""What a ClusterService says of itself: its counts, and to whom its count belongs."""

from __future__ import annotations

from collections.abc import Sequence

from cloudherd.api import ClusterService, Condition
from cloudherd.api.cluster import Service, ServiceCount
from cloudherd.api.conditions import condition, find, merged
from cloudherd.api.meta import GROUP
from cloudherd.api.service import ServiceStatus
from cloudherd.plan.model import UpdateService
from cloudherd.plan.picture import Picture

PUT_BACK = "ScalePutBack"


def service_statuses(picture: Picture, updates: Sequence[UpdateService]) -> dict[str, ServiceStatus]:
    """The status of every ClusterService that exists, by service name; `updates` are what this plan writes to them."""
    view, put_back = picture.view, {one.service.name: one for one in updates if one.put_back}
    found = {}
    for service in view.cluster.spec.services:
        existing = view.services.get(service.name)
        if existing:
            held = _held(view.cluster.name, service, existing, put_back.get(existing.name), picture.now)
            found[service.name] = _status(picture.count(service), existing, held, picture.now)
    return found


def _status(count: ServiceCount, existing: ClusterService, held: Condition, now: float) -> ServiceStatus:
    spec, before, generation = existing.spec, existing.status.conditions, existing.metadata.generation
    all_ready = count.ready == count.desired == count.current
    ready = condition(
        before,
        "Ready",
        all_ready,
        "AllReady" if all_ready else "NotAllReady",
        f"{count.ready} of {count.desired} ready",
        generation=generation,
        now=now,
    )
    return ServiceStatus(
        observed_generation=generation,
        replicas=count.current,
        ready_replicas=count.ready,
        selector=f"{GROUP}/cluster={spec.cluster_name},{GROUP}/service={spec.service_name}",
        conditions=merged(before, ready, held),
    )


def _held(
    cluster: str, service: Service, existing: ClusterService, put_back: UpdateService | None, now: float
) -> Condition:
    """Who the count belongs to; and that a scale was put back, for as long as the manifest holds that count."""
    before = existing.status.conditions
    last = find(before, "HeldByManifest")
    holds = f"VirtualCluster {cluster} holds replicas: {service.replicas}; change it there"
    if service.replicas is None:
        held, reason = False, "Free"
        message = "the manifest leaves replicas out: the count belongs to whoever scales this object"
    elif put_back:
        held, reason = True, PUT_BACK
        message = f"a scale to {existing.spec.replicas} was put back: {holds}, or leave it out there to scale here"
    elif last and last.reason == PUT_BACK and holds in last.message:
        held, reason, message = True, PUT_BACK, last.message
    else:
        held, reason, message = True, "ManifestHolds", holds
    generation = existing.metadata.generation
    return condition(before, "HeldByManifest", held, reason, message, generation=generation, now=now)
