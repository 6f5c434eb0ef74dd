"""What one plan finds before it decides: what is asked for, where it may run, what is there, what is outdated."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.candidates import Candidate, candidates, services_of
from cloudherd.plan.failures import closed, time_left
from cloudherd.plan.model import ClusterView, Memory
from cloudherd.plan.outcomes import Outcomes
from cloudherd.plan.records import At, Records, records
from cloudherd.plan.rollout import Bounds, bounds
from cloudherd.plan.vm import Vm


@dataclass(frozen=True)
class Observed:
    view: ClusterView
    counts: Mapping[str, int]  # asked for, by service (Fixed: at each site)
    fixed: Sequence[Service]
    scalable: Sequence[Service]
    order: Sequence[Candidate]
    records: Records
    outcomes: Outcomes
    outdated: Mapping[str, Sequence[Vm]]  # of another revision than their service's at their site, by service
    unknown: Counter[At]  # how many there are of which that cannot be said yet
    rolling: Mapping[str, Sequence[Vm]]  # the outdated ones that the update strategy replaces
    moving: Mapping[str, Sequence[Vm]]  # scalable ones on accounts that the placement no longer names
    seconds_left: Mapping[str, float]  # by uid, of those that wait to be ready

    def limits(self, service: Service) -> Bounds:
        return bounds(self.view.cluster.spec.update_strategy, self.counts[service.name])

    def is_complete(self, site: ObjectKey) -> bool:
        """Whether all fixed services of a site are up."""
        return all(
            sum(vm.up for vm in self.records.alive.get((service.name, site), ())) >= self.counts[service.name]
            for service in self.fixed
        )

    @property
    def active(self) -> bool:
        """Whether anything but statuses may be written."""
        return not self.view.cluster.spec.paused and not self.view.namespace_ends


def observe(
    view: ClusterView, vms: Sequence[Vm], counts: Mapping[str, int], memory: Memory, monotonic: float
) -> Observed:
    fixed, scalable = services_of(view.cluster)
    passed_over = closed(view, memory, monotonic)
    order = [replace(one, blocked=one.blocked or passed_over.get(one.key, "")) for one in candidates(view)]
    by_key = {candidate.key: candidate for candidate in order}
    seconds_left = time_left(view, vms, memory.waiting_since, monotonic)
    found = records(vms, view.strangers, seconds_left)
    outcomes = Outcomes(view, found, counts, by_key)
    outdated, unknown = outcomes.outdated()
    rolls = view.cluster.spec.update_strategy.type == "RollingUpdate"
    rolling = {
        # Where nothing new may start, what runs stays: its replacement could not stand beside its neighbours.
        name: [vm for vm in old if not by_key[vm.account].blocked]
        for name, old in outdated.items()
        if rolls
    }
    moving: dict[str, list[Vm]] = defaultdict(list)
    for service in scalable:
        moving[service.name] = [vm for vm in found.of.get(service.name, ()) if vm.account not in by_key]
    return Observed(
        view,
        counts,
        fixed,
        scalable,
        order,
        found,
        outcomes,
        outdated,
        unknown,
        rolling,
        moving,
        seconds_left,
    )
