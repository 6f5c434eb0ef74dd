"""Launches that failed in a row, by service and account: how long the next one waits. Lack of room is no failure, but
where a site was opened for it in vain: its fixed VMs would come and go as often as the account may have room again.
A gateway that has just started knows of closed sites only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloudherd.api import ObjectKey
from cloudherd.api.conditions import is_true
from cloudherd.api.instance import CLOUD_FULL
from cloudherd.api.quantity import parse_duration
from cloudherd.plan.model import ClusterView, Failure, Memory
from cloudherd.plan.records import At
from cloudherd.plan.vm import Vm

NO_FAILURE = frozenset({CLOUD_FULL, "ImageMissing", "FlavorMissing"})
"""Refusals that the account remembers itself, and placement passes it over."""
FIRST, LONGEST = 60.0, 1800.0
CLOSE_AFTER = 3
Failures = dict[At, Failure]


def backoff(count: int, *, fixed: bool) -> float:
    """Seconds: a fixed service is tried three times before its site is passed over, a scalable one twice; then one
    minute, doubling to thirty.
    """
    free = CLOSE_AFTER - 1 if fixed else 1
    return 0.0 if count <= free else min(LONGEST, FIRST * 2.0 ** (count - free - 1))


def remembered(view: ClusterView, vms: Sequence[Vm], memory: Memory, now: float, monotonic: float) -> Memory:
    """The memory with what the Instances say now. Launches that were under way together fail as one; a service that
    gets ready somewhere has no failures there.
    """
    waiting = _waiting(view, vms, memory, monotonic)
    known = _from_status(view, now, monotonic) if memory.fresh else memory.failures
    failures = {at: one for at, one in known.items() if one.of == edition(view, at)}
    for at in {(vm.service, vm.account) for vm in _ready(vms, failures) if vm.uid not in memory.proven}:
        del failures[at]
    late = {uid for uid, left in time_left(view, vms, waiting, monotonic).items() if left <= 0}
    failed = [vm for vm in vms if vm.uid in late or _is_launch_failure(vm)]
    failed += _in_vain(view, vms)
    again = {(vm.service, vm.account): _words(vm) for vm in failed if vm.uid not in memory.blamed}
    for at, why in again.items():
        count = failures[at].count + 1 if at in failures else 1
        until = monotonic + backoff(count, fixed=at[0] in _fixed(view))
        failures[at] = Failure(count, until, why, edition(view, at))
    blamed = frozenset(vm.uid for vm in vms if vm.uid in memory.blamed or (vm.service, vm.account) in again)
    proven = frozenset(vm.uid for vm in _ready(vms, failures))
    return Memory({id(vm.instance): vm for vm in vms}, waiting, failures, blamed, proven, fresh=False)


def _waiting(view: ClusterView, vms: Sequence[Vm], memory: Memory, monotonic: float) -> dict[str, float]:
    """Since when each Instance that has a VM waits to be ready. Where its account is not ready itself nobody can know,
    and the wait starts anew.
    """
    up = [vm for vm in vms if vm.phase in ("Launching", "Running") and not vm.deleting and not vm.ready]
    waiting = [vm for vm in up if vm.instance.status.provider_id]  # what is claimed only has no VM yet
    accounts = {key: view.accounts.get(key) for key in {vm.account for vm in waiting}}
    usable = {key for key, account in accounts.items() if account and is_true(account.status.conditions, "Ready")}
    return {vm.uid: memory.waiting_since.get(vm.uid, monotonic) for vm in waiting if vm.account in usable}


def time_left(
    view: ClusterView, vms: Sequence[Vm], waiting_since: Mapping[str, float], monotonic: float
) -> dict[str, float]:
    """Seconds by uid of every Instance that waits to be ready; 0 or less: its time is over."""
    if not waiting_since:
        return {}
    timeouts = {one.name: parse_duration(one.readiness.timeout) for one in view.cluster.spec.services}
    return {
        vm.uid: waiting_since[vm.uid] + timeouts[vm.service] - monotonic
        for vm in vms
        if vm.uid in waiting_since and vm.service in timeouts
    }


def held_back(memory: Memory, monotonic: float) -> dict[At, Failure]:
    """The failures that let a service wait at an account."""
    return {at: one for at, one in memory.failures.items() if one.until > monotonic}


def closed(view: ClusterView, memory: Memory, monotonic: float) -> dict[ObjectKey, str]:
    """The accounts that are passed over, since a fixed service failed there again and again; and why."""
    return {
        account: because(f"is passed over for now: {service} failed {one.count} times in a row there", one)
        for (service, account), one in held_back(memory, monotonic).items()
        if one.count >= CLOSE_AFTER and service in _fixed(view)
    }


def because(text: str, failure: Failure) -> str:
    return f"{text} ({failure.why})" if failure.why else text


def _words(vm: Vm) -> str:
    return vm.verdict.message if vm.verdict and vm.phase == "Failed" else "it was not ready in time"


def edition(view: ClusterView, at: At) -> str:
    """All that people can mend: whoever corrects a slip does not wait for what was before. Counts mend nothing."""
    service = next((one for one in view.cluster.spec.services if one.name == at[0]), None)
    if service is None:
        return ""
    request = service.model_copy(update={"replicas": None, "min_replicas": None, "max_replicas": None})
    written = (view.contexts.get(service.context_ref.name), view.accounts.get(at[1]))
    return f"{request!r} {[one.metadata.generation if one else 0 for one in written]}"


def _fixed(view: ClusterView) -> set[str]:
    return {one.name for one in view.cluster.spec.services if one.fixed}


def _ready(vms: Sequence[Vm], failures: Failures) -> list[Vm]:
    """Those that are ready where a launch failed."""
    return [vm for vm in vms if vm.ready and (vm.service, vm.account) in failures] if failures else []


def _in_vain(view: ClusterView, vms: Sequence[Vm]) -> list[Vm]:
    """Those that found no room at a site where there are others, but no scalable one."""
    fixed = _fixed(view)
    others = [vm for vm in vms if vm.phase != "Failed"]
    sites = {vm.account for vm in others} - {vm.account for vm in others if vm.service not in fixed}
    return [
        vm
        for vm in vms
        if vm.phase == "Failed" and vm.verdict and vm.verdict.reason == CLOUD_FULL and vm.account in sites
    ]


def _is_launch_failure(vm: Vm) -> bool:
    """It failed and never had an address, so it was never ready; and not for a reason that the account remembers."""
    known = vm.verdict is not None and vm.verdict.reason in NO_FAILURE
    return vm.phase == "Failed" and not known and vm.instance.status.addresses is None


def _from_status(view: ClusterView, now: float, monotonic: float) -> Failures:
    """What a gateway that has just started knows of closed sites. Which fixed service it was does not matter."""
    fixed = next((one.name for one in view.cluster.spec.services if one.fixed), None)
    return {
        # The clock by which it was written may have been wrong.
        at: Failure(site.failures, monotonic + min(LONGEST, site.retry_after.timestamp() - now), "", edition(view, at))
        for site in view.cluster.status.sites
        if fixed and site.retry_after and site.retry_after.timestamp() > now
        for at in [(fixed, ObjectKey(site.account_ref.namespace, site.account_ref.name))]
    }
