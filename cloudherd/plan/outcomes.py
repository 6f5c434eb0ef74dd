"""What every service would boot with at every site, and with that, which Instances are outdated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloudherd.api import Instance, ObjectKey
from cloudherd.api.cluster import Service
from cloudherd.plan.candidates import Candidate
from cloudherd.plan.dependencies import closures
from cloudherd.plan.model import ClusterView, UserData
from cloudherd.plan.records import At, Records
from cloudherd.plan.userdata import Broken, Outcome, Wait, addresses_of, revision_of, settled, user_data
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
        if candidate is None or candidate.account is None:
            return Wait(f"{key.namespace}.{key.name} is in no entry of the placement")
        if service.name not in candidate.offers:
            return Wait(f"{candidate.label} {candidate.lacking[service.name]}")
        neighbours = {}
        for name in self._closures[service.name]:
            found = self.records.all.get((name, key), [])
            why = self._unsettled(name, key, found)
            if why:
                return Wait(f"waits for {name} at {candidate.label}: {why}")
            neighbours[name] = addresses_of(found)
        return user_data(self.view, service, candidate.account, candidate.offers[service.name], neighbours)

    def _unsettled(self, name: str, key: ObjectKey, found: list[Instance]) -> str:
        dependency = self.view.cluster.spec.service(name)
        assert dependency
        revision: str | None = None
        if self.view.cluster.spec.update_strategy.type == "RollingUpdate":
            current = self.at(dependency, key)
            if not isinstance(current, UserData):
                return current.why if isinstance(current, Wait | Broken) else "its context is being rendered"
            revision = current.revision
        return settled(self.counts[name], found, revision)

    def outdated(self) -> tuple[dict[str, list[Instance]], set[str]]:
        """Instances of another revision than their service's at their site, by service; and the services of which
        that
        cannot be said everywhere yet."""
        found: dict[str, list[Instance]] = defaultdict(list)
        unsure: set[str] = set()
        for (name, key), instances in self.records.alive.items():
            service = self.view.cluster.spec.service(name)
            candidate = self.candidates.get(key)
            if service is None or candidate is None:
                continue
            outcome = self.at(service, key)
            if not isinstance(outcome, UserData):
                unsure.add(name)
                continue
            offer = candidate.offers[name]
            found[name] += [
                one for one in instances if one.spec.revision != revision_of(one.spec.recipe, outcome.content, offer)
            ]
        return found, unsure

    def renders(self) -> list[RenderRequest]:
        return [outcome for outcome in self.known.values() if isinstance(outcome, RenderRequest)]

    def secrets(self) -> set[str]:
        return {outcome.secret for outcome in self.known.values() if isinstance(outcome, UserData)}
