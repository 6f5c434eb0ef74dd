"""Leadership on virtual time: two candidates at one simulated API server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cloudherd.runtime.kinds import LEASE
from cloudherd.runtime.ports import ApiError
from controllers.lease import Leadership, LeadershipLost
from tests.fakes.apiserver import Call, SimulatedServer
from tests.fakes.clock import SeededRandom, VirtualClock, on_virtual_time


class World:
    """Candidates by name, who is at work, and who was when."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = VirtualClock()
        self.server = SimulatedServer(self.clock, SeededRandom(seed))
        self.server.fault = self._fault
        self.cut_off: set[str] = set()
        self.working: list[str] = []
        self.log: list[tuple[float, str, str]] = []
        self.tidying = 0.0

    async def _fault(self, call: Call, when: str) -> None:
        if call.manager in self.cut_off:
            raise ApiError("Unreachable")

    def candidate(self, name: str) -> Leadership:
        api = self.server.client(name)
        jitter = SeededRandom(len(name))
        return Leadership(api, self.clock, jitter, namespace="kube-system", name="cloudherd", identity=name)

    async def work(self, name: str) -> None:
        self.working.append(name)
        self.log.append((self.clock.monotonic(), name, "starts"))
        assert self.working == [name]
        try:
            await self.clock.sleep(1e6)
        finally:
            await self.clock.sleep(self.tidying)
            self.working.remove(name)
            self.log.append((self.clock.monotonic(), name, "stops"))

    @asynccontextmanager
    async def candidates(self, *names: str) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
        """Started one after the other, so that the first one leads."""
        tasks = {}
        for name in names:
            tasks[name] = asyncio.create_task(self.lead(name))
            await self.clock.settle()
        try:
            yield tasks
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def lead(self, name: str) -> None:
        await self.candidate(name).lead(lambda: self.work(name))

    async def lead_for_ever(self, name: str) -> None:
        """As a supervisor starts a process again and again."""
        for start in range(10_000):
            try:
                await self.lead(f"{name}-{start}")
            except LeadershipLost:
                continue


@on_virtual_time
async def test_one_works_and_the_other_waits() -> None:
    world = World()
    async with world.candidates("a", "b"):
        await world.clock.advance(600)
        assert world.log == [(0, "a", "starts")]


@on_virtual_time
async def test_a_leader_that_is_cut_off_stops_before_another_begins() -> None:
    world = World()
    async with world.candidates("a", "b") as tasks:
        await world.clock.advance(100)
        world.cut_off = {"a"}
        await world.clock.until(lambda: world.working == ["b"], within=60)
        (_, _, _), (stopped, *stop), (started, *start) = world.log
        assert (stop, start) == (["a", "stops"], ["b", "starts"])
        assert 108 <= stopped <= 110
        assert 113 <= started <= 120
        with pytest.raises(LeadershipLost, match=r"kube-system/cloudherd is not a's any more"):
            await tasks["a"]


@on_virtual_time
async def test_a_call_that_hangs_does_not_keep_a_leader_at_work() -> None:
    world = World()

    async def hang(call: Call, when: str) -> None:
        if call.manager == "a" and world.clock.monotonic() > 100:
            await world.clock.sleep(1000)

    world.server.fault = hang
    async with world.candidates("a", "b"):
        await world.clock.until(lambda: world.working == ["b"], within=150)
    assert [what for _, *what in world.log][:3] == [["a", "starts"], ["a", "stops"], ["b", "starts"]]


@on_virtual_time
async def test_a_short_outage_changes_nothing() -> None:
    world = World()
    async with world.candidates("a", "b"):
        for _ in range(20):
            world.cut_off = {"a", "b"}
            await world.clock.advance(7)
            world.cut_off = set()
            await world.clock.advance(5)
        assert world.log == [(0, "a", "starts")]


@on_virtual_time
async def test_answers_that_get_lost_change_nothing() -> None:
    world = World()

    async def lose(call: Call, when: str) -> None:
        if call.manager == "a" and call.verb == "patch" and when == "after" and len(world.server.calls) % 2:
            raise ApiError("Unreachable")

    world.server.fault = lose
    async with world.candidates("a", "b"):
        await world.clock.advance(600)
        assert world.log == [(0, "a", "starts")]


@on_virtual_time
async def test_a_clean_end_hands_over_at_once() -> None:
    world = World()
    async with world.candidates("a", "b") as tasks:
        await world.clock.advance(100)
        tasks["a"].cancel()
        await world.clock.until(lambda: world.working == ["b"])
        assert world.clock.monotonic() <= 103


@on_virtual_time
async def test_a_leader_stays_leader_while_its_work_tidies_up() -> None:
    world = World()
    world.tidying = 60
    async with world.candidates("a", "b") as tasks:
        await world.clock.advance(100)
        tasks["a"].cancel()
        await world.clock.until(lambda: world.working == ["b"])
        assert [what for _, *what in world.log] == [["a", "starts"], ["a", "stops"], ["b", "starts"]]
        assert 160 <= world.clock.monotonic() <= 163
        world.tidying = 0


@on_virtual_time
async def test_work_that_ends_or_fails_gives_the_lease_back() -> None:
    world = World()

    async def done() -> int:
        return 7

    async def fail() -> None:
        raise ValueError("no good")

    assert await world.candidate("a").lead(done) == 7
    with pytest.raises(ValueError, match="no good"):
        await world.candidate("b").lead(fail)
    assert world.clock.monotonic() == 0
    lease = await world.server.client("test").get(LEASE, "kube-system", "cloudherd")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    assert lease["spec"]["leaseTransitions"] == 3


@on_virtual_time
async def test_what_the_clocks_of_others_say_is_not_believed() -> None:
    world = World()
    spec = {"holderIdentity": "past", "leaseDurationSeconds": 15, "renewTime": "2001-01-01T00:00:00.000000Z"}
    lease = {"metadata": {"namespace": "kube-system", "name": "cloudherd"}, "spec": spec}
    await world.server.client("test").create(LEASE, lease)
    async with world.candidates("a"):
        await world.clock.until(lambda: world.working == ["a"])
        assert 15 <= world.clock.monotonic() <= 18


@on_virtual_time
async def test_a_leader_that_sees_another_holder_stops_at_once() -> None:
    world = World()
    async with world.candidates("a") as tasks:
        await world.clock.advance(100)
        await world.server.client("test").patch(
            LEASE, "kube-system", "cloudherd", {"spec": {"holderIdentity": "thief"}}
        )
        await world.clock.until(lambda: world.working == [])
        assert world.clock.monotonic() <= 104
        with pytest.raises(LeadershipLost):
            await tasks["a"]


@pytest.mark.parametrize("seed", range(10))
@on_virtual_time
async def test_there_are_never_two_whatever_the_network_does(seed: int) -> None:
    world = World(seed)
    chance = random.Random(seed)

    async def trouble(call: Call, when: str) -> None:
        if chance.random() < 0.3:
            await world.clock.sleep(chance.expovariate(1 / 4))
        if chance.random() < 0.25:
            raise ApiError("Unreachable")

    world.server.fault = trouble
    tasks = [asyncio.create_task(world.lead_for_ever(name)) for name in "abc"]
    await world.clock.advance(3600)
    assert not [task.exception() for task in tasks if task.done()]
    assert len(world.log) > 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
