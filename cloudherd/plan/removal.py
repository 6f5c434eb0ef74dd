"""Which VMs must go now, and why: failed and late ones, surplus ones, outdated ones, and those of sites that nobody
needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.assignment import Assignment
from cloudherd.plan.candidates import label
from cloudherd.plan.model import DeleteInstance
from cloudherd.plan.observed import Observed
from cloudherd.plan.rollout import replaced
from cloudherd.plan.victims import victims
from cloudherd.plan.vm import Vm


def removals(observed: Observed, assignment: Assignment) -> list[DeleteInstance]:
    """Each Instance goes for one reason only, the first that holds."""
    return _Removal(observed, assignment).run()


class _Removal:
    def __init__(self, observed: Observed, assignment: Assignment) -> None:
        self.observed, self.assignment = observed, assignment
        self.records, self.counts = observed.records, observed.counts
        self.named = {candidate.key for candidate in observed.order}
        self.found: dict[str, DeleteInstance] = {}

    def run(self) -> list[DeleteInstance]:
        self._failed()
        self._unnamed_services()
        for service in self.observed.scalable:
            self._scale_down(service)
            self._replace_scalable(service)
        for service in self.observed.fixed:
            for account in self.records.accounts():
                self._fixed_at(service, account)
        self._close_sites()
        return list(self.found.values())

    def _delete(self, vm: Vm, reason: str, message: str, *, guarded: bool = False) -> None:
        self.found.setdefault(vm.uid, DeleteInstance(vm.instance, reason, message, guarded))

    def _left(self, vms: Sequence[Vm]) -> list[Vm]:
        return [vm for vm in vms if vm.uid not in self.found] if self.found else list(vms)

    def _failed(self) -> None:
        for vm in self.records.failed:
            verdict = vm.verdict
            self._delete(vm, verdict.reason if verdict else "Failed", verdict.message if verdict else "")
        for vm in self.records.late:
            service = self.observed.view.cluster.spec.service(vm.service)
            limit = service.readiness.timeout if service else ""
            self._delete(vm, "ReadinessTimeout", f"not ready within {limit} (readiness.timeout)")

    def _unnamed_services(self) -> None:
        for name, alive in self.records.of.items():
            if self.observed.view.cluster.spec.service(name) is None:
                for vm in alive:
                    self._delete(vm, "ServiceRemoved", f"service {name} is no longer in the manifest")

    # -- scalable services

    def _scale_down(self, service: Service) -> None:
        name, alive = service.name, self.records.of.get(service.name, [])
        surplus = self.records.kept(name) - self.counts[name]
        if surplus > 0:
            replaceable = len(self.observed.rolling.get(name, ())) + len(self.observed.moving.get(name, ()))
            # What may turn out to be outdated has its replacement not taken away yet.
            undecided = sum(count for (one, _), count in self.observed.unknown.items() if one == name)
            surplus -= min(self.observed.limits(service).surge, replaceable + undecided)
        preference = {candidate.key: place for place, candidate in enumerate(self.observed.order)}
        balanced = self.observed.view.cluster.spec.placement.strategy == "Balanced"
        for vm in victims(alive, surplus, preference, balanced=balanced):
            self._delete(vm, "ScaledDown", f"{name} is asked for {self.counts[name]}", guarded=True)

    def _replace_scalable(self, service: Service) -> None:
        old = self._left(self.observed.rolling.get(service.name, ()))
        movable = self._movable(service)
        alive = self._left(self.records.of.get(service.name, ()))
        for vm in replaced(alive, [*old, *movable], self.counts[service.name], self.observed.limits(service)):
            if vm.account in self.named:
                self._delete(vm, "Updated", f"{service.name} has a new revision")
            else:
                self._delete(vm, "Drained", f"{label(vm.account)} is in no entry of the placement any more")

    def _movable(self, service: Service) -> list[Vm]:
        """Those that move and whose replacement stands or has a place."""
        moving = self._left(self.observed.moving.get(service.name, ()))
        if not moving:
            return []
        held = self.assignment.places + self.assignment.spare
        elsewhere = len(self._left(self.records.of[service.name])) - len(moving)
        elsewhere += sum(count for (name, _), count in held.items() if name == service.name)
        needed = max(0, self.counts[service.name] - elsewhere)
        return moving[needed:]

    # -- fixed services

    def _fixed_at(self, service: Service, account: ObjectKey) -> None:
        alive = self.records.alive.get((service.name, account), [])
        old = [vm for vm in self.observed.rolling.get(service.name, ()) if vm.account == account]
        want, limits = self.counts[service.name], self.observed.limits(service)
        replaceable = len(old) + self.observed.unknown[service.name, account]
        surplus = self.records.kept_at(service.name, account) - want - min(limits.surge, replaceable)
        for vm in victims(alive, surplus, {}, balanced=False):
            self._delete(vm, "ScaledDown", f"{service.name} is asked for {want} at each site")
        for vm in replaced(self._left(alive), self._left(old), want, limits):
            self._delete(vm, "Updated", f"{service.name} has a new revision")

    def _close_sites(self) -> None:
        """A site that is given up goes after its last scalable VM; one on an account that the placement no longer names
        stays until another one is complete.
        """
        names = {service.name for service in self.observed.fixed}
        for account in self.records.accounts():
            if account in self.assignment.sites or self._anything_but(names, account):
                continue
            if account in self.named:
                reason, why = "SiteClosed", f"no scalable VM is left at {label(account)}"
            elif any(self.observed.is_complete(site) for site in self.assignment.sites):
                reason, why = "Drained", f"{label(account)} is in no entry of the placement any more"
            else:
                continue
            for service in self.observed.fixed:
                for vm in self.records.alive.get((service.name, account), ()):
                    self._delete(vm, reason, why)

    def _anything_but(self, names: set[str], account: ObjectKey) -> bool:
        """Whether the account has records of other services, or any that cannot be read."""
        others = any(found for (name, at), found in self.records.all.items() if at == account and name not in names)
        return others or any(stranger.account in (account, None) for stranger in self.records.strangers)
