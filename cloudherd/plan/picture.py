"""All that a status is made of: what was observed, what was decided, and what is remembered."""

from __future__ import annotations

from dataclasses import dataclass

from cloudherd.api import Condition
from cloudherd.api.cluster import Service, ServiceCount
from cloudherd.api.conditions import condition
from cloudherd.plan.assignment import Assignment
from cloudherd.plan.model import ClusterView, Memory
from cloudherd.plan.observed import Observed


@dataclass(frozen=True, slots=True)
class Picture:
    """Times are in seconds: `now` by the calendar, `monotonic` for waits."""

    observed: Observed
    assignment: Assignment
    removing: int
    memory: Memory
    now: float
    monotonic: float

    @property
    def view(self) -> ClusterView:
        return self.observed.view

    def wanted(self, service: Service) -> int:
        """In all. Sites on their way out ask for no fixed services any more."""
        return self.observed.counts[service.name] * (max(1, len(self.assignment.sites)) if service.fixed else 1)

    def count(self, service: Service) -> ServiceCount:
        alive = self.observed.records.of.get(service.name, ())
        unknown = sum(count for (name, _), count in self.observed.unknown.items() if name == service.name)
        return ServiceCount(
            name=service.name,
            desired=self.wanted(service),
            current=self.observed.records.kept(service.name),
            ready=sum(count for (name, _), count in self.observed.records.ready.items() if name == service.name),
            updated=len(alive) - len(self.observed.outdated.get(service.name, ())) - unknown,
        )


def told(view: ClusterView, type_: str, status: bool, reason: str, message: str, now: float) -> Condition:
    """A condition of the cluster as it is to be."""
    generation = view.cluster.metadata.generation
    return condition(view.cluster.status.conditions, type_, status, reason, message, generation=generation, now=now)
