"""Launches that failed in a row, by service and account: how long the next one waits. Lack of room is no failure."""

from __future__ import annotations

from collections.abc import Mapping

from cloudherd.api import Instance, ObjectKey
from cloudherd.api.conditions import is_true
from cloudherd.api.quantity import parse_duration
from cloudherd.plan.model import ClusterView, Memory
from cloudherd.plan.phase import is_ready
from cloudherd.plan.records import At

NO_FAILURE = frozenset({"CloudFull", "ImageMissing", "FlavorMissing", "Invalid"})
"""Refusals that the account remembers itself, and placement passes it over."""
FIRST, LONGEST = 60.0, 1800.0
CLOSE_AFTER = 3
Failures = dict[At, tuple[int, float]]


def backoff(count: int, *, fixed: bool) -> float:
    """Seconds: a fixed service is tried three times before its site is passed over, a scalable one twice; then one
    minute, doubling to thirty.
    """
    free = CLOSE_AFTER - 1 if fixed else 1
    return 0.0 if count <= free else min(LONGEST, FIRST * 2.0 ** (count - free - 1))


def remembered(view: ClusterView, memory: Memory, now: float, monotonic: float) -> Memory:
    """The memory with what the Instances say now. A service that gets ready somewhere has no failures there."""
    waiting = _waiting(view, memory, monotonic)
    failures = _from_status(view, now, monotonic) if memory.fresh else dict(memory.failures)
    for one in view.instances:
        if _at(one) in failures and one.uid not in memory.proven and is_ready(one):
            del failures[_at(one)]
    late = {uid for uid, left in time_left(view, waiting, monotonic).items() if left <= 0}
    failed = {one.uid: one for one in view.instances if one.uid in late or one.status.phase == "Failed"}
    for one in failed.values():
        if one.uid not in memory.blamed and (one.uid in late or _is_launch_failure(one)):
            count = failures.get(_at(one), (0, 0.0))[0] + 1
            wait = backoff(count, fixed=one.spec.service_name in _fixed(view))
            failures[_at(one)] = (count, monotonic + wait)
    proven = frozenset(one.uid for one in view.instances if _at(one) in failures and is_ready(one))
    return Memory(waiting, failures, frozenset(failed), proven, fresh=False)


def _waiting(view: ClusterView, memory: Memory, monotonic: float) -> dict[str, float]:
    """Since when each Instance that has a VM waits to be ready. Where its account is not ready itself nobody can know,
    and the wait starts anew.
    """
    usable = {key for key, account in view.accounts.items() if is_true(account.status.conditions, "Ready")}
    return {
        one.uid: memory.waiting_since.get(one.uid, monotonic)
        for one in view.instances
        if one.status.phase in ("Launching", "Running")
        and not one.deleting
        and not is_ready(one)
        and one.account in usable
    }


def time_left(view: ClusterView, waiting_since: Mapping[str, float], monotonic: float) -> dict[str, float]:
    """Seconds by uid of every Instance that waits to be ready; 0 or less: its time is over."""
    timeouts = {one.name: parse_duration(one.readiness.timeout) for one in view.cluster.spec.services}
    return {
        one.uid: waiting_since[one.uid] + timeouts[one.spec.service_name] - monotonic
        for one in view.instances
        if one.uid in waiting_since and one.spec.service_name in timeouts
    }


def held_back(memory: Memory, monotonic: float) -> dict[At, float]:
    """Seconds still to wait, by service and account."""
    return {at: until - monotonic for at, (_, until) in memory.failures.items() if until > monotonic}


def closed(view: ClusterView, memory: Memory, monotonic: float) -> dict[ObjectKey, str]:
    """The accounts that are passed over, since a fixed service failed there again and again; and why."""
    return {
        account: f"is passed over for now: {service} failed {count} times in a row there"
        for (service, account), (count, until) in memory.failures.items()
        if count >= CLOSE_AFTER and until > monotonic and service in _fixed(view)
    }


def _fixed(view: ClusterView) -> set[str]:
    return {one.name for one in view.cluster.spec.services if one.fixed}


def _at(instance: Instance) -> At:
    return instance.spec.service_name, instance.account


def _is_launch_failure(instance: Instance) -> bool:
    """It never had an address, so it was never ready; nor was it refused for a reason that the account remembers."""
    ready = instance.condition("Ready")
    return instance.status.addresses is None and (ready is None or ready.reason not in NO_FAILURE)


def _from_status(view: ClusterView, now: float, monotonic: float) -> Failures:
    """What a gateway that has just started knows of closed sites. Which fixed service it was does not matter."""
    fixed = next((one.name for one in view.cluster.spec.services if one.fixed), None)
    return {
        (fixed, ObjectKey(site.account_ref.namespace, site.account_ref.name)): (
            site.failures,
            monotonic + site.retry_after.timestamp() - now,
        )
        for site in view.cluster.status.sites
        if fixed and site.retry_after and site.retry_after.timestamp() > now
    }
