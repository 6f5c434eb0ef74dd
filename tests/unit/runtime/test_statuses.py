"""Verdicts are written at once; counts at a pace, of one cluster and of all together."""

from __future__ import annotations

from typing import Any, cast

from cloudherd.api import ClusterService, Condition, ObjectKey, VirtualCluster
from cloudherd.api.cluster import ClusterStatus, ServiceCount
from cloudherd.api.service import ServiceStatus
from cloudherd.plan.model import Plan
from cloudherd.runtime.executor import Executor
from cloudherd.runtime.statuses import StatusWriter
from cloudherd.runtime.store import Store
from tests.fakes.clock import VirtualClock, on_virtual_time
from tests.unit.plan.objects import cluster, fixed, true


class Board:
    """Clusters whose statuses are written, and a note of each writing."""

    def __init__(self, count: int) -> None:
        self.clock = VirtualClock()
        self.clusters = {
            one.key: one for one in (cluster(f"c{number}", fixed(), accounts=["home"]) for number in range(count))
        }
        self.services: dict[ObjectKey, ClusterService] = {}
        self.notes: list[tuple[float, str]] = []
        self.statuses = StatusWriter(cast("Executor", self), cast("Store", self), self.clock)

    def cluster(self, key: ObjectKey) -> VirtualCluster:
        return self.clusters[key]

    def entry(self, _plural: str, key: ObjectKey) -> ClusterService | None:
        return self.services.get(key)

    async def write_status(self, cluster: VirtualCluster, status: ClusterStatus) -> None:
        self.clusters[cluster.key] = cluster.model_copy(update={"status": status})
        self.notes.append((self.clock.monotonic(), cluster.name))

    async def write_service_status(self, service: ClusterService, status: ServiceStatus) -> None:
        self.services[service.key] = service.model_copy(update={"status": status})
        self.notes.append((self.clock.monotonic(), service.name))

    async def serve(self, key: ObjectKey, ready: Condition) -> float | None:
        name = f"{key.name}-master"
        spec = {"clusterName": key.name, "serviceName": "master", "type": "Fixed"}
        made = ClusterService.model_validate({"metadata": {"namespace": key.namespace, "name": name}, "spec": spec})
        self.services.setdefault(made.key, made)
        plan = Plan(status=self.clusters[key].status, service_status={"master": ServiceStatus(conditions=[ready])})
        return await self.statuses.write(key, plan)

    async def plan(self, key: ObjectKey, ready: int, **status: Any) -> float | None:
        counts = [ServiceCount(name="master", desired=9, current=9, ready=ready, updated=9)]
        return await self.statuses.write(key, Plan(status=ClusterStatus(services=counts, **status)))


@on_virtual_time
async def test_counts_of_one_cluster_are_written_once_a_second_and_a_verdict_at_once() -> None:
    board = Board(1)
    (key,) = board.clusters
    assert await board.plan(key, 1) is None
    await board.clock.advance(0.4)
    wait = await board.plan(key, 2)
    assert wait is not None
    assert 0.59 < wait < 0.61
    assert await board.plan(key, 3, conditions=[true("Ready", "AllReady")]) is None
    assert board.notes == [(0.0, "c0"), (0.4, "c0")]


@on_virtual_time
async def test_where_many_change_at_once_counts_cost_five_writes_a_second() -> None:
    board = Board(100)
    for ready in range(1, 100):
        for key in board.clusters:
            await board.plan(key, ready)
        await board.clock.advance(1)
    late = [at for at, _ in board.notes if at > 5]
    assert 4 < len(late) / (99 - 5) < 6
    assert {name for at, name in board.notes if at > 50} == {f"c{number}" for number in range(100)}


@on_virtual_time
async def test_nothing_that_was_held_back_is_forgotten() -> None:
    board = Board(40)
    for key in board.clusters:
        await board.plan(key, 1)
    while any([await board.plan(key, 2) for key in board.clusters]):
        await board.clock.advance(1)
    assert {one.status.services[0].ready for one in board.clusters.values()} == {2}
    assert board.clock.monotonic() < 15


@on_virtual_time
async def test_the_first_status_of_a_service_goes_with_the_counts_until_it_is_ready() -> None:
    board = Board(3)
    one, other, third = board.clusters
    waiting, ready = true("Ready", "WaitingFor", status="False"), true("Ready", "AllReady")
    assert await board.serve(one, waiting) is None
    assert await board.serve(other, waiting) is not None
    assert await board.serve(third, ready) is None
    assert board.notes == [(0.0, "c0-master"), (0.0, "c2-master")]
    await board.clock.advance(1)
    await board.serve(other, waiting)
    await board.serve(other, ready)
    assert board.notes[2:] == [(1.0, "c1-master"), (1.0, "c1-master")]
