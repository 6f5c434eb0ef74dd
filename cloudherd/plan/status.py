"""The status of a VirtualCluster: counts by service, sites, conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import AccountKeyRef, ClusterStatus, ServiceCount, SiteStatus
from cloudherd.api.conditions import merged
from cloudherd.plan.failures import because, held_back
from cloudherd.plan.model import ClusterView, Failure
from cloudherd.plan.picture import Picture, told
from cloudherd.plan.sentences import MOST_NAMED, mass_loss, placed, progressing, ready
from cloudherd.plan.vm import Vm, vms_of

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
    passed_over = [key for name, key in held_back(picture.memory, picture.monotonic) if name in fixed]
    return list(dict.fromkeys((*picture.assignment.sites, *picture.observed.records.accounts(), *passed_over)))


def _site(picture: Picture, key: ObjectKey) -> SiteStatus:
    found = picture.observed.records
    at = [(service.name, key) for service in picture.observed.fixed]
    failures = [picture.memory.failures[one] for one in at if one in picture.memory.failures]
    failure = max(failures, default=Failure(0, 0.0))
    state: Literal["Opening", "Open", "Closing", "Closed"] = "Closed"
    if key in picture.assignment.sites:
        state = "Open" if picture.observed.is_complete(key) else "Opening"
    elif key in found.accounts():
        state = "Closing"
    shut = failure.until > picture.monotonic
    return SiteStatus(
        account_ref=AccountKeyRef(namespace=key.namespace, name=key.name),
        state=state,
        instances=sum(len(vms) for (_, at), vms in found.alive.items() if at == key),
        ready=sum(count for (_, at), count in found.ready.items() if at == key),
        failures=failure.count,
        retry_after=_steady(picture, key, picture.now + failure.until - picture.monotonic) if shut else None,
        flavors=_found(picture, key),
        reason=because(f"fixed services failed {failure.count} times in a row", failure) if shut else "",
    )


def _found(picture: Picture, key: ObjectKey) -> dict[str, str]:
    candidate = picture.observed.outcomes.candidates.get(key)
    by_size = {name for name, choice in candidate.choices.items() if choice.resources} if candidate else set()
    return {name: offer.flavor for name, offer in candidate.offers.items() if name in by_size} if candidate else {}


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
    vms = vms_of(view.instances)
    left = Counter(vm.service for vm in vms)
    what = [f"{number} {name}" for name, number in sorted(left.items())]
    if view.strangers:
        names = ", ".join(one.name for one in view.strangers[:MOST_NAMED])
        what.append(f"{len(view.strangers)} unreadable, made by a newer version perhaps ({names})")
    slow = [
        f"{vm.name}: {vm.verdict.message}"
        for vm in vms
        if vm.deleting and vm.verdict is not None and vm.verdict.status == "Unknown"
    ]
    text = "; ".join([f"being deleted; left are {', '.join(what)}", *slow[:MOST_NAMED]])
    conditions = (
        told(view, "Ready", False, "Deleting", text, now),
        told(view, "Progressing", True, "Deleting", text, now),
    )
    return ClusterStatus(
        observed_generation=view.cluster.metadata.generation,
        services=[_ending_service(name, vms) for name in sorted(left)],
        sites=[_ending_site(account, vms) for account in sorted({vm.account for vm in vms})],
        conditions=merged(view.cluster.status.conditions, *conditions),
    )


def _ending_service(name: str, vms: Sequence[Vm]) -> ServiceCount:
    here = [vm for vm in vms if vm.service == name]
    return ServiceCount(name=name, desired=0, current=len(here), ready=sum(vm.ready for vm in here), updated=0)


def _ending_site(account: ObjectKey, vms: Sequence[Vm]) -> SiteStatus:
    here = [vm for vm in vms if vm.account == account]
    ref = AccountKeyRef(namespace=account.namespace, name=account.name)
    return SiteStatus(account_ref=ref, state="Closing", instances=len(here), ready=sum(vm.ready for vm in here))
