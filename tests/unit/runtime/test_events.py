"""Events: told once, counted after that, never a flood, never in the way."""

from __future__ import annotations

from cloudherd.api import Instance
from cloudherd.runtime import kinds
from cloudherd.runtime.events import BURST, EventRecorder
from cloudherd.runtime.ports import ApiError, Object
from tests.fakes.apiserver import SimulatedServer
from tests.fakes.clock import SeededRandom, VirtualClock, on_virtual_time
from tests.unit.agent.facts import record


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.server = SimulatedServer(self.clock, SeededRandom())
        self.recorder = self.new()

    def new(self) -> EventRecorder:
        return EventRecorder(self.server.client("cloudherd-agent"), "cloudherd-agent", self.clock)

    async def prepare(self) -> Instance:
        meta = {"name": "physics"}
        await self.server.client("x").create(
            kinds.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        )
        return record()

    def told(self) -> list[Object]:
        return self.server.objects.list(kinds.EVENT)[0]


@on_virtual_time
async def test_an_event_names_its_object_and_its_reason() -> None:
    world = World()
    about = await world.prepare()
    await world.recorder.emit(about, "Warning", "VMVanished", "i-1 does not exist any more")
    (event,) = world.told()
    assert event["regarding"]["name"] == "batch-worker-0"
    assert event["regarding"]["uid"] == about.uid
    assert (event["type"], event["reason"], event["note"]) == ("Warning", "VMVanished", "i-1 does not exist any more")


@on_virtual_time
async def test_the_same_again_is_counted_at_most_once_a_minute() -> None:
    world = World()
    about = await world.prepare()
    for _ in range(300):
        await world.recorder.emit(about, "Warning", "VMVanished", "gone")
        await world.clock.advance(1)
    (event,) = world.told()
    assert event["series"]["count"] > 200
    assert len(world.server.writes(kinds.EVENT)) <= 6


@on_virtual_time
async def test_a_restart_counts_on() -> None:
    world = World()
    about = await world.prepare()
    await world.recorder.emit(about, "Warning", "VMVanished", "gone")
    await world.new().emit(about, "Warning", "VMVanished", "gone")
    (event,) = world.told()
    assert event["series"]["count"] == 2


@on_virtual_time
async def test_a_flood_is_cut() -> None:
    world = World()
    about = await world.prepare()
    for number in range(500):
        await world.recorder.emit(about, "Warning", "VMVanished", f"gone {number}")
    assert len(world.told()) == BURST


@on_virtual_time
async def test_a_server_that_refuses_is_no_trouble() -> None:
    world = World()
    about = await world.prepare()

    async def fault(call: object, when: str) -> None:
        raise ApiError("Forbidden", "the namespace is being terminated", 403)

    world.server.fault = fault
    await world.recorder.emit(about, "Warning", "VMVanished", "gone")
    assert not world.told()
