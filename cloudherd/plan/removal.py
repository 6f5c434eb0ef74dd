"""Which VMs must go now, and why: failed and late ones, surplus ones, outdated ones, and those of sites that nobody
needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudherd.api import Instance, ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.candidates import services_of
from cloudherd.plan.model import ClusterView, DeleteInstance
from cloudherd.plan.placement import Assignment
from cloudherd.plan.records import Records
from cloudherd.plan.rollout import Bounds, bounds, is_ready, replaced
from cloudherd.plan.victims import victims


@dataclass
class Removal:
    """Works out the deletions of one plan. Deletes each Instance for one reason only, the first that holds."""

    view: ClusterView
    records: Records
    counts: Mapping[str, int]
    order: Sequence[ObjectKey]
    assignment: Assignment
    spare: Assignment  # places held for VMs on accounts that the placement no longer names
    outdated: Mapping[str, Sequence[Instance]]
    unsure: set[str]  # services of which it is not known everywhere what is outdated
    found: dict[str, DeleteInstance] = field(default_factory=dict)

    def run(self) -> list[DeleteInstance]:
        self._failed()
        self._unnamed_services()
        fixed, scalable = services_of(self.view.cluster)
        for service in scalable:
            self._scale_down(service)
            self._roll_scalable(service)
        for service in fixed:
            for key in self.records.accounts():
                self._fixed_at(service, key)
        self._close_sites()
        return list(self.found.values())

    def _delete(self, instance: Instance, reason: str, message: str, *, guarded: bool = False) -> None:
        if not instance.deleting and instance.uid not in self.found:
            self.found[instance.uid] = DeleteInstance(instance, reason, message, guarded)

    def _failed(self) -> None:
        for one in self.records.failed:
            ready = one.condition("Ready")
            self._delete(one, ready.reason if ready else "Failed", ready.message if ready else "")
        for one in self.records.late:
            service = self.view.cluster.spec.service(one.spec.service_name)
            limit = service.readiness.timeout if service else ""
            self._delete(one, "ReadinessTimeout", f"was not ready within {limit} (readiness.timeout)")

    def _unnamed_services(self) -> None:
        for (name, _), alive in self.records.alive.items():
            if self.view.cluster.spec.service(name) is None:
                for one in alive:
                    self._delete(one, "ServiceRemoved", f"service {name} is no longer in the manifest")

    # -- scalable services

    def _limits(self, service: Service) -> Bounds:
        return bounds(self.view.cluster.spec.update_strategy, self.counts[service.name])

    def _rolls(self) -> bool:
        return self.view.cluster.spec.update_strategy.type == "RollingUpdate"

    def _scale_down(self, service: Service) -> None:
        alive = self.records.of(service.name)
        surplus = self.records.kept(service.name) - self.counts[service.name]
        if surplus > 0 and self._rolls():
            surging = len(alive) if service.name in self.unsure else len(self.outdated.get(service.name, ()))
            surplus -= min(self._limits(service).surge, surging)
        preference = {key: place for place, key in enumerate(self.order)}
        balanced = self.view.cluster.spec.placement.strategy == "Balanced"
        for one in victims(alive, max(0, surplus), preference, balanced=balanced):
            self._delete(one, "ScaledDown", f"{service.name} is asked for {self.counts[service.name]}", guarded=True)

    def _roll_scalable(self, service: Service) -> None:
        alive = [one for one in self.records.of(service.name) if one.uid not in self.found]
        old = [one for one in self.outdated.get(service.name, ()) if one.uid not in self.found] if self._rolls() else []
        moving = [one for one in alive if one.account not in self.order]
        held = sum(count for (name, _), count in self.spare.places.items() if name == service.name)
        self._roll(service, alive, [*old, *moving[:held]])

    def _roll(self, service: Service, alive: Sequence[Instance], old: Sequence[Instance]) -> None:
        if not old:
            return
        for one in replaced(alive, old, self.counts[service.name], self._limits(service)):
            if one.account in self.order:
                self._delete(one, "Updated", f"{service.name} has a new revision")
            else:
                self._delete(one, "Drained", f"{_label(one.account)} is in no entry of the placement any more")

    # -- fixed services

    def _fixed_at(self, service: Service, key: ObjectKey) -> None:
        alive = self.records.alive.get((service.name, key), [])
        old = [one for one in self.outdated.get(service.name, ()) if one.account == key] if self._rolls() else []
        surplus = len(alive) - self.counts[service.name] - min(self._limits(service).surge, len(old))
        for one in victims(alive, max(0, surplus), {}, balanced=False):
            self._delete(one, "ScaledDown", f"{service.name} is asked for {self.counts[service.name]} at each site")
        self._roll(service, [one for one in alive if one.uid not in self.found], old)

    def _close_sites(self) -> None:
        """A further site gives up its fixed services when nothing scalable is left or meant for it; the first one
        never.
        """
        fixed, scalable = services_of(self.view.cluster)
        names = [service.name for service in fixed]
        meant: Counter[ObjectKey] = Counter()
        for (name, key), count in self.assignment.places.items():
            meant[key] += count if any(service.name == name for service in scalable) else 0
        for key in self.records.accounts():
            left = [
                one
                for (name, at), found in self.records.all.items()
                if at == key and name not in names
                for one in found
            ]
            unknown = any(stranger.account in (key, None) for stranger in self.view.strangers)
            if left or unknown or meant[key] or not self._dispensable(key, fixed):
                continue
            for one in self.records.at_site(names, key, alive=True):
                self._delete(one, "SiteClosed", f"no scalable VM is left at {_label(key)}")

    def _dispensable(self, key: ObjectKey, fixed: Sequence[Service]) -> bool:
        if key in self.order:
            return key in self.assignment.sites[1:]
        return any(  # a drained account's fixed services stay until another site has its own, ready
            all(
                sum(is_ready(one) for one in self.records.alive.get((service.name, site), ()))
                >= self.counts[service.name]
                for service in fixed
            )
            for site in self.assignment.sites
        )


def _label(key: ObjectKey) -> str:
    return f"{key.namespace}.{key.name}"
