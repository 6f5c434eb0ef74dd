"""Which VMs go when a service is asked for fewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cloudherd.api import Instance, ObjectKey
from cloudherd.plan.slots import slot_of


def victims(
    alive: Sequence[Instance], surplus: int, preference: Mapping[ObjectKey, int], *, balanced: bool
) -> list[Instance]:
    """The `surplus` to delete: not-ready ones first (Unknown ranks with ready), then the cheapest by
    cloudherd.dev/deletion-cost, then by site (Ordered: last preference first; Balanced: the fullest, ties last
    preference
    first), then the newest. `preference` is each account's place in the order; one that is not in it goes first."""
    left = list(alive)
    here = Counter(instance.account for instance in left)
    chosen: list[Instance] = []

    def rank(instance: Instance) -> tuple[bool, int, int, int, float, int]:
        place = preference.get(instance.account, len(preference))
        return (
            instance.status.phase == "Ready",
            deletion_cost(instance),
            -here[instance.account] if balanced else 0,
            -place,
            -instance.age_base,
            -slot_of(instance),
        )

    if not balanced:
        return sorted(left, key=rank)[:surplus]
    for _ in range(min(surplus, len(left))):
        victim = min(left, key=rank)
        left.remove(victim)
        here[victim.account] -= 1
        chosen.append(victim)
    return chosen


def deletion_cost(instance: Instance) -> int:
    """The annotation as a number; what is none counts as 0, as Kubernetes' pod-deletion-cost does."""
    try:
        return int(instance.annotation("deletion-cost"))
    except ValueError:
        return 0
