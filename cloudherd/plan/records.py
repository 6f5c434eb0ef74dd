"""A cluster's Instances, sorted by what a plan asks about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from cloudherd.api import Instance, ObjectKey
from cloudherd.plan.capacity import ending
from cloudherd.plan.model import ClusterView

At = tuple[str, ObjectKey]
"""A service at a site."""


@dataclass(slots=True)
class Records:
    """`alive` are kept and counted as running or on their way; `all` are also those that end. By service and site."""

    alive: dict[At, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    all: dict[At, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    failed: list[Instance] = field(default_factory=list)  # Failed, and not being deleted yet
    late: list[Instance] = field(default_factory=list)  # not ready in time
    strangers: Counter[str] = field(default_factory=Counter)

    def of(self, service: str) -> list[Instance]:
        return [one for (name, _), found in self.alive.items() if name == service for one in found]

    def count(self, service: str) -> int:
        """All records of the service, those that end and those that cannot be read included."""
        return sum(len(found) for (name, _), found in self.all.items() if name == service) + self.strangers[service]

    def kept(self, service: str) -> int:
        """Those that stand for one that is asked for."""
        return len(self.of(service)) + self.strangers[service]

    def accounts(self) -> list[ObjectKey]:
        return list(dict.fromkeys(account for _, account in self.all))

    def at_site(self, services: Iterable[str], account: ObjectKey, *, alive: bool) -> list[Instance]:
        found = self.alive if alive else self.all
        return [one for name in services for one in found.get((name, account), ())]


def records(view: ClusterView, seconds_left: dict[str, float]) -> Records:
    """`seconds_left` by uid, of those that wait to be ready."""
    result = Records()
    for one in sorted(view.instances, key=lambda one: one.name):
        at = (one.spec.service_name, one.account)
        result.all[at].append(one)
        if not one.deleting and one.status.phase == "Failed":
            result.failed.append(one)
        elif not one.deleting and seconds_left.get(one.uid, 1.0) <= 0:
            result.late.append(one)
        elif not ending(one):
            result.alive[at].append(one)
    result.strangers.update(stranger.service for stranger in view.strangers)
    return result
