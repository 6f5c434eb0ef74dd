"""What the agent tells of its accounts to whoever measures it."""

from __future__ import annotations

from collections import Counter

from cloudherd.runtime.metrics import Unmeasured
from tests.fakes.agentworld import World
from tests.fakes.clock import EPOCH, on_virtual_time
from tests.unit.runtime.test_agent_sweep import orphan, some_ready


class Heard(Unmeasured):
    def __init__(self) -> None:
        self.passes: Counter[object] = Counter()
        self.waits: Counter[object] = Counter()
        self.listings: list[object] = []
        self.found: list[object] = []

    def waited(self, *told: object) -> None:
        self.waits[told[0]] += 1

    def reconciled(self, *told: object) -> None:
        self.passes[told[:2]] += 1

    def listed(self, *told: object) -> None:
        self.listings.append(told[1])

    def orphans(self, *told: object) -> None:
        self.found.append(told[1])


@on_virtual_time
async def test_passes_launches_listings_and_orphans_are_told() -> None:
    world, heard = World(), Heard()
    world.metrics = heard
    await world.prepare()
    await world.account()
    world.start()
    try:
        await world.clock.settle()  # the ID is made while no Instance exists
        await some_ready(world, 3)
        orphan(world, "batch-worker-7")
        await world.clock.advance(120)
        world.check()
    finally:
        await world.kill()
    assert heard.waits["launch"] == 3
    assert heard.waits["account"] > 0
    assert set(heard.passes) == {("account", "ok")}
    assert EPOCH + 30 < heard.listings[-1] <= EPOCH + world.clock.monotonic()  # type: ignore[operator]
    assert heard.found[-1] == 1
