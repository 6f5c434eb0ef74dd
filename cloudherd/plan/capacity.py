"""What accounts can still hold: limits less Instances less holds, counted once for all clusters in one ledger.

Quotas are ceilings on what we create. Counted are all Instances bound to an account, from any namespace, until they
are gone;
of a cluster's records that are ending and its holds the larger counts, since the one's places are kept for the other.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.api.instance import Resources
from cloudherd.plan.model import Offer


@dataclass(slots=True)
class Amount:
    """VMs, cores and bytes together."""

    instances: float = 0
    cpus: float = 0
    memory: float = 0

    def add(self, resources: Resources, times: int = 1) -> None:
        """So many VMs of this size; negative ones are taken off."""
        self.instances += times
        self.cpus += resources.cpus * times
        self.memory += resources.memory * times

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.instances + other.instances, self.cpus + other.cpus, self.memory + other.memory)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.instances - other.instances, self.cpus - other.cpus, self.memory - other.memory)

    def fits(self, resources: Resources) -> bool:
        """Whether one more VM of this size has a place in what is left."""
        return self.instances >= 1 and self.cpus >= resources.cpus - 1e-9 and self.memory >= resources.memory

    def max(self, other: Amount) -> Amount:
        return Amount(max(self.instances, other.instances), max(self.cpus, other.cpus), max(self.memory, other.memory))

    def min(self, other: Amount) -> Amount:
        return Amount(min(self.instances, other.instances), min(self.cpus, other.cpus), min(self.memory, other.memory))


@dataclass(slots=True)
class Room:
    """What one cluster may still bind to one account. A plan takes from it; `why` says what was missing last."""

    left: Amount
    ceiling: str  # what the ceiling is, for people
    full: Sequence[tuple[str, str, str]] = ()  # (flavor id or empty, image id or empty, reason)
    returning: dict[str, int] = field(default_factory=dict)  # by flavor id: places of own VMs that are ending
    why: str = ""

    def fits(self, offer: Offer, times: int = 1) -> bool:
        """Whether `times` more VMs of this offer have a place."""
        self.why = self._lack(offer, times)
        return not self.why

    def marked_full(self, offer: Offer) -> str:
        """Why the cloud is known to refuse this offer for now; empty where it is not."""
        for flavor, image, reason in self.full:
            if flavor in ("", offer.flavor_id) and image in ("", offer.image_id):
                return f"refuses {offer.flavor} with {offer.image} ({reason})" if image else f"is full ({reason})"
        return ""

    def take(self, offer: Offer) -> None:
        self.left = self.left - Amount(1, offer.resources.cpus, offer.resources.memory)
        if self.returning.get(offer.flavor_id):
            self.returning[offer.flavor_id] -= 1

    def copy(self) -> Room:
        return Room(self.left, self.ceiling, self.full, dict(self.returning))

    def _lack(self, offer: Offer, times: int) -> str:
        if self.returning.get(offer.flavor_id, 0) < times and self.marked_full(offer):
            return self.marked_full(offer)
        if self.left.instances < times:
            return f"is full ({self.ceiling})"
        if self.left.cpus < offer.resources.cpus * times - 1e-9:
            return "has too few cpus left (spec.quota.cpus or the cloud's own limit)"
        if self.left.memory < offer.resources.memory * times:
            return "has too little memory left (spec.quota.memory or the cloud's own limit)"
        return ""


def ceiling_of(account: CloudAccount) -> tuple[Amount, str]:
    """The lower of our quota and what the cloud leaves us beside foreign VMs, and which of them it is."""
    quota, limit, foreign = account.spec.quota, account.status.limit, account.status.foreign
    ours = Amount(
        math.inf if quota.instances is None else quota.instances,
        math.inf if quota.cpu_count is None else quota.cpu_count,
        math.inf if quota.memory_bytes is None else quota.memory_bytes,
    )
    clouds = Amount(math.inf, math.inf, math.inf)
    if limit:
        clouds = Amount(
            math.inf if limit.instances is None else limit.instances,
            math.inf if limit.cpus is None else limit.cpus,
            math.inf if limit.memory_bytes is None else limit.memory_bytes,
        )
    if foreign:
        clouds = clouds - Amount(foreign.instances, foreign.cpus, foreign.memory_bytes)
    if ours.instances <= clouds.instances:
        return ours.min(clouds), f"its quota is {ours.instances:.0f} instances" if quota.instances is not None else ""
    others = f", {foreign.instances} of them foreign" if foreign and foreign.instances else ""
    return ours.min(clouds), f"its cloud holds {limit.instances if limit else 0} instances{others}"


def ending(instance: Instance) -> bool:
    """Whether its place will come back: it is being deleted, or it failed and will be."""
    return instance.deleting or instance.status.phase == "Failed"


@dataclass(slots=True)
class _Use:
    alive: Amount = field(default_factory=Amount)
    ending: Amount = field(default_factory=Amount)


class Ledger:
    """All clusters' claims on all accounts. Fed with every change of an Instance; asked by every plan."""

    def __init__(self) -> None:
        self._use: dict[ObjectKey, dict[ObjectKey, _Use]] = defaultdict(dict)
        self._holds: dict[ObjectKey, dict[ObjectKey, list[Resources]]] = {}
        self._waits: dict[ObjectKey, Mapping[ObjectKey, int]] = {}

    def changed(self, cluster: ObjectKey, before: Instance | None, after: Instance | None) -> None:
        """An Instance appeared, changed or went; a new one uses up a hold of its cluster."""
        if before:
            self._count(cluster, before, -1)
        if after:
            self._count(cluster, after, 1)
        if after and not before:
            held = self._holds.get(cluster, {}).get(after.account)
            if held:
                held.pop()

    def _count(self, cluster: ObjectKey, instance: Instance, times: int) -> None:
        clusters = self._use[instance.account]
        use = clusters.setdefault(cluster, _Use())
        (use.ending if ending(instance) else use.alive).add(instance.spec.resources, times)
        if use.alive.instances + use.ending.instances <= 0:
            del clusters[cluster]

    def planned(
        self, cluster: ObjectKey, holds: Mapping[ObjectKey, Sequence[Resources]], waits: Mapping[ObjectKey, int]
    ) -> None:
        """What the cluster's last plan holds, and how many VMs it would put on each full account."""
        self._holds[cluster] = {account: list(held) for account, held in holds.items() if held}
        self._waits[cluster] = dict(waits)

    def forget(self, cluster: ObjectKey) -> None:
        self._holds.pop(cluster, None)
        self._waits.pop(cluster, None)

    def waiting_for(self, account: ObjectKey) -> list[ObjectKey]:
        """The clusters that would put something on this account if it had room."""
        return sorted(cluster for cluster, waits in self._waits.items() if waits.get(account))

    def room(self, account: CloudAccount, cluster: ObjectKey, max_instances: int | None) -> Room:
        """What `cluster` may bind: places of its own ending VMs count as free, for they are kept for it."""
        total, ceiling = ceiling_of(account)
        own = self._use[account.key].get(cluster, _Use())
        left = total - self._others(account.key, cluster) - own.alive
        left.instances = min(left.instances, self._share(account.key, cluster, left.instances))
        if max_instances is not None and max_instances - own.alive.instances < left.instances:
            left.instances, ceiling = max_instances - own.alive.instances, f"maxInstances is {max_instances}"
        full = [(mark.flavor, mark.image, mark.reason) for mark in account.status.full]
        return Room(left, ceiling, full)

    def free_now(self, account: CloudAccount, cluster: ObjectKey) -> Amount:
        """What may be created this moment: ending VMs are still there."""
        own = self._use[account.key].get(cluster, _Use())
        return ceiling_of(account)[0] - self._others(account.key, cluster) - own.alive - own.ending

    def _others(self, account: ObjectKey, cluster: ObjectKey) -> Amount:
        total = Amount()
        users = self._use[account]
        for other in {*users, *(name for name, held in self._holds.items() if account in held)}:
            if other == cluster:
                continue
            use = users.get(other, _Use())
            held = Amount()
            for resources in self._holds.get(other, {}).get(account, ()):
                held.add(resources)
            total = total + use.alive + use.ending.max(held)
        return total

    def _share(self, account: ObjectKey, cluster: ObjectKey, free: float) -> float:
        """How many of `free` places are this cluster's turn: one VM at a time, those with the fewest here first."""
        waits = {other: waits[account] for other, waits in self._waits.items() if waits.get(account)}
        waits.pop(cluster, None)
        if not waits or math.isinf(free):
            return free
        here = self._use[account]
        line = [(here[other].alive.instances if other in here else 0, other) for other in (*waits, cluster)]
        heapq.heapify(line)
        share = 0
        for _ in range(int(free)):
            count, first = heapq.heappop(line)
            while first != cluster and not waits[first]:
                count, first = heapq.heappop(line)
            if first == cluster:
                share += 1
            else:
                waits[first] -= 1
            heapq.heappush(line, (count + 1, first))
        return share
