"""Where VMs that are missing go: a site is filled, the next one is opened. Never moves or removes anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Placement, Service
from cloudherd.plan.candidates import Candidate
from cloudherd.plan.capacity import Room

Counts = Counter[tuple[str, ObjectKey]]
"""VMs by service and account."""


@dataclass(slots=True)
class Assignment:
    """`places` are new VMs by service and account; `sites` all that are or become open, in order of preference;
    `unplaced` VMs without a place by service; `why` what kept each account from taking them; `room_wanted` accounts
    that
    lacked nothing but room."""

    places: Counts = field(default_factory=Counter)
    sites: list[ObjectKey] = field(default_factory=list)
    unplaced: Counter[str] = field(default_factory=Counter)
    why: dict[ObjectKey, str] = field(default_factory=dict)
    room_wanted: set[ObjectKey] = field(default_factory=set)


@dataclass(slots=True)
class _Placer:
    order: Sequence[Candidate]
    rooms: Mapping[ObjectKey, Room]
    fixed: Sequence[Service]
    scalable: Sequence[Service]
    fixed_wanted: Mapping[tuple[str, ObjectKey], int]
    alive: Counts
    missing: Counter[str]  # scalable VMs to place, by service
    placement: Placement
    backing_off: Mapping[tuple[str, ObjectKey], str]  # why a scalable service is not tried at an account for now
    result: Assignment

    def run(self) -> Assignment:
        open_sites = [one.key for one in self.order if any(self.alive[s.name, one.key] for s in self._services())]
        self.result.sites = open_sites
        for candidate in self.order:
            if candidate.key in open_sites:
                self._complete(candidate)
        if not self.result.sites:
            self._open_first()
        if self.placement.strategy == "Balanced":
            self._balance()
        else:
            for candidate in self.order:
                self._fill(candidate)
        self.result.unplaced.update({name: count for name, count in self.missing.items() if count > 0})
        return self.result

    def _services(self) -> list[Service]:
        return [*self.fixed, *self.scalable]

    # -- fixed services

    def _fixed_missing(self, key: ObjectKey) -> list[Service]:
        """One entry per fixed VM that the site lacks."""
        missing = []
        for service in self.fixed:
            short = (
                self.fixed_wanted[service.name, key]
                - self.alive[service.name, key]
                - self.result.places[service.name, key]
            )
            missing += [service] * max(0, short)
        return missing

    def _complete(self, candidate: Candidate) -> None:
        """Give an open site the fixed VMs that it lacks."""
        for service in self._fixed_missing(candidate.key):
            if not self._take(candidate, service):
                self.result.unplaced[service.name] += 1

    def _take(self, candidate: Candidate, service: Service) -> bool:
        offer, room = candidate.offers.get(service.name), self.rooms.get(candidate.key)
        why = candidate.blocked or candidate.lacking.get(service.name, "")
        if not service.fixed:
            why = why or self.backing_off.get((service.name, candidate.key), "")
        if why or offer is None or room is None:
            self.result.why[candidate.key] = why
            return False
        if not room.fits(offer):
            self.result.why[candidate.key] = room.why
            self.result.room_wanted.add(candidate.key)
            return False
        room.take(offer)
        self.result.places[service.name, candidate.key] += 1
        return True

    # -- opening sites

    def _open_first(self) -> None:
        """The first account where the fixed services fit, with a scalable VM beside them if any account can have
        that.
        """
        wanted = 1 if any(self.missing.values()) else 0
        for scalable in dict.fromkeys((wanted, 0)):
            for candidate in self.order:
                if self._opens(candidate, scalable):
                    self._open(candidate)
                    return
        for service in self.fixed:
            self.result.unplaced[service.name] += max(
                (self.fixed_wanted[service.name, one.key] for one in self.order), default=1
            )

    def _open(self, candidate: Candidate) -> None:
        order = [one.key for one in self.order]
        self.result.sites = sorted([*self.result.sites, candidate.key], key=order.index)
        self._complete(candidate)

    def _may_open(self, candidate: Candidate) -> bool:
        burst = self.placement.burst
        if not burst.enabled:
            self.result.why[candidate.key] = "is not opened, since spec.placement.burst.enabled is false"
            return False
        if burst.max_sites is not None and len(self.result.sites) >= burst.max_sites:
            self.result.why[candidate.key] = f"is not opened, since spec.placement.burst.maxSites is {burst.max_sites}"
            return False
        return self._opens(candidate, burst.min_instances)

    def _opens(self, candidate: Candidate, scalable: int) -> bool:
        """Whether all fixed services and so many scalable VMs fit; the places themselves are not taken."""
        if candidate.blocked:
            self.result.why[candidate.key] = candidate.blocked
            return False
        trial = _Placer(
            self.order,
            {key: room.copy() for key, room in self.rooms.items() if key == candidate.key},
            self.fixed,
            self.scalable,
            self.fixed_wanted,
            self.alive,
            self.missing.copy(),
            self.placement,
            self.backing_off,
            Assignment(),
        )
        if sum(self.missing.values()) < scalable:
            self.result.why.setdefault(
                candidate.key,
                f"is not opened for fewer than {scalable} scalable VMs (spec.placement.burst.minInstances)",
            )
            return False
        fits = all(trial._take(candidate, service) for service in trial._fixed_missing(candidate.key))
        if fits:
            fits = trial._fill_from(candidate, scalable) >= scalable
        if not fits:
            self.result.why[candidate.key] = trial.result.why.get(candidate.key, "")
            self.result.room_wanted |= trial.result.room_wanted
        return fits

    # -- scalable services

    def _fill(self, candidate: Candidate) -> None:
        if not any(self.missing.values()):
            return
        if candidate.key not in self.result.sites:
            if not self._may_open(candidate):
                return
            self._open(candidate)
        self._fill_from(candidate, sum(self.missing.values()))

    def _fill_from(self, candidate: Candidate, most: int) -> int:
        """Place up to `most` scalable VMs, in the manifest's order of services."""
        placed = 0
        for service in self.scalable:
            while placed < most and self.missing[service.name] > 0 and self._take(candidate, service):
                self.missing[service.name] -= 1
                placed += 1
        return placed

    def _balance(self) -> None:
        self._open_balanced()
        for service in self.scalable:
            open_here = [one for one in self.order if one.key in self.result.sites]
            while self.missing[service.name] > 0 and open_here:
                emptiest = min(open_here, key=lambda one: self._count(service, one.key))
                if self._take(emptiest, service):
                    self.missing[service.name] -= 1
                else:
                    open_here.remove(emptiest)

    def _open_balanced(self) -> None:
        """As many sites as the replicas, burst.minInstances and maxSites allow, in order."""
        total = sum(self.missing.values()) + sum(
            count for (name, _), count in self.alive.items() if any(name == s.name for s in self.scalable)
        )
        for candidate in self.order:
            sites = len(self.result.sites)
            if candidate.key in self.result.sites:
                continue
            if total // self.placement.burst.min_instances > sites and self._may_open(candidate):
                self._open(candidate)

    def _count(self, service: Service, key: ObjectKey) -> int:
        return self.alive[service.name, key] + self.result.places[service.name, key]


def place(
    order: Sequence[Candidate],
    rooms: Mapping[ObjectKey, Room],
    services: tuple[Sequence[Service], Sequence[Service]],
    fixed_wanted: Mapping[tuple[str, ObjectKey], int],
    alive: Counts,
    missing: Counter[str],
    placement: Placement,
    backing_off: Mapping[tuple[str, ObjectKey], str],
) -> Assignment:
    """Places for the missing VMs. Takes from `rooms` what it gives out; `services` are the fixed and the scalable
    ones.
    """
    fixed, scalable = services
    placer = _Placer(
        order, rooms, fixed, scalable, fixed_wanted, alive, missing.copy(), placement, backing_off, Assignment()
    )
    return placer.run()
