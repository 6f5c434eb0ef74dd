"""What accounts can still hold: limits less Instances less holds, counted once for all clusters in one ledger.

Quotas are ceilings on what we create. Counted are all Instances bound to an account, from any namespace, until they
are gone; of a cluster's records that are ending and its holds the larger counts, since the one's places are kept for
the other.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cloudherd.api import CloudAccount, Instance, ObjectKey
from cloudherd.api.instance import Resources
from cloudherd.plan.amount import NOTHING, Amount
from cloudherd.plan.model import Stranger, Waiting
from cloudherd.plan.room import Room, ceiling_of


@dataclass(slots=True)
class _Claim:
    """What one cluster has on one account: VMs that stand or start, VMs that end, places held for others to come; and
    by flavor, how many VMs that end still have their place at the cloud, and how many have just given it back.
    """

    alive: Amount = NOTHING
    ending: Amount = NOTHING
    held: Amount = NOTHING
    returning: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> Amount:
        return self.ending.max(self.held)

    @property
    def total(self) -> Amount:
        return self.alive + self.kept


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the ledger counts of an Instance."""

    account: ObjectKey
    size: Amount
    ending: bool
    flavor: str  # empty where it has no VM, or one that found no place


class Ledger:
    """All clusters' claims on all accounts. Fed with every change of an Instance; asked by every plan."""

    def __init__(self) -> None:
        self._claims: dict[ObjectKey, dict[ObjectKey, _Claim]] = defaultdict(dict)  # by account and cluster
        self._claimed: dict[ObjectKey, Amount] = {}  # the sum of each account's claims
        self._waits: dict[ObjectKey, dict[ObjectKey, Waiting]] = defaultdict(dict)  # by account and cluster
        self._planned: dict[ObjectKey, set[ObjectKey]] = defaultdict(set)  # accounts with holds or waits, by cluster

    # -- what the Instances say

    def changed(
        self, cluster: ObjectKey, before: Instance | Stranger | None, after: Instance | Stranger | None
    ) -> None:
        """An Instance of the cluster, readable or not, appeared, changed or went. A new one uses up a hold; the place
        of one that went stays the cluster's until its next plan says whether it is wanted.
        """
        old, new = _entry(before), _entry(after)
        if old == new:
            return
        if old:
            self._take_off(cluster, old, gone=new is None)
        if new:
            self._put_on(cluster, new, fresh=old is None)

    def _take_off(self, cluster: ObjectKey, entry: _Entry, *, gone: bool) -> None:
        claim = self._claim(cluster, entry.account)
        kept = claim.kept if entry.ending else claim.kept + entry.size
        if entry.ending:
            claim.ending = claim.ending - entry.size
            if entry.flavor:
                claim.returning[entry.flavor] -= 1
        else:
            claim.alive = claim.alive - entry.size
        if gone:
            claim.held = claim.held.max(kept)
            self._planned[cluster].add(entry.account)
            if entry.flavor:
                claim.returned[entry.flavor] += 1
        self._settle(cluster, entry.account, claim)

    def _put_on(self, cluster: ObjectKey, entry: _Entry, *, fresh: bool) -> None:
        claim = self._claim(cluster, entry.account)
        if fresh:
            claim.held = (claim.held - entry.size).max(NOTHING)
            claim.returned.clear()
        if entry.ending:
            claim.ending = claim.ending + entry.size
            if entry.flavor:
                claim.returning[entry.flavor] += 1
        else:
            claim.alive = claim.alive + entry.size
        self._settle(cluster, entry.account, claim)

    # -- what the plans say

    def planned(
        self, cluster: ObjectKey, holds: Mapping[ObjectKey, Sequence[Resources]], waits: Mapping[ObjectKey, Waiting]
    ) -> list[ObjectKey]:
        """What the cluster's last plan holds, and what it would put on each full account. Returns the clusters that
        wait for what it has given up by that: they must plan again.
        """
        freed: list[ObjectKey] = []
        for account in sorted({*self._planned.pop(cluster, ()), *holds, *waits}):
            claim = self._claim(cluster, account)
            before, waited = claim.total, self._waits[account].pop(cluster, None)
            held, waiting = holds.get(account, ()), waits.get(account)
            claim.held = Amount(len(held), sum(one.cpus for one in held), sum(one.memory for one in held))
            claim.returned = Counter({flavor: min(count, len(held)) for flavor, count in claim.returned.items()})
            if waiting:
                self._waits[account][cluster] = waiting
            wanted = before.instances + (waited.vms if waited else 0)
            wants = claim.total.instances + (waiting.vms if waiting else 0)
            if wants < wanted or not claim.total.covers(before):
                freed.append(account)
            if held or waiting:
                self._planned[cluster].add(account)
            self._settle(cluster, account, claim)
        return sorted({other for account in freed for other in self.waiting_for(account)} - {cluster})

    def forget(self, cluster: ObjectKey) -> list[ObjectKey]:
        """A cluster that is no more holds nothing and waits for nothing. Returns as `planned` does."""
        return self.planned(cluster, {}, {})

    def waiting_for(self, account: ObjectKey) -> list[ObjectKey]:
        """The clusters that would put something on this account if it had room."""
        return sorted(self._waits.get(account, ()))

    # -- what a plan asks

    def room(self, account: CloudAccount, cluster: ObjectKey, max_instances: int | None) -> Room:
        """What `cluster` may bind: what it keeps there already, and its share of what nobody has."""
        total, ceiling = ceiling_of(account)
        own = self._claims.get(account.key, {}).get(cluster, _Claim())
        free = total - self._claimed.get(account.key, NOTHING)
        kept = own.kept.instances
        return Room(
            left=own.kept + free,
            allowed=math.inf if max_instances is None else max_instances - own.alive.instances,
            turn=kept + self._turns(account.key, cluster, free, urgent=False),
            urgent_turn=kept + self._turns(account.key, cluster, free, urgent=True),
            ceiling=ceiling,
            full=[(mark.flavor, mark.image, mark.reason) for mark in account.status.full],
            returning=own.returning + own.returned,
        )

    def free_now(self, account: CloudAccount, cluster: ObjectKey, max_instances: int | None) -> Amount:
        """What may be created this moment: ending VMs are still there."""
        own = self._claims.get(account.key, {}).get(cluster, _Claim())
        others = self._claimed.get(account.key, NOTHING) - own.total
        here = own.alive + own.ending
        free = ceiling_of(account)[0] - others - here
        if max_instances is None:
            return free
        return replace(free, instances=min(free.instances, max_instances - here.instances))

    def _turns(self, account: ObjectKey, cluster: ObjectKey, free: Amount, *, urgent: bool) -> float:
        """How many of the free places are this cluster's turn. Fixed VMs of open sites go before all others; those
        who wait for more than there is do not keep it from the rest.
        """
        waits = {
            other: waiting
            for other, waiting in self._waits.get(account, {}).items()
            if other != cluster and free.covers(waiting.least)
        }
        if not waits or math.isinf(free.instances):
            return free.instances
        claims = self._claims.get(account, {})
        counts = {other: int(claims[other].total.instances) if other in claims else 0 for other in (*waits, cluster)}
        first = {other: waiting.urgent for other, waiting in waits.items()}
        if urgent:
            return turns(int(free.instances), cluster, counts, first)
        rest = {other: waiting.vms - waiting.urgent for other, waiting in waits.items()}
        return turns(int(free.instances) - sum(first.values()), cluster, counts, rest)

    # -- within

    def _claim(self, cluster: ObjectKey, account: ObjectKey) -> _Claim:
        """The claim, taken out of the account's sum until it is settled again."""
        claim = self._claims[account].pop(cluster, None) or _Claim()
        self._claimed[account] = self._claimed.get(account, NOTHING) - claim.total
        return claim

    def _settle(self, cluster: ObjectKey, account: ObjectKey, claim: _Claim) -> None:
        if claim.total.instances > 0:
            self._claims[account][cluster] = claim
            self._claimed[account] = self._claimed[account] + claim.total
        if not self._claims[account]:
            del self._claims[account], self._claimed[account]


def turns(free: int, mine: ObjectKey, counts: Mapping[ObjectKey, int], wanted: Mapping[ObjectKey, int]) -> int:
    """How many of `free` places are mine when each goes to the cluster that has the fewest VMs there, ties by name.
    `wanted` are those that the others want.
    """

    def needed(turn: int) -> int:
        """Places that are gone once I have had so many turns."""
        level = counts[mine] + turn - 1
        return turn + sum(min(more, max(0, level - counts[other] + (other < mine))) for other, more in wanted.items())

    return bisect_right(range(1, max(0, free) + 1), free, key=needed)


def _entry(instance: Instance | Stranger | None) -> _Entry | None:
    if isinstance(instance, Instance):
        flavor = instance.spec.flavor if instance.status.provider_id and not instance.lacked_room else ""
        ending = instance.deleting or instance.status.phase == "Failed"
        return _Entry(instance.account, Amount.of(instance.spec.resources), ending, flavor)
    if instance is None or instance.account is None:
        return None
    return _Entry(instance.account, Amount(1), ending=False, flavor="")
