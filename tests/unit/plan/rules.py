"""What must always hold of a plan, written down independently of the planner: checked at every step of every run."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.api.cluster import Service, UpdateStrategy
from cloudherd.plan.model import ClusterView, CreateInstance, Plan
from tests.unit.plan.world import World

MAY_GO_WHERE_BLOCKED = {"ScaledDown", "ServiceRemoved", "ClusterDeleted", "SiteClosed", "ReadinessTimeout"}


def check(world: World, view: ClusterView, plan: Plan) -> None:
    """AssertionError, with the rule that the plan breaks."""
    counts = _asked_for(view, plan)
    _nothing_out_of_turn(view, plan)
    _never_more_than_asked_for(view, plan, counts)
    _lowest_free_slots(world, view, plan)
    _never_above_a_ceiling(world, view, plan)
    _only_where_it_may(view, plan)
    _neighbours_first(view, plan, counts)
    _enough_stays_available(view, plan, counts)
    _what_is_blocked_is_kept(view, plan)
    _one_reason_each(plan)


def _asked_for(view: ClusterView, plan: Plan) -> dict[str, int]:
    """By service: the manifest's count, else the ClusterService's, else the one that is about to be made."""
    new = {one.spec.service_name: one.spec.replicas for one in plan.create_services}
    have = {name: one.spec.replicas for name, one in view.services.items()}
    return {
        one.name: one.replicas if one.replicas is not None else have.get(one.name, new.get(one.name, 0))
        for one in view.cluster.spec.services
    }


def _nothing_out_of_turn(view: ClusterView, plan: Plan) -> None:
    idle = view.cluster.spec.paused or view.cluster.deleting or view.conflict or view.namespace_ends
    if idle:
        assert not plan.create, "nothing is made in a cluster that is paused, deleted or in conflict"
        assert not plan.holds, "nor is a place held for it"
    if (view.cluster.spec.paused or view.conflict) and not view.cluster.deleting:
        changed = (*plan.delete, *plan.create_services, *plan.update_services)
        assert not changed, "paused stops all but the status"


def _never_more_than_asked_for(view: ClusterView, plan: Plan, counts: dict[str, int]) -> None:
    for service in view.cluster.spec.services:
        new = [one for one in plan.create if one.service == service.name]
        sites = {one.account for one in new} if service.fixed else {None}
        for site in sites if new else ():
            have = sum(
                one.spec.service_name == service.name and site in (None, one.account) for one in view.instances
            ) + sum(one.service == service.name and site in (None, one.account) for one in view.strangers)
            made = sum(site in (None, one.account) for one in new)
            most = counts[service.name] + surge(view.cluster.spec.update_strategy, counts[service.name])
            assert have + made <= most, f"{have} + {made} records of {service.name}, and only {most} are allowed"


def surge(strategy: UpdateStrategy, count: int) -> int:
    if strategy.type == "OnDelete":
        return 0
    value = strategy.max_surge
    return value if isinstance(value, int) else math.ceil(count * int(value[:-1]) / 100)


def unavailable(strategy: UpdateStrategy, count: int) -> int:
    value = strategy.max_unavailable
    most = value if isinstance(value, int) else max(int(value != "0%"), math.floor(count * int(value[:-1]) / 100))
    return max(1, most) if strategy.type == "OnDelete" else most


def _lowest_free_slots(world: World, view: ClusterView, plan: Plan) -> None:
    taken = {*world.instances, *(one.name for one in view.strangers)}
    for one in plan.create:
        free = next(name for n in range(10**6) if (name := f"{view.cluster.name}-{one.service}-{n}") not in taken)
        assert one.name == free, f"{one.name} is made, and {free} is the lowest free slot"
        taken.add(one.name)


def _never_above_a_ceiling(world: World, view: ClusterView, plan: Plan) -> None:
    """All records count until they are gone, of all clusters."""
    for account in {one.account for one in plan.create}:
        new = [one for one in plan.create if one.account == account]
        known = view.accounts[account]
        bound = [one for one in world.instances.values() if one.account == account]
        strange = sum(one.account == account for some in world.strangers.values() for one in some)
        vms = len(bound) + strange + len(new)
        cpus = sum(one.spec.resources.cpus for one in bound) + sum(one.offer.resources.cpus for one in new)
        memory = sum(one.spec.resources.memory for one in bound) + sum(one.offer.resources.memory for one in new)
        quota, limit, foreign = known.spec.quota, known.status.limit, known.status.foreign
        assert quota.instances is None or vms <= quota.instances, f"{vms} VMs on {account}, above the quota"
        assert quota.cpu_count is None or cpus <= quota.cpu_count + 1e-6, f"{cpus} cpus on {account}, above the quota"
        assert quota.memory_bytes is None or memory <= quota.memory_bytes, f"too much memory on {account}"
        if limit and limit.instances is not None:
            assert vms <= limit.instances - (foreign.instances if foreign else 0), f"{account} cannot hold {vms}"
        most = _max_instances(view, known)
        own = sum(one.spec.cluster_name == view.cluster.name for one in bound) + len(new)
        assert most is None or own <= most, f"{own} VMs of {view.cluster.name} on {account}, above maxInstances"


def _max_instances(view: ClusterView, account: CloudAccount) -> int | None:
    return next(entry.max_instances for entry in view.cluster.spec.placement.accounts if _matches(view, entry, account))


def _matches(view: ClusterView, entry: object, account: CloudAccount) -> bool:
    name, selector = getattr(entry, "name", None), getattr(entry, "selector", None)
    return account.name == name or bool(selector and selector.matches(account.metadata.labels))


def _only_where_it_may(view: ClusterView, plan: Plan) -> None:
    for one in plan.create:
        why = blocked(view, one.account)
        assert not why, f"{one.name} is made on {one.account}, which {why}"
        marks = view.accounts[one.account].status.full
        assert not any(mark.flavor in ("", one.offer.flavor_id) for mark in marks), f"{one.account} is marked full"


def blocked(view: ClusterView, key: ObjectKey) -> str:
    account = view.accounts.get(key)
    if account is None:
        return "does not exist"
    if not any(_matches(view, entry, account) for entry in view.cluster.spec.placement.accounts):
        return "is not in the placement"
    ready = any(one.type == "Ready" and one.status == "True" for one in account.status.conditions)
    return "is cordoned" if account.spec.unschedulable else "" if ready else "is not ready"


def _neighbours_first(view: ClusterView, plan: Plan, counts: dict[str, int]) -> None:
    for one in plan.create:
        for dependency in _dependencies(view, one.service):
            found = [
                other
                for other in view.instances
                if other.spec.service_name == dependency.name and other.account == one.account
            ]
            ready = [other for other in found if is_ready(other)]
            early = f"{one.name} is made before {dependency.name} at {one.account} is ready"
            assert len(ready) == len(found), early
            assert len(ready) >= counts[dependency.name], early
        _knows_its_neighbour(view, one)


def _dependencies(view: ClusterView, name: str) -> Iterable[Service]:
    service = view.cluster.spec.service(name)
    for dependency in service.depends_on if service else ():
        found = view.cluster.spec.service(dependency)
        assert found
        yield found
        yield from _dependencies(view, dependency)


def _knows_its_neighbour(view: ClusterView, one: CreateInstance) -> None:
    named = re.search(r"server (\S+)", one.user_data.content.decode())
    if named:
        here = [
            other.status.addresses.first
            for other in view.instances
            if other.spec.service_name == "master" and other.account == one.account and other.status.addresses
        ]
        assert named[1] in here, f"{one.name} is told of a master at {named[1]}, and at its site are {here}"


def is_ready(one: Instance) -> bool:
    return not one.deleting and any(c.type == "Ready" and c.status == "True" for c in one.status.conditions)


def _enough_stays_available(view: ClusterView, plan: Plan, counts: dict[str, int]) -> None:
    going = {one.instance.uid: one.reason for one in plan.delete if one.reason in ("Updated", "Drained")}
    for service in view.cluster.spec.services:
        units: dict[ObjectKey | None, list[Instance]] = {}
        for one in view.instances:
            if one.spec.service_name == service.name:
                units.setdefault(one.account if service.fixed else None, []).append(one)
        for found in units.values():
            rolled = [
                one for one in found if going.get(one.uid) and not (service.fixed and going[one.uid] == "Drained")
            ]
            left = sum(is_ready(one) and one.uid not in {gone.instance.uid for gone in plan.delete} for one in found)
            least = counts[service.name] - unavailable(view.cluster.spec.update_strategy, counts[service.name])
            taken = sum(is_ready(one) for one in rolled)
            assert not taken or left >= least, f"{left} {service.name} stay ready, and {least} must"


def _what_is_blocked_is_kept(view: ClusterView, plan: Plan) -> None:
    for one in plan.delete:
        why = blocked(view, one.instance.account)
        healthy = one.instance.status.phase != "Failed"
        if healthy and why and why != "is not in the placement":
            assert one.reason in MAY_GO_WHERE_BLOCKED, f"{one.instance.name} goes as {one.reason} where all is kept"


def _one_reason_each(plan: Plan) -> None:
    times = Counter(one.instance.uid for one in plan.delete)
    assert all(count == 1 for count in times.values()), "an Instance goes for one reason only"
    assert not any(one.instance.deleting for one in plan.delete), "what is on its way out is not deleted again"
