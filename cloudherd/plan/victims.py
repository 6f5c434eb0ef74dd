"""Which VMs go when a service is asked for fewer."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from cloudherd.api import Instance, ObjectKey
from cloudherd.plan.vm import Vm


def victims(alive: Sequence[Vm], surplus: int, preference: Mapping[ObjectKey, int], *, balanced: bool) -> list[Vm]:
    """The `surplus` to delete: not-ready ones first (Unknown ranks with ready), then the cheapest by
    cloudherd.dev/deletion-cost, then by site (Ordered: last preference first; Balanced: the fullest, ties last
    preference first), then the newest. `preference` is each account's place in the order; one that is not in it goes
    first.
    """
    if surplus <= 0:
        return []
    here = Counter(vm.account for vm in alive)
    tiers: dict[tuple[bool, int], dict[ObjectKey, list[Vm]]] = defaultdict(lambda: defaultdict(list))
    for vm in alive:
        tiers[vm.up, deletion_cost(vm.instance)][vm.account].append(vm)
    chosen: list[Vm] = []
    for _, sites in sorted(tiers.items()):
        for found in sites.values():
            found.sort(key=lambda vm: (vm.instance.age_base, vm.slot))
        chosen += islice(_by_site(sites, here, preference, balanced=balanced), surplus - len(chosen))
    return chosen


def _by_site(
    sites: Mapping[ObjectKey, list[Vm]],
    here: Counter[ObjectKey],
    preference: Mapping[ObjectKey, int],
    *,
    balanced: bool,
) -> Iterator[Vm]:
    """Those of one tier, which stand oldest first at each site. Counts down `here`, all VMs of a site, as they go."""

    def rank(account: ObjectKey) -> tuple[int, int, ObjectKey]:
        return -here[account] if balanced else 0, -preference.get(account, len(preference)), account

    queue = [rank(account) for account in sites]
    heapq.heapify(queue)
    while queue:
        account = queue[0][2]
        here[account] -= 1
        yield sites[account].pop()
        if sites[account]:
            heapq.heapreplace(queue, rank(account))
        else:
            heapq.heappop(queue)


def deletion_cost(instance: Instance) -> int:
    """The annotation as a number; what is none counts as 0, as Kubernetes' pod-deletion-cost does."""
    try:
        return int(instance.annotation("deletion-cost"))
    except ValueError:
        return 0
