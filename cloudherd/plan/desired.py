"""How many VMs every service is asked for: by the manifest where it holds a count, else by the ClusterService."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudherd.api import ClusterService, Instance, ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.api.service import ServiceSpec
from cloudherd.plan.model import ClusterView, CreateService, UpdateService


@dataclass(slots=True)
class Desired:
    """Counts by service (Fixed: at each site), and what must be written so that the ClusterServices say the same."""

    counts: dict[str, int] = field(default_factory=dict)
    create: list[CreateService] = field(default_factory=list)
    update: list[UpdateService] = field(default_factory=list)
    drop: list[ClusterService] = field(default_factory=list)


def desired(view: ClusterView) -> Desired:
    result = Desired()
    for service in view.cluster.spec.services:
        existing = view.services.get(service.name)
        if existing is None:
            count = clamp(service, initial(view, service) if service.replicas is None else service.replicas)
            result.create.append(CreateService(f"{view.cluster.name}-{service.name}", _spec(view, service, count)))
        else:
            count = clamp(service, existing.spec.replicas if service.replicas is None else service.replicas)
            _reconcile(view, service, existing, count, result)
        result.counts[service.name] = count
    unnamed = view.services.keys() - {service.name for service in view.cluster.spec.services}
    if unnamed:
        unnamed -= {instance.spec.service_name for instance in view.instances}
        unnamed -= {stranger.service for stranger in view.strangers}
    result.drop = [view.services[name] for name in sorted(unnamed)]
    return result


def clamp(service: Service, count: int) -> int:
    low = service.min_replicas or 0
    high = count if service.max_replicas is None else service.max_replicas
    return max(low, min(count, high))


def initial(view: ClusterView, service: Service) -> int:
    """The count that a service starts from when nobody holds one: what the status last said (a restored object), else
    the Instances that exist, else minReplicas, else 1. For a fixed service all of these are per site.
    """
    status = next((one for one in view.cluster.status.services if one.name == service.name), None)
    if status is not None:
        open_sites = sum(site.state in ("Opening", "Open") for site in view.cluster.status.sites)
        return status.desired // max(1, open_sites) if service.fixed else status.desired
    existing = _existing(view, service)
    if existing:
        return existing
    return 1 if service.min_replicas is None else service.min_replicas


def _existing(view: ClusterView, service: Service) -> int:
    """Those that cannot be read included."""
    accounts: Counter[ObjectKey | None] = Counter(one.account for one in view.instances if _counts(one, service))
    accounts.update(one.account for one in view.strangers if one.service == service.name)
    return max(accounts.values(), default=0) if service.fixed else accounts.total()


def _counts(instance: Instance, service: Service) -> bool:
    return instance.spec.service_name == service.name and not instance.deleting


def _spec(view: ClusterView, service: Service, count: int) -> ServiceSpec:
    return ServiceSpec(
        cluster_name=view.cluster.name,
        service_name=service.name,
        type=service.type,
        replicas=count,
        min_replicas=service.min_replicas,
        max_replicas=service.max_replicas,
    )


def _reconcile(view: ClusterView, service: Service, existing: ClusterService, count: int, result: Desired) -> None:
    wanted: Mapping[str, Any] = {
        "replicas": count,
        "minReplicas": service.min_replicas,
        "maxReplicas": service.max_replicas,
    }
    have = existing.spec
    now = {"replicas": have.replicas, "minReplicas": have.min_replicas, "maxReplicas": have.max_replicas}
    changes = {name: value for name, value in wanted.items() if now[name] != value}
    if changes:
        manifest_stands = view.cluster.status.observed_generation == view.cluster.metadata.generation
        put_back = "replicas" in changes and service.replicas is not None and manifest_stands
        result.update.append(UpdateService(existing, changes, put_back=put_back))
