"""Which outdated VMs are replaced now, under the update strategy. The arithmetic is that of a Deployment's rolling
update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudherd.api.cluster import UpdateStrategy
from cloudherd.plan.vm import Vm


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many of a unit (a scalable service, or a fixed one at one site) may be missing and how many too many."""

    unavailable: int
    surge: int


def bounds(strategy: UpdateStrategy, desired: int) -> Bounds:
    """`maxUnavailable` rounds down, but not below 1 unless it is 0; maxSurge rounds up. OnDelete makes nothing ahead of
    time; what moves for other reasons than an update still goes a few at a time.
    """
    unavailable = _share(strategy.max_unavailable, desired, up=False)
    if strategy.type == "OnDelete":
        return Bounds(max(1, unavailable), 0)
    return Bounds(unavailable, _share(strategy.max_surge, desired, up=True))


def _share(value: int | str, desired: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    percent = int(value.rstrip("%"))
    if up:
        return -(-desired * percent // 100)
    return max(1, desired * percent // 100) if percent else 0


def surge_wanted(desired: int, alive: int, outdated: int, limits: Bounds) -> int:
    """How many VMs above `desired` should stand while outdated ones are replaced; never more new ones than are asked
    for.
    """
    return max(0, min(limits.surge, outdated, desired + limits.surge - alive))


def replaced(alive: Sequence[Vm], outdated: Sequence[Vm], desired: int, limits: Bounds) -> list[Vm]:
    """The outdated ones to delete now: those that are not ready first, then ready ones, the lowest slot last.

    `alive` are all records of the unit that are not ending, the outdated among them. Never fewer than `desired` less
    maxUnavailable stay available; VMs that are new and not ready yet use that allowance up first.
    """
    if not outdated:
        return []
    old = {vm.uid for vm in outdated}
    least = desired - limits.unavailable
    ready = sum(vm.ready for vm in alive)
    new_not_ready = sum(not vm.ready and vm.uid not in old for vm in alive)
    budget, to_spare = len(alive) - least - new_not_ready, ready - least
    chosen: list[Vm] = []
    for vm in sorted(outdated, key=lambda vm: (vm.ready, -vm.slot)):
        if len(chosen) >= budget:
            break
        if vm.ready:
            if to_spare <= 0:
                break
            to_spare -= 1
        chosen.append(vm)
    return chosen
