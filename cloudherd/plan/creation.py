"""Which of the placed VMs are made now: those whose user data is known, within what is asked for, where there is room
this
moment. All the others keep their places."""

from __future__ import annotations

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Service, UpdateStrategy
from cloudherd.plan.candidates import Candidate
from cloudherd.plan.capacity import Amount, Ledger, Room
from cloudherd.plan.model import ClusterView, CreateInstance, Offer, UserData
from cloudherd.plan.outcomes import Outcomes
from cloudherd.plan.placement import Assignment
from cloudherd.plan.records import Records
from cloudherd.plan.rollout import bounds
from cloudherd.plan.slots import free_slots


def creations(
    view: ClusterView,
    assignment: Assignment,
    outcomes: Outcomes,
    records: Records,
    rooms: dict[ObjectKey, Room],
    ledger: Ledger,
) -> list[CreateInstance]:
    """The Instances to create, fixed services first."""
    own = {one.name for one in view.instances} | {one.name for one in view.strangers}
    free: dict[ObjectKey, Amount] = {}
    create: list[CreateInstance] = []
    services = sorted(view.cluster.spec.services, key=lambda service: not service.fixed)
    for service in services:
        allowed: dict[ObjectKey | None, int] = {}
        slots = free_slots(view.cluster.name, service.name, own, view.taken)
        for key in assignment.sites:
            data = outcomes.at(service, key) if assignment.places[service.name, key] else None
            if not isinstance(data, UserData):
                continue
            candidate = outcomes.candidates[key]
            offer = candidate.offers[service.name]
            unit = key if service.fixed else None
            if unit not in allowed:
                allowed[unit] = allowance(view.cluster.spec.update_strategy, service, outcomes, records, key)
            room_now = _room_now(candidate, offer, rooms[key], free, ledger, view)
            for _ in range(min(assignment.places[service.name, key], allowed[unit])):
                if not room_now.fits(offer.resources):
                    break
                room_now.add(offer.resources, -1)
                allowed[unit] -= 1
                create.append(CreateInstance(next(slots), service.name, key, offer, data))
    return create


def allowance(strategy: UpdateStrategy, service: Service, outcomes: Outcomes, records: Records, key: ObjectKey) -> int:
    """How many records may be added: never more in all than are asked for plus the surge, those that end included."""
    want = outcomes.counts[service.name]
    most = want + (bounds(strategy, want).surge if strategy.type == "RollingUpdate" else 0)
    have = len(records.all.get((service.name, key), ())) if service.fixed else records.count(service.name)
    return max(0, most - have)


def _room_now(
    candidate: Candidate,
    offer: Offer,
    room: Room,
    free: dict[ObjectKey, Amount],
    ledger: Ledger,
    view: ClusterView,
) -> Amount:
    """What the account takes this moment: VMs on their way out are still there, and a full mark still stands."""
    if room.marked_full(offer):
        return Amount()
    if candidate.key not in free:
        assert candidate.account
        free[candidate.key] = ledger.free_now(candidate.account, view.cluster.key)
    return free[candidate.key]
