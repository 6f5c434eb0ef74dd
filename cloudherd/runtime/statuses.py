"""Writes what a plan says of a cluster and its services: only what changed, and mere counts at a pace.

A verdict (the status or the reason of a condition) is written at once. Counts of one cluster are written at most once a
second, those of all together at a pace of their own, and so is the first status of a service that is just being made:
where a thousand clusters start at once, the API server's time belongs to their VMs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from cloudherd.api import ClusterService, Condition, ObjectKey
from cloudherd.api.conditions import is_true
from cloudherd.plan.model import Plan
from cloudherd.runtime.executor import Executor
from cloudherd.runtime.ports import Clock
from cloudherd.runtime.store import Store

BETWEEN_COUNTS = 1.0  # seconds
COUNTED_PER_SECOND = 5.0  # clusters


class StatusWriter:
    """One per gateway."""

    def __init__(self, executor: Executor, store: Store, clock: Clock) -> None:
        self._executor, self._store, self._clock = executor, store, clock
        self._written: dict[ObjectKey, float] = {}
        self._turns: dict[ObjectKey, float] = {}
        """When those clusters may be written whose counts were held back."""
        self._next_turn = float("-inf")

    async def write(self, key: ObjectKey, plan: Plan) -> float | None:
        """Seconds to wait until counts that changed may be written, None where nothing was held back. May raise
        ApiError.
        """
        changes, now = self._changes(key, plan), self._clock.monotonic()
        counts = not all(news for news, _ in changes)
        turn = self._turn(key, now) if counts else now
        for news, write in changes:
            if news or turn <= now:
                await write()
                self._written[key] = self._clock.monotonic()
        if counts and turn > now:
            self._turns[key] = turn
            return max(turn - now, 0.01)
        self._turns.pop(key, None)
        return None

    def _changes(self, key: ObjectKey, plan: Plan) -> list[tuple[bool, Callable[[], Awaitable[None]]]]:
        """What is to be written, and of each whether it is more than counts."""
        changes: list[tuple[bool, Callable[[], Awaitable[None]]]] = []
        cluster, status = self._store.cluster(key), plan.status
        if cluster and status and status != cluster.status:
            seen = status.observed_generation == cluster.status.observed_generation
            news = not seen or _verdicts(status.conditions) != _verdicts(cluster.status.conditions)
            changes.append((news, partial(self._executor.write_status, cluster, status)))
        for name, its in plan.service_status.items():
            service = self._store.entry(ClusterService.plural, ObjectKey(key.namespace, f"{key.name}-{name}"))
            if isinstance(service, ClusterService) and service.status != its:
                before, after = service.status.conditions, its.conditions
                news = _verdicts(after) != _verdicts(before) and (bool(before) or is_true(after, "Ready"))
                changes.append((news, partial(self._executor.write_service_status, service, its)))
        return changes

    def _turn(self, key: ObjectKey, now: float) -> float:
        """When this cluster's counts may be written. A turn that is not used, since a verdict came first, holds nobody
        up for long: they are never further away than there are clusters that wait.
        """
        if key in self._turns:
            return self._turns[key]
        free = min(self._next_turn, now + (len(self._turns) + 1) / COUNTED_PER_SECOND)
        turn = max(free, self._written.get(key, float("-inf")) + BETWEEN_COUNTS)
        self._next_turn = max(free, now) + 1 / COUNTED_PER_SECOND
        return turn

    def forget(self, key: ObjectKey) -> None:
        self._written.pop(key, None)
        self._turns.pop(key, None)


def _verdicts(conditions: list[Condition]) -> list[tuple[str, str, str]]:
    return [(one.type, one.status, one.reason) for one in conditions]
