"""Everything at once, from a seed: the agent among failing writes, lost answers, lagging lists, full clouds and kills.

At every step no Instance has two VMs and no record is gone before its VM; when the storm is over, every record has its
VM and no VM is without a record.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Literal

import pytest

from cloudherd.agent.settings import AgentSettings
from cloudherd.clouds.protocol import Capabilities, CloudError, ErrorKind, LaunchRequest
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import ApiError
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work
from tests.fakes.apiserver import WRITES, Call
from tests.fakes.clock import run_virtually
from tests.fakes.cloud import NO_TOKENS, TOKENS

When = Literal["before", "after"]
STORM = 400.0
CLOUD_FAULTS = (ErrorKind.UNKNOWN, ErrorKind.UNREACHABLE, ErrorKind.THROTTLED, ErrorKind.FULL, ErrorKind.DENIED)


class Storm:
    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.slot = 0
        self.on = True
        launch = world.home.launch

        def late_or_not(request: LaunchRequest):  # type: ignore[no-untyped-def]
            if self.on and self.dice.random() < 0.05 and not self._known(request):
                world.home.add(request, after=self.dice.uniform(1, 590))
                raise CloudError(ErrorKind.UNKNOWN, "Timeout")
            return launch(request)

        world.home.launch = late_or_not  # type: ignore[method-assign]
        world.home.fault = self.cloud_fault
        world.server.fault = self.api_fault

    def _known(self, request: LaunchRequest) -> bool:
        return any(one.request.token == request.token for one in self.world.home.machines.values())

    def cloud_fault(self, operation: str, when: When, what: str) -> None:
        if not self.on or self.dice.random() > 0.08:
            return
        if when == "after":
            raise CloudError(ErrorKind.UNKNOWN, "Timeout")
        kind = self.dice.choice(CLOUD_FAULTS)
        raise CloudError(
            kind if operation == "create_vm" or kind is not ErrorKind.FULL else ErrorKind.THROTTLED, "Storm"
        )

    async def api_fault(self, call: Call, when: When) -> None:
        if not self.on or call.manager != "cloudherd-agent" or self.dice.random() > 0.05:
            return
        await self.world.clock.sleep(self.dice.uniform(0, 3))
        if call.verb in WRITES:
            raise ApiError(self.dice.choice(("Conflict", "InternalError", "Unreachable")), "storm", 500)
        if when == "before":
            raise ApiError("Unreachable", "storm")

    async def act(self) -> None:
        dice, world = self.dice, self.world
        match dice.randrange(8):
            case 0 | 1:
                await world.instances(dice.randint(1, 4), first=self.slot)
                self.slot += 4
            case 2:
                alive = [name for name, one in world.records().items() if not one.deleting]
                await world.delete(*dice.sample(alive, min(len(alive), 2)))
            case 3:
                await world.kill()
                await world.clock.advance(dice.uniform(0, 20))
                world.start()
            case 4:
                world.home.capacity = dice.choice([None, 3, 6])
            case 5:
                world.home.lag = dice.choice([0, 0, 5, 9])
            case 6:
                running = [one.id for one in world.home.alive()]
                world.home.hidden = set(dice.sample(running, min(len(running), 2)))
            case 7:
                world.server.close_watches()

    def check(self) -> None:
        """The truth at the cloud against the truth at the API server."""
        records = {one.spec.id for one in self.world.records().values()}
        vms = Counter(one.request.tags["cloudherd-id"] for one in self.world.home.alive())
        assert not [id_ for id_, count in vms.items() if count > 1], "two VMs of one Instance"
        assert not vms.keys() - records, "a record went before its VM"

    async def calm(self) -> None:
        self.on = False
        self.world.home.hidden, self.world.home.capacity, self.world.home.lag = set(), None, 0
        for _ in range(60):
            failed = [name for name, one in self.world.records().items() if one.status.phase == "Failed"]
            await self.world.delete(*failed)
            await self.world.clock.advance(60)
            self.check()
            if not failed and set(self.world.phases().values()) <= {"Ready"}:
                break
        assert set(self.world.phases().values()) <= {"Ready"}
        assert len(self.world.home.alive()) == len(self.world.records())


async def storm(seed: int, capabilities: Capabilities) -> None:
    settings = AgentSettings(mass_loss_count=1000)
    async with agent_at_work(
        seed, latency=1, boot=3, shutdown=4, capabilities=capabilities, settings=settings
    ) as world:
        await world.clock.advance(5)
        it = Storm(world, seed)
        while world.clock.monotonic() < STORM:
            await it.act()
            for _ in range(it.dice.randint(1, 40)):
                await world.clock.advance(it.dice.uniform(0, 1))
                it.check()
        await it.calm()
        assert not [one for one in world.objects(kinds.CLOUD_ACCOUNT) if one["metadata"]["namespace"] != NAMESPACE]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("capabilities", [TOKENS, NO_TOKENS], ids=["tokens", "no tokens"])
def test_no_storm_doubles_loses_or_forgets_a_vm(seed: int, capabilities: Capabilities) -> None:
    run_virtually(storm(seed, capabilities))
