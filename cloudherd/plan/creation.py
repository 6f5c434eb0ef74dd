"""Which of the placed VMs are made now: those whose user data is known, within what is asked for, where there is room
this moment. All the others keep their places.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.amount import NOTHING, Amount
from cloudherd.plan.assignment import Assignment
from cloudherd.plan.capacity import Ledger
from cloudherd.plan.model import CreateInstance, Offer, UserData
from cloudherd.plan.observed import Observed
from cloudherd.plan.room import Room
from cloudherd.plan.slots import free_slots


def creations(
    observed: Observed, assignment: Assignment, rooms: Mapping[ObjectKey, Room], ledger: Ledger
) -> list[CreateInstance]:
    """The Instances to create, fixed services first."""
    if not assignment.places.total():
        return []
    view, create = observed.view, list[CreateInstance]()
    own = {vm.name for vm in observed.records.vms} | {one.name for one in view.strangers}
    accounts = _Accounts(observed, rooms, ledger)
    for service in (*observed.fixed, *observed.scalable):
        slots = free_slots(view.cluster.name, service.name, own, view.taken)
        allowed = _allowance(observed, service)
        for key in assignment.sites:
            places = assignment.places[service.name, key]
            data = observed.outcomes.at(service, key) if places else None
            if not isinstance(data, UserData):
                continue
            if service.fixed:
                allowed = _allowance_at(observed, service, key)
            offer = accounts.offer(service, key)
            for _ in range(min(places, allowed)):
                if not accounts.take(key, offer):
                    break
                allowed -= 1
                create.append(CreateInstance(next(slots), service.name, key, offer, data))
    return create


def _allowance(observed: Observed, service: Service) -> int:
    """How many records may be added: never more in all than are asked for plus the surge, those that end included."""
    most = observed.counts[service.name] + observed.limits(service).surge
    return max(0, most - observed.records.count(service.name))


def _allowance_at(observed: Observed, service: Service, key: ObjectKey) -> int:
    most = observed.counts[service.name] + observed.limits(service).surge
    return max(0, most - observed.records.count_at(service.name, key))


class _Accounts:
    """What the accounts take this moment: VMs on their way out are still there, and a full mark still stands."""

    def __init__(self, observed: Observed, rooms: Mapping[ObjectKey, Room], ledger: Ledger) -> None:
        self._cluster, self._rooms, self._ledger = observed.view.cluster.key, rooms, ledger
        self._candidates = observed.outcomes.candidates
        self._free: dict[ObjectKey, Amount] = {}

    def offer(self, service: Service, key: ObjectKey) -> Offer:
        return self._candidates[key].offers[service.name]

    def take(self, key: ObjectKey, offer: Offer) -> bool:
        candidate, size = self._candidates[key], Amount.of(offer.resources)
        if self._rooms[key].marked_full(offer):
            return False
        if key not in self._free:
            account = candidate.account
            free = self._ledger.free_now(account, self._cluster, candidate.max_instances) if account else NOTHING
            self._free[key] = free
        if not self._free[key].covers(size):
            return False
        self._free[key] -= size
        return True
