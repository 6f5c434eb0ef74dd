"""The status of a VirtualCluster: counts by service, sites, conditions."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Literal

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import AccountKeyRef, ClusterStatus, ServiceCount, SiteStatus
from cloudherd.api.conditions import merged
from cloudherd.plan.model import ClusterView
from cloudherd.plan.phase import is_ready
from cloudherd.plan.picture import Picture, told
from cloudherd.plan.sentences import MOST_NAMED, mass_loss, placed, progressing, ready

STEADY = 5.0  # seconds


def status(picture: Picture) -> ClusterStatus:
    cluster = picture.view.cluster
    counts = [picture.count(service) for service in cluster.spec.services]
    conditions = (ready(picture, counts), placed(picture), progressing(picture), *mass_loss(picture))
    return ClusterStatus(
        observed_generation=cluster.metadata.generation,
        services=counts,
        sites=[_site(picture, key) for key in _site_keys(picture)],
        conditions=merged(cluster.status.conditions, *conditions),
    )


def _site_keys(picture: Picture) -> list[ObjectKey]:
    """Those that stand, those that end, and accounts that are passed over for now."""
    fixed = {service.name for service in picture.observed.fixed}
    passed_over = [
        key
        for (name, key), (_, until) in picture.memory.failures.items()
        if name in fixed and until > picture.monotonic
    ]
    return list(dict.fromkeys((*picture.assignment.sites, *picture.observed.records.accounts(), *passed_over)))


def _site(picture: Picture, key: ObjectKey) -> SiteStatus:
    found = picture.observed.records
    alive = [one for (_, at), instances in found.alive.items() if at == key for one in instances]
    failures = [picture.memory.failures.get((service.name, key), (0, 0.0)) for service in picture.observed.fixed]
    count, until = max(failures, default=(0, 0.0))
    state: Literal["Opening", "Open", "Closing", "Closed"] = "Closed"
    if key in picture.assignment.sites:
        state = "Open" if picture.observed.is_complete(key) else "Opening"
    elif key in found.accounts():
        state = "Closing"
    shut = until > picture.monotonic
    return SiteStatus(
        account_ref=AccountKeyRef(namespace=key.namespace, name=key.name),
        state=state,
        instances=len(alive),
        ready=sum(is_ready(one) for one in alive),
        failures=count,
        retry_after=_steady(picture, key, picture.now + until - picture.monotonic) if shut else None,
        reason=f"fixed services failed {count} times in a row" if shut else "",
    )


def _steady(picture: Picture, key: ObjectKey, at: float) -> datetime:
    """The time that the status already holds where it is the same one: two clocks never agree to the second."""
    for site in picture.view.cluster.status.sites:
        same = (site.account_ref.namespace, site.account_ref.name) == key
        if same and site.retry_after and abs(site.retry_after.timestamp() - at) < STEADY:
            return site.retry_after
    return datetime.fromtimestamp(int(at), UTC)


def refused_status(view: ClusterView, reason: str, why: str, now: float) -> ClusterStatus:
    """The status of a cluster that cannot be planned; its VMs are left alone."""
    conditions = (
        told(view, "Ready", False, reason, why, now),
        told(view, "Progressing", False, reason, "nothing is changed until that is mended", now),
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
    what = [f"{number} {name}" for name, number in sorted(left.items())]
    if view.strangers:
        names = ", ".join(one.name for one in view.strangers[:MOST_NAMED])
        what.append(f"{len(view.strangers)} unreadable, made by a newer version perhaps ({names})")
    slow = sorted(
        f"{one.name}: {state.message}"
        for one in view.instances
        if one.deleting and (state := one.condition("Ready")) and state.status == "Unknown"
    )
    text = "; ".join([f"being deleted; left are {', '.join(what)}", *slow[:MOST_NAMED]])
    conditions = (
        told(view, "Ready", False, "Deleting", text, now),
        told(view, "Progressing", True, "Deleting", text, now),
    )
    return ClusterStatus(
        observed_generation=view.cluster.metadata.generation,
        services=[_ending_service(view, name, count) for name, count in sorted(left.items())],
        sites=[_ending_site(view, account) for account in sorted({one.account for one in view.instances})],
        conditions=merged(view.cluster.status.conditions, *conditions),
    )


def _ending_service(view: ClusterView, name: str, current: int) -> ServiceCount:
    ready = sum(is_ready(one) for one in view.instances if one.spec.service_name == name)
    return ServiceCount(name=name, desired=0, current=current, ready=ready, updated=0)


def _ending_site(view: ClusterView, account: ObjectKey) -> SiteStatus:
    here = [one for one in view.instances if one.account == account]
    return SiteStatus(
        account_ref=AccountKeyRef(namespace=account.namespace, name=account.name),
        state="Closing",
        instances=len(here),
        ready=sum(is_ready(one) for one in here),
    )
