"""A cluster's Instances, sorted by what a plan asks about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudherd.api import Instance, ObjectKey
from cloudherd.plan.model import ClusterView, Stranger
from cloudherd.plan.phase import is_ending
from cloudherd.plan.slots import slot_of

At = tuple[str, ObjectKey]
"""A service at a site."""


@dataclass(slots=True)
class Records:
    """`alive` are kept and counted as running or on their way; `all` are also those that end. By service and site, and
    `of` the alive ones by service; all by slot.
    """

    alive: dict[At, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    all: dict[At, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    of: dict[str, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    failed: list[Instance] = field(default_factory=list)  # Failed, and not being deleted yet
    late: list[Instance] = field(default_factory=list)  # not ready in time, and not being deleted yet
    strangers: Sequence[Stranger] = ()

    def count(self, service: str) -> int:
        """All records of the service, those that end and those that cannot be read included."""
        return sum(len(found) for (name, _), found in self.all.items() if name == service) + self._strange(service)

    def count_at(self, service: str, account: ObjectKey) -> int:
        """The same at one site."""
        return len(self.all.get((service, account), ())) + self._strange_at(service, account)

    def kept(self, service: str) -> int:
        """Those that stand for one that is asked for."""
        return len(self.of.get(service, ())) + self._strange(service)

    def kept_at(self, service: str, account: ObjectKey) -> int:
        return len(self.alive.get((service, account), ())) + self._strange_at(service, account)

    def accounts(self) -> list[ObjectKey]:
        """Where there are any, those that end and those that cannot be read included."""
        strange = [one.account for one in self.strangers if one.account]
        return list(dict.fromkeys((*(account for _, account in self.all), *strange)))

    def _strange(self, service: str) -> int:
        return sum(one.service == service for one in self.strangers)

    def _strange_at(self, service: str, account: ObjectKey) -> int:
        """One whose account cannot be read may be at any."""
        return sum(one.service == service and one.account in (account, None) for one in self.strangers)


def records(view: ClusterView, seconds_left: Mapping[str, float]) -> Records:
    """`seconds_left` by uid, of those that wait to be ready."""
    result = Records(strangers=view.strangers)
    for one in sorted(view.instances, key=lambda one: (slot_of(one), one.name)):
        at = (one.spec.service_name, one.account)
        result.all[at].append(one)
        if is_ending(one):
            if not one.deleting:
                result.failed.append(one)
        elif seconds_left.get(one.uid, 1.0) <= 0:
            result.late.append(one)
        else:
            result.alive[at].append(one)
            result.of[one.spec.service_name].append(one)
    return result
