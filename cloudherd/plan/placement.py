"""Where VMs that are missing go: a site is filled, the next one is opened. Never moves or removes anything."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.amount import NOTHING, Amount
from cloudherd.plan.assignment import Ask, Assignment
from cloudherd.plan.candidates import Candidate
from cloudherd.plan.model import Waiting
from cloudherd.plan.records import At
from cloudherd.plan.room import Room


def place(order: Sequence[Candidate], rooms: Mapping[ObjectKey, Room], ask: Ask) -> Assignment:
    """Places for what is asked. Takes from `rooms` what it gives out."""
    return _Placer(order, rooms, ask).run()


class _Placer:
    def __init__(self, order: Sequence[Candidate], rooms: Mapping[ObjectKey, Room], ask: Ask) -> None:
        self.order, self.rooms, self.ask = order, rooms, ask
        self.result = Assignment()
        self.left: Counter[str] = Counter()  # scalable VMs still to place, by service
        self.standing = self._standing()

    def run(self) -> Assignment:
        result, ask = self.result, self.ask
        result.sites = [one.key for one in self.order if one.key in self.standing]
        for candidate in self.order:
            if candidate.key in self.standing:
                self._complete(candidate)
        if not result.sites:
            self._open_first()
        for name, count in self._spread(ask.missing, result.places).items():
            result.no_surge[name] = min(count, ask.surge.get(name, 0))
            result.unplaced[name] = count - result.no_surge[name]
        result.stuck = self._spread(ask.moving, result.spare)
        short = result.unplaced.total() + result.no_surge.total() + result.stuck.total()
        result.waits = {
            key: Waiting(min(one.vms, short), min(one.urgent, short), one.least)
            for key, one in result.waits.items()
            if short
        }
        return result

    # -- sites that stand

    def _standing(self) -> set[ObjectKey]:
        """Those with scalable VMs, and one even without: the first that is complete, or the first if none is."""
        found = [one.key for one in self.order if self._alive(one.key, [*self.ask.fixed, *self.ask.scalable])]
        first = [key for key in found if key in self.ask.complete] or found
        return {*first[:1], *(key for key in found if self._alive(key, self.ask.scalable))}

    def _alive(self, key: ObjectKey, services: Sequence[Service]) -> int:
        return sum(self.ask.alive.get((service.name, key), 0) for service in services)

    def _complete(self, candidate: Candidate) -> None:
        """Gives a site the fixed VMs that it lacks."""
        for service in self.ask.fixed:
            at = (service.name, candidate.key)
            short = self._short(service, candidate.key)
            got = self._take(candidate, service, short)
            no_surge = min(short - got, self.ask.fixed_surge.get(at, 0))
            self.result.places[at] += got
            self.result.no_surge[service.name] += no_surge
            self.result.unplaced[service.name] += short - got - no_surge

    def _short(self, service: Service, key: ObjectKey) -> int:
        at = (service.name, key)
        return max(0, self.ask.counts[service.name] + self.ask.fixed_surge.get(at, 0) - self.ask.alive.get(at, 0))

    # -- one account

    def _take(self, candidate: Candidate, service: Service, wanted: int) -> int:
        """Places for VMs of one service on one account: as many of the wanted ones as it gives."""
        taken, crowded = self._try(candidate, service, wanted, self.rooms[candidate.key])
        if crowded:
            before = self.result.waits.get(candidate.key) or Waiting(0, 0, self._size(candidate, service, 1))
            vms = wanted - taken
            urgent = vms if self._urgent(candidate, service) else 0
            self.result.waits[candidate.key] = Waiting(before.vms + vms, before.urgent + urgent, before.least)
        return taken

    def _try(self, candidate: Candidate, service: Service, wanted: int, room: Room) -> tuple[int, bool]:
        """The places that `room` gives, taken from it; and whether more are lacking only because others have them."""
        if wanted <= 0:
            return 0, False
        why = self._refused(candidate, service)
        if why:
            self.result.why[candidate.key] = why
            return 0, False
        taken = room.take(candidate.offers[service.name], wanted, urgent=self._urgent(candidate, service))
        if taken < wanted:
            self.result.why[candidate.key] = room.why
        return taken, room.crowded

    def _urgent(self, candidate: Candidate, service: Service) -> bool:
        return service.fixed and candidate.key in self.standing

    def _size(self, candidate: Candidate, service: Service, times: int) -> Amount:
        offer = candidate.offers.get(service.name)
        return Amount.of(offer.resources, times) if offer else NOTHING

    def _refused(self, candidate: Candidate, service: Service) -> str:
        why = candidate.blocked or candidate.lacking.get(service.name, "")
        return why or ("" if service.fixed else self.ask.backing_off.get((service.name, candidate.key), ""))

    # -- opening sites

    def _open_first(self) -> None:
        """The first account where the fixed services fit, with a scalable VM beside them if any account has that."""
        self.left = Counter(self.ask.missing) + Counter(self.ask.moving)
        for scalable in (1, 0) if self.left else (0,):
            for candidate in self.order:
                if self._opens(candidate, scalable):
                    self._open(candidate)
                    return
        self.result.unplaced.update({service.name: self.ask.counts[service.name] for service in self.ask.fixed})

    def _may_open(self, candidate: Candidate) -> bool:
        """Whether it may become a further site."""
        if not self.result.sites:
            return False
        burst = self.ask.placement.burst
        others = {*self.result.sites, *(one.key for one in self.order if one.key in self.ask.occupied)} - {
            candidate.key
        }
        if not burst.enabled:
            why = "is not opened, since spec.placement.burst.enabled is false"
        elif burst.max_sites is not None and len(others) >= burst.max_sites:
            why = f"is not opened, since spec.placement.burst.maxSites is {burst.max_sites}"
        elif self.left.total() < burst.min_instances:
            why = f"is not opened for fewer than {burst.min_instances} VMs (spec.placement.burst.minInstances)"
        else:
            return self._opens(candidate, burst.min_instances)
        self.result.why[candidate.key] = candidate.blocked or why
        return False

    def _opens(self, candidate: Candidate, scalable: int) -> bool:
        """Whether all fixed services and so many scalable VMs have a place there; takes none."""
        if candidate.blocked:
            self.result.why[candidate.key] = candidate.blocked
            return False
        refused = [self._refused(candidate, one) for one in self.ask.scalable if self.left[one.name] > 0]
        if scalable and refused and all(refused):
            self.result.why[candidate.key] = refused[0]
            return False
        room = self.rooms[candidate.key].copy()
        needs = [(service, self._short(service, candidate.key)) for service in self.ask.fixed]
        found = [self._try(candidate, service, short, room) for service, short in needs]
        fits = all(taken == short for (_, short), (taken, _) in zip(needs, found, strict=True))
        left = scalable
        for service in self.ask.scalable if fits else ():
            found.append(self._try(candidate, service, min(left, self.left[service.name]), room))
            left -= found[-1][0]
        if fits and not left:
            return True
        if any(crowded for _, crowded in found):
            self.result.waits[candidate.key] = self._waiting(candidate, scalable, needs)
        return False

    def _waiting(self, candidate: Candidate, scalable: int, fixed: Sequence[tuple[Service, int]]) -> Waiting:
        """For a whole site: its fixed services and so many scalable VMs."""
        first = next(iter(service for service in self.ask.scalable if self.left[service.name] > 0), None)
        needs = [*fixed, *([(first, scalable)] if first else ())]
        least = sum((self._size(candidate, service, count) for service, count in needs), NOTHING)
        return Waiting(sum(short for _, short in fixed) + self.left.total(), 0, least)

    def _open(self, candidate: Candidate) -> None:
        order = [one.key for one in self.order]
        self.result.sites = sorted([*self.result.sites, candidate.key], key=order.index)
        self.result.waits.pop(candidate.key, None)
        self._complete(candidate)

    # -- scalable services

    def _spread(self, wanted: Mapping[str, int], into: Counter[At]) -> Counter[str]:
        """Places for all that is wanted; returns what got none."""
        self.left = +Counter(wanted)
        if self.ask.placement.strategy == "Balanced":
            self._balance(into)
        else:
            for candidate in self.order:
                self._fill(candidate, into)
        return +self.left

    def _fill(self, candidate: Candidate, into: Counter[At]) -> None:
        """In the manifest's order of services."""
        if not self.left.total():
            return
        if candidate.key not in self.result.sites:
            if not self._may_open(candidate):
                return
            self._open(candidate)
        for service in self.ask.scalable:
            self._give(candidate, service, self.left[service.name], into)

    def _give(self, candidate: Candidate, service: Service, wanted: int, into: Counter[At]) -> int:
        taken = self._take(candidate, service, wanted)
        into[service.name, candidate.key] += taken
        self.left[service.name] -= taken
        return taken

    def _balance(self, into: Counter[At]) -> None:
        self._open_balanced()
        for service in self.ask.scalable:
            sites = [one for one in self.order if one.key in self.result.sites]
            while self.left[service.name] > 0 and sites:
                counts = [self._count(service, one.key) for one in sites]
                shares = zip(sites, evenly(counts, self.left[service.name]), strict=True)
                sites = [one for one, share in shares if self._give(one, service, share, into) == share]

    def _open_balanced(self) -> None:
        """As many sites as the replicas, burst.minInstances and maxSites allow, in order."""
        total = self.left.total() + sum(
            self._count(service, one.key) for service in self.ask.scalable for one in self.order
        )
        for candidate in self.order:
            enough = total // self.ask.placement.burst.min_instances > len(self.result.sites)
            if enough and candidate.key not in self.result.sites and self.left.total() and self._may_open(candidate):
                self._open(candidate)

    def _count(self, service: Service, key: ObjectKey) -> int:
        at = (service.name, key)
        return self.ask.alive.get(at, 0) + self.result.places[at] + self.result.spare[at]


def evenly(counts: Sequence[int], more: int) -> list[int]:
    """`more` VMs handed out so that the counts become as equal as they can; ties go to the first."""

    def needed(level: int) -> int:
        return sum(max(0, level - count) for count in counts)

    least = min(counts)
    level = least + bisect_right(range(least + 1, max(counts) + more + 1), more, key=needed)
    shares = [max(0, level - count) for count in counts]
    rest = more - sum(shares)
    for number, count in enumerate(counts):
        if rest and count <= level:
            shares[number] += 1
            rest -= 1
    return shares
