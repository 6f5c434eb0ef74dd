"""The conditions of a VirtualCluster: written for a person at 3 a.m. who asks why three are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cloudherd.api import Condition, ObjectKey
from cloudherd.api.cluster import Service, ServiceCount
from cloudherd.api.conditions import find
from cloudherd.plan.candidates import label
from cloudherd.plan.picture import Picture, told
from cloudherd.plan.userdata import Wait
from cloudherd.plan.vm import Vm

MOST_NAMED = 5


def ready(picture: Picture, counts: Sequence[ServiceCount]) -> Condition:
    """Whether every service has as many ready VMs as it asks for, none more, for this generation."""
    view = picture.view
    broken = picture.observed.outcomes.broken()
    if broken:
        return told(view, "Ready", False, "ContextInvalid", "; ".join(broken[:MOST_NAMED]), picture.now)
    services = zip(view.cluster.spec.services, counts, strict=True)
    parts = [_short(picture, service, count) or _behind(picture, service, count) for service, count in services]
    leaving = picture.observed.records.leaving
    failed = len(picture.observed.records.failed) + len(picture.observed.records.late)
    parts += [f"{leaving} on the way out" if leaving else "", f"{failed} failed" if failed else ""]
    parts += [f"no place: {_reasons(picture)}" if picture.assignment.unplaced.total() else ""]
    text = "; ".join(part for part in parts if part)
    if text:
        reason = "Paused" if view.cluster.spec.paused else "NotAllReady"
        return told(view, "Ready", False, reason, text, picture.now)
    total = sum(count.ready for count in counts)
    text = {0: "no VM is asked for", 1: "the one VM is ready"}.get(total, f"all {total} VMs are ready")
    return told(view, "Ready", True, "AllReady", text, picture.now)


def _short(picture: Picture, service: Service, count: ServiceCount) -> str:
    """How many of a service are ready, where these are not exactly those asked for, and what the others wait for."""
    if count.ready == count.current == count.desired:
        return ""
    found: Counter[str] = Counter()
    alive = picture.observed.records.of.get(service.name, ())
    for vm in alive:
        if not vm.ready:
            found[_state(vm)] += 1
    found["unreadable, made by a newer version perhaps"] += count.current - len(alive)
    for (name, key), places in picture.assignment.places.items():
        if name == service.name:
            found[_not_made(picture, service, key)] += places
    found["without a place"] += picture.assignment.unplaced[service.name]
    found["no longer needed"] += count.current - count.desired
    text = ", ".join(f"{number} {what}" for what, number in found.items() if number > 0)
    return f"{service.name}: {count.ready} of {count.desired} ready" + (f" ({text})" if text else "")


def _state(vm: Vm) -> str:
    """How one is that is not ready; with the reason where that says more."""
    state = "unknown" if vm.up else vm.phase.lower()
    reason = f" ({vm.verdict.reason})" if vm.verdict and vm.verdict.reason not in ("Launching", "Starting") else ""
    return f"{state} at {label(vm.account)}{reason}"


def _not_made(picture: Picture, service: Service, key: ObjectKey) -> str:
    """What a VM that has a place waits for."""
    outcome = picture.observed.outcomes.at(service, key)
    if not picture.observed.active:
        return "not made while spec.paused is true"
    if isinstance(outcome, Wait):
        return outcome.why
    account = picture.view.accounts[key]
    if any(vm.deleting for vm in picture.observed.records.all.get((service.name, key), ())):
        return f"waiting at {label(key)} for others to go"
    return f"waiting for room at {label(key)}" if account.status.full else f"about to be made at {label(key)}"


def _behind(picture: Picture, service: Service, count: ServiceCount) -> str:
    """How many VMs are of this generation, where not all are and they are rolled."""
    if picture.view.cluster.spec.update_strategy.type != "RollingUpdate" or count.updated >= count.current:
        return ""
    for (name, key), number in picture.observed.unknown.items():
        outcome = picture.observed.outcomes.at(service, key) if name == service.name else None
        if isinstance(outcome, Wait):
            return f"{name}: {number} may have to be updated, {outcome.why}"
    return f"{count.name}: {count.updated} of {count.desired} updated"


def placed(picture: Picture) -> Condition:
    """Whether every VM that is asked for has an account."""
    view, unplaced = picture.view, picture.assignment.unplaced
    lacking = [f"{one.label} {why}" for one in picture.observed.order for why in sorted(set(one.lacking.values()))]
    if unplaced.total():
        services = [(one, unplaced[one.name]) for one in view.cluster.spec.services if unplaced[one.name]]
        what = ", ".join(f"{number} of {picture.wanted(service)} {service.name}" for service, number in services)
        message = f"no place for {what}: {_reasons(picture, 2 * MOST_NAMED)}"
        return told(view, "Placed", False, "NoPlace", message, picture.now)
    passed = f"; passed over: {_joined(lacking, MOST_NAMED)}" if lacking else ""
    return told(view, "Placed", True, "AllPlaced", f"every VM has an account{passed}", picture.now)


def _reasons(picture: Picture, most: int = MOST_NAMED) -> str:
    """Why each account does not take what has no place."""
    if not picture.observed.order:
        return "spec.placement.accounts matches no CloudAccount"
    why = picture.assignment.why
    return _joined([f"{one.label} {why[one.key]}" for one in picture.observed.order if why.get(one.key)], most)


def _joined(texts: Sequence[str], most: int) -> str:
    more = f"; and {len(texts) - most} more" if len(texts) > most else ""
    return "; ".join(texts[:most]) + more


def progressing(picture: Picture) -> Condition:
    """Whether something is being made, rolled or removed."""
    view, observed, assignment = picture.view, picture.observed, picture.assignment
    if view.cluster.spec.paused:
        return told(view, "Progressing", False, "Paused", "spec.paused is true: nothing is changed", picture.now)
    rolling = sum(len(found) for found in observed.rolling.values())
    work = {
        "being made": assignment.places.total(),
        "starting": observed.records.starting,
        "being removed": picture.removing + observed.records.leaving,
        "to be updated": rolling,
        "to be moved": sum(len(found) for found in observed.moving.values()),
    }
    parts = [", ".join(f"{number} {what}" for what, number in work.items() if number > 0)]
    pinned = sum(len(found) for found in observed.outdated.values()) - rolling
    if pinned > 0 and view.cluster.spec.update_strategy.type == "RollingUpdate":
        parts.append(f"{pinned} outdated ones stay for now, on accounts where nothing new may start")
    if pinned > 0 and view.cluster.spec.update_strategy.type == "OnDelete":
        parts.append(f"{pinned} are outdated until they are deleted (updateStrategy OnDelete)")
    if assignment.no_surge.total():
        parts.append(f"no place for {assignment.no_surge.total()} above what is asked for: {_reasons(picture)}")
    if assignment.stuck.total():
        parts.append(f"no place for {assignment.stuck.total()} to be moved: {_reasons(picture)}")
    text = "; ".join(part for part in parts if part) or "nothing to do"
    busy = bool(parts[0])
    return told(view, "Progressing", busy, "Working" if busy else "Idle", text, picture.now)


def mass_loss(picture: Picture) -> list[Condition]:
    """What the agents say of accounts where this cluster's VMs look lost; nothing where that never was so."""
    frozen = []
    alive = (vm for vms in picture.observed.records.alive.values() for vm in vms)
    for key in sorted({vm.account for vm in alive if vm.verdict and vm.verdict.reason == "MassLoss"}):
        account = picture.view.accounts.get(key)
        loss = find(account.status.conditions, "MassLoss") if account else None
        if loss and loss.status == "True":
            frozen.append(f"{label(key)}: {loss.message}")
    if not frozen and not find(picture.view.cluster.status.conditions, "MassLoss"):
        return []
    reason = "MassLoss" if frozen else "NoLoss"
    return [told(picture.view, "MassLoss", bool(frozen), reason, _joined(frozen, MOST_NAMED), picture.now)]
