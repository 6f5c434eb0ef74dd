"""Writes what a plan says of a cluster and its services: only what changed, and counts at most once a second."""

from __future__ import annotations

from cloudherd.api import ClusterService, Condition, ObjectKey
from cloudherd.plan.model import Plan
from cloudherd.runtime.executor import Executor
from cloudherd.runtime.ports import Clock
from cloudherd.runtime.store import Store

BETWEEN_COUNTS = 1.0


class StatusWriter:
    """One per gateway."""

    def __init__(self, executor: Executor, store: Store, clock: Clock) -> None:
        self._executor, self._store, self._clock = executor, store, clock
        self._written: dict[ObjectKey, float] = {}

    async def write(self, key: ObjectKey, plan: Plan) -> float | None:
        """Seconds to wait until counts that changed may be written, None where nothing was held back. May raise
        ApiError.
        """
        wait = BETWEEN_COUNTS - (self._clock.monotonic() - self._written.get(key, -BETWEEN_COUNTS))
        cluster = self._store.cluster(key)
        held_back = False
        if cluster and plan.status and plan.status != cluster.status:
            news = _verdicts(plan.status.conditions) != _verdicts(cluster.status.conditions)
            if news or wait <= 0 or plan.status.observed_generation != cluster.status.observed_generation:
                await self._executor.write_status(cluster, plan.status)
                self._written[key] = self._clock.monotonic()
            else:
                held_back = True
        for name, status in plan.service_status.items():
            service = self._store.entry(ClusterService.plural, ObjectKey(key.namespace, f"{key.name}-{name}"))
            if not isinstance(service, ClusterService) or service.status == status:
                continue
            if wait <= 0 or _verdicts(status.conditions) != _verdicts(service.status.conditions):
                await self._executor.write_service_status(service, status)
                self._written[key] = self._clock.monotonic()
            else:
                held_back = True
        return max(wait, 0.01) if held_back else None

    def forget(self, key: ObjectKey) -> None:
        self._written.pop(key, None)


def _verdicts(conditions: list[Condition]) -> list[tuple[str, str, str]]:
    return [(one.type, one.status, one.reason) for one in conditions]
