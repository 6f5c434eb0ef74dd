"""A cluster's Instances, sorted by what a plan asks about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudherd.api import ObjectKey
from cloudherd.plan.model import Stranger
from cloudherd.plan.vm import Vm

At = tuple[str, ObjectKey]
"""A service at a site."""


@dataclass(slots=True)
class Records:
    """`alive` are kept and counted as running or on their way; `all` are also those that end. By service and site, and
    `of` the alive ones by service; all by slot.
    """

    vms: Sequence[Vm]
    strangers: Sequence[Stranger] = ()
    alive: dict[At, list[Vm]] = field(default_factory=lambda: defaultdict(list))
    all: dict[At, list[Vm]] = field(default_factory=lambda: defaultdict(list))
    of: dict[str, list[Vm]] = field(default_factory=lambda: defaultdict(list))
    failed: list[Vm] = field(default_factory=list)  # Failed, and not being deleted yet
    late: list[Vm] = field(default_factory=list)  # not ready in time, and not being deleted yet
    ready: Counter[At] = field(default_factory=Counter)  # of the alive ones
    starting: int = 0  # of the alive ones, those that are not up
    leaving: int = 0  # being deleted

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
        return sum(one.service == service for one in self.strangers) if self.strangers else 0

    def _strange_at(self, service: str, account: ObjectKey) -> int:
        """One whose account cannot be read may be at any."""
        if not self.strangers:
            return 0
        return sum(one.service == service and one.account in (account, None) for one in self.strangers)


def records(vms: Sequence[Vm], strangers: Sequence[Stranger], seconds_left: Mapping[str, float]) -> Records:
    """`vms` by slot; `seconds_left` by uid, of those that wait to be ready."""
    result = Records(vms, strangers)
    for vm in vms:
        at = (vm.service, vm.account)
        result.all[at].append(vm)
        if vm.deleting:
            result.leaving += 1
        elif vm.ending:
            result.failed.append(vm)
        elif seconds_left.get(vm.uid, 1.0) <= 0:
            result.late.append(vm)
        else:
            result.alive[at].append(vm)
            result.of[vm.service].append(vm)
            result.ready[at] += vm.ready
            result.starting += not vm.up
    return result
