"""Launches that failed in a row, by service and account: how long the next one waits. Lack of room is no failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cloudherd.api import Instance, ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.model import ClusterView, Memory
from cloudherd.plan.rollout import is_ready

NO_FAILURE = frozenset({"CloudFull", "QuotaExceeded", "NotAllowed", "ImageMissing", "FlavorMissing", "Invalid"})
"""Reasons that say nothing of a launch: the account remembers them itself, and placement passes it over."""
LONGEST = 1800.0
CLOSE_AFTER = 3


def backoff(service_fixed: bool, count: int) -> float:
    """Seconds: a fixed service is tried three times before its site is passed over, a scalable one twice; then one
    minute,
    doubling to thirty."""
    free = CLOSE_AFTER - 1 if service_fixed else 1
    return 0.0 if count <= free else min(LONGEST, 60.0 * 2.0 ** (count - free - 1))


def remembered(view: ClusterView, memory: Memory, monotonic: float) -> Memory:
    """The memory with what the Instances say now."""
    services = {service.name: service for service in view.cluster.spec.services}
    waiting: dict[str, float] = {}
    failures = dict(memory.failures)
    failed = {one.uid for one in view.instances if one.status.phase == "Failed"}
    for one in view.instances:
        at = (one.spec.service_name, one.account)
        if is_ready(one):
            if one.uid in memory.waiting_since:
                failures.pop(at, None)
        elif one.status.phase in ("Launching", "Running") and not one.deleting:
            waiting[one.uid] = memory.waiting_since.get(one.uid, monotonic)
        elif one.status.phase == "Failed" and one.uid not in memory.blamed and _is_launch_failure(one):
            count = failures.get(at, (0, 0.0))[0] + 1
            failures[at] = (count, monotonic + backoff(_fixed(services, one), count))
    return replace(memory, waiting_since=waiting, failures=failures, blamed=frozenset(failed))


def _fixed(services: Mapping[str, Service], instance: Instance) -> bool:
    service = services.get(instance.spec.service_name)
    return service is not None and service.fixed


def _is_launch_failure(instance: Instance) -> bool:
    """It never had an address, so it was never ready; and not for lack of room."""
    ready = instance.condition("Ready")
    return instance.status.addresses is None and (ready is None or ready.reason not in NO_FAILURE)


def timed_out(view: ClusterView, memory: Memory, monotonic: float, timeouts: Mapping[str, float]) -> dict[str, float]:
    """Seconds left by uid of every Instance that waits to be ready; 0 or less: its time is over. Instances of
    accounts that
    are not ready themselves are left out: nobody can know."""
    left = {}
    for one in view.instances:
        account = view.accounts.get(one.account)
        usable = account is not None and any(
            c.type == "Ready" and c.status == "True" for c in account.status.conditions
        )
        since = memory.waiting_since.get(one.uid)
        if usable and since is not None and one.spec.service_name in timeouts:
            left[one.uid] = since + timeouts[one.spec.service_name] - monotonic
    return left


def held_back(memory: Memory, monotonic: float) -> dict[tuple[str, ObjectKey], float]:
    """Seconds still to wait, by service and account."""
    return {at: until - monotonic for at, (_, until) in memory.failures.items() if until > monotonic}
