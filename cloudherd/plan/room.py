"""What one cluster may still bind to one account, and why not more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cloudherd.api import CloudAccount
from cloudherd.plan.amount import ROUNDING, Amount
from cloudherd.plan.model import Offer


@dataclass(slots=True)
class Room:
    """`left` is what there is; `allowed` the VMs that the cluster's own maxInstances admits; of new VMs, `turn` are
    this cluster's turn, or `urgent_turn` where they are fixed ones of an open site. A plan takes from it; `why` says
    what the last one lacked, `crowded` whether that was room that others have.
    """

    left: Amount
    allowed: float
    turn: float
    urgent_turn: float
    ceiling: str  # what the limit of instances is, for people
    full: Sequence[tuple[str, str, str]] = ()  # (flavor id or empty, image id or empty, reason)
    returning: Counter[str] = field(default_factory=Counter)  # by flavor id: places that own VMs give or gave back
    why: str = ""
    crowded: bool = False

    def take(self, offer: Offer, wanted: int, *, urgent: bool = False) -> int:
        """Takes as many of the `wanted` places as there are."""
        limit, why, crowded = min(self._limits(offer, urgent=urgent), key=lambda found: found[0])
        taken = int(max(0, min(wanted, limit)))
        self.why, self.crowded = (why, crowded) if taken < wanted else ("", False)
        self.left = self.left - Amount.of(offer.resources, taken)
        self.allowed -= taken
        self.turn -= taken
        self.urgent_turn -= taken
        self.returning[offer.flavor_id] = max(0, self.returning[offer.flavor_id] - taken)
        return taken

    def _limits(self, offer: Offer, *, urgent: bool) -> list[tuple[float, str, bool]]:
        """How many VMs each limit admits, in words, and whether it is room that others have."""
        size, marked = offer.resources, self.marked_full(offer)
        # Places that it is others' turn to take are as good as taken.
        places = min(self.left.instances, self.urgent_turn if urgent else self.turn)
        cpus, memory = _times(self.left.cpus, size.cpus), _times(self.left.memory, size.memory)
        return [
            (self._despite_marks(offer), marked, False),
            (self.allowed, "has as many VMs of this cluster as maxInstances admits", False),
            (places, f"is full ({self.ceiling})", True),
            (cpus, "has too few cpus left (spec.quota.cpus or the cloud's limit)", True),
            (memory, "has too little memory left (spec.quota.memory or the cloud's limit)", True),
        ]

    def give_back(self, amount: Amount, flavor_id: str) -> None:
        """The place of an own VM that is about to go."""
        self.left = self.left + amount
        self.allowed += amount.instances
        self.turn += amount.instances
        self.urgent_turn += amount.instances
        self.returning[flavor_id] += 1

    def marked_full(self, offer: Offer) -> str:
        """Why the cloud is known to refuse this offer for now; empty where it is not."""
        for _, image, reason in self._marks(offer):
            return f"refuses {offer.flavor} with {offer.image} ({reason})" if image else f"is full ({reason})"
        return ""

    def _despite_marks(self, offer: Offer) -> float:
        """Places that own VMs give back are there where a mark says that the account is full, of no use where it says
        that it does not take this image.
        """
        marks = self._marks(offer)
        if not marks:
            return math.inf
        return 0 if any(image for _, image, _ in marks) else self.returning[offer.flavor_id]

    def _marks(self, offer: Offer) -> list[tuple[str, str, str]]:
        return [one for one in self.full if one[0] in ("", offer.flavor_id) and one[1] in ("", offer.image_id)]

    def copy(self) -> Room:
        return replace(self, returning=self.returning.copy())


def _times(left: float, size: float) -> float:
    return math.inf if size <= 0 or math.isinf(left) else math.floor((left + ROUNDING) / size)


def ceiling_of(account: CloudAccount) -> tuple[Amount, str]:
    """The lower of our quota and what the cloud leaves us beside foreign VMs, and which of them it is."""
    quota, limit, foreign = account.spec.quota, account.status.limit, account.status.foreign
    ours = Amount(_or_inf(quota.instances), _or_inf(quota.cpu_count), _or_inf(quota.memory_bytes))
    clouds = Amount(math.inf, math.inf, math.inf)
    if limit:
        clouds = Amount(_or_inf(limit.instances), _or_inf(limit.cpus), _or_inf(limit.memory_bytes))
    if foreign:
        clouds = clouds - Amount(foreign.instances, foreign.cpus, foreign.memory_bytes)
    if ours.instances <= clouds.instances:
        return ours.min(clouds), f"spec.quota.instances is {ours.instances:.0f}" if quota.instances is not None else ""
    others = f", {foreign.instances} of them not ours" if foreign and foreign.instances else ""
    return ours.min(clouds), f"its cloud holds {limit.instances if limit else 0} VMs{others}"


def _or_inf(value: float | None) -> float:
    return math.inf if value is None else value
