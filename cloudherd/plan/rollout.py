"""Which outdated VMs are replaced now, under the update strategy. The arithmetic is that of a Deployment's rolling
update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudherd.api import Instance
from cloudherd.api.cluster import UpdateStrategy
from cloudherd.api.conditions import is_true
from cloudherd.plan.slots import slot_of


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many of a unit (a scalable service, or a fixed one at one site) may be missing and how many too many."""

    unavailable: int
    surge: int


def bounds(strategy: UpdateStrategy, desired: int) -> Bounds:
    """MaxUnavailable rounds down, but a percentage of it never below 1; maxSurge rounds up, as in a Deployment."""
    unavailable, surge = strategy.max_unavailable, strategy.max_surge
    if isinstance(unavailable, str):
        unavailable = max(1, desired * int(unavailable.rstrip("%")) // 100)
    if isinstance(surge, str):
        surge = -(-desired * int(surge.rstrip("%")) // 100)
    return Bounds(unavailable or (0 if surge else 1), surge)


def is_ready(instance: Instance) -> bool:
    return is_true(instance.status.conditions, "Ready") and not instance.deleting


def surge_wanted(desired: int, alive: int, outdated: int, limits: Bounds) -> int:
    """How many VMs above `desired` should stand while outdated ones are replaced; never more new ones than are asked
    for.
    """
    return max(0, min(limits.surge, outdated, desired + limits.surge - alive))


def replaced(alive: Sequence[Instance], outdated: Sequence[Instance], desired: int, limits: Bounds) -> list[Instance]:
    """The outdated ones to delete now: those that are not ready first, then ready ones, oldest slot last.

    `alive` are all records of the unit that are not ending, the outdated among them. Never fewer than `desired` less
    maxUnavailable stay available; VMs that are new and not ready yet use that allowance up first.
    """
    old = {instance.uid for instance in outdated}
    least = desired - limits.unavailable
    new_not_ready = sum(not is_ready(one) and one.uid not in old for one in alive)
    budget = len(alive) - least - new_not_ready
    chosen: list[Instance] = []
    available = sum(is_ready(one) for one in alive)
    for one in sorted(outdated, key=lambda one: (is_ready(one), -slot_of(one))):
        if len(chosen) >= budget:
            break
        if is_ready(one):
            if available <= least:
                break
            available -= 1
        chosen.append(one)
    return chosen
