"""What every service would boot with at every site, and with that, which Instances are outdated."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudherd.api import ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.candidates import Candidate, label
from cloudherd.plan.dependencies import closures
from cloudherd.plan.model import RECIPE, ClusterView, UserData
from cloudherd.plan.records import At, Records
from cloudherd.plan.userdata import Broken, Outcome, Wait, addresses_of, revision_of, user_data
from cloudherd.plan.vm import Vm
from cloudherd.rendering.model import RenderRequest


@dataclass
class Outcomes:
    """Worked out when asked for, once per service and site of one plan."""

    view: ClusterView
    records: Records
    counts: Mapping[str, int]
    candidates: Mapping[ObjectKey, Candidate]
    known: dict[At, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._closures = closures(self.view.cluster.spec)

    def at(self, service: Service, key: ObjectKey) -> Outcome:
        """The user data of a service at a site, or why it is not to be had."""
        at = (service.name, key)
        if at not in self.known:
            self.known[at] = self._work_out(service, key)
        return self.known[at]

    def _work_out(self, service: Service, key: ObjectKey) -> Outcome:
        candidate = self.candidates.get(key)
        if candidate is None:
            return Wait(f"{label(key)} is in no entry of the placement")
        if candidate.account is None:
            return Wait(f"{label(key)} does not exist")
        neighbours = {}
        for name in self._closures[service.name]:
            found = self.records.all.get((name, key), [])
            why = self._unsettled(name, key, found)
            if why:
                return Wait(f"waiting for {name} at {label(key)} ({why})")
            neighbours[name] = addresses_of(found)
        return user_data(self.view, service, candidate.account, candidate.choices[service.name], neighbours)

    def _unsettled(self, name: str, key: ObjectKey, found: Sequence[Vm]) -> str:
        """Why dependants must still wait for a fixed service at a site: until it is complete, ready and, where it is
        rolled by itself, updated. `found` are all its records there.
        """
        alive = [vm for vm in found if not vm.ending]
        if len(alive) < self.counts[name]:
            return f"{len(alive)} of {self.counts[name]} exist"
        if len(alive) != len(found):
            return f"{len(found) - len(alive)} on the way out"
        if self.view.cluster.spec.update_strategy.type == "RollingUpdate":
            service = self.view.cluster.spec.service(name)
            assert service
            outcome = self.at(service, key)
            if not isinstance(outcome, UserData):
                return outcome.why if isinstance(outcome, Wait | Broken) else "its context is being rendered"
            if self._outdated(name, key, alive, outcome):
                return "it is being updated"
        ready = sum(vm.ready for vm in alive)
        return "" if ready == len(alive) else f"{ready} of {len(alive)} are ready"

    def outdated(self) -> tuple[dict[str, list[Vm]], Counter[At]]:
        """Instances of another revision than their service's at their site, by service; and how many there are of
        which that cannot be said yet.
        """
        found: dict[str, list[Vm]] = defaultdict(list)
        unknown: Counter[At] = Counter()
        for (name, key), vms in self.records.alive.items():
            service = self.view.cluster.spec.service(name)
            if service is None or key not in self.candidates:
                continue
            outcome = self.at(service, key)
            if isinstance(outcome, UserData):
                found[name] += self._outdated(name, key, vms, outcome)
            else:
                unknown[name, key] += len(vms)
        return found, unknown

    def _outdated(self, name: str, key: ObjectKey, vms: Sequence[Vm], outcome: UserData) -> list[Vm]:
        """Each is compared by its own recipe; one that we do not know says nothing."""
        choice, current = self.candidates[key].choices[name], {RECIPE: outcome.revision}
        old = []
        for vm in vms:
            if vm.recipe not in current:
                current[vm.recipe] = revision_of(vm.recipe, outcome.content, choice)
            if current[vm.recipe] not in ("", vm.revision):
                old.append(vm)
        return old

    def renders(self) -> list[RenderRequest]:
        return [outcome for outcome in self.known.values() if isinstance(outcome, RenderRequest)]

    def secrets(self) -> set[str]:
        return {outcome.secret for outcome in self.known.values() if isinstance(outcome, UserData)}

    def broken(self) -> list[str]:
        """What the user must mend, in sentences."""
        return sorted({outcome.why for outcome in self.known.values() if isinstance(outcome, Broken)})
