"""Clouds that never answer, and accounts that are corrected while they are waited for."""

from __future__ import annotations

import pytest

from cloudherd.runtime import kinds
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work
from tests.fakes.clock import on_virtual_time

FOR_EVER = 1_000_000.0


async def lead_to(world: World, endpoint: str) -> None:
    await world.user.patch(kinds.CLOUD_ACCOUNT, NAMESPACE, "home", {"spec": {"endpoint": endpoint}})
    await world.clock.advance(2)


@pytest.mark.parametrize("well", [0, 5], ids=["from the first call on", "after it had answered"])
@on_virtual_time
async def test_a_corrected_endpoint_is_asked_at_once_though_the_wrong_one_never_answers(well: float) -> None:
    async with agent_at_work(latency=0 if well else FOR_EVER) as world:
        await world.clock.advance(well)
        world.home.latency = FOR_EVER
        await world.clock.advance(100)
        asked = world.home.count("list_vms")
        await lead_to(world, "http://10.0.0.1")
        assert world.home.count("list_vms") == asked + 1
        world.home.latency = 0
        await lead_to(world, "http://10.0.0.2")
        ready = world.condition("Ready")
        assert ready is not None
        assert (ready.status, ready.observed_generation) == ("True", 3)
        assert [client.closed for client in world.clouds.clients] == [True, True, False]


@on_virtual_time
async def test_what_does_not_concern_the_connection_breaks_off_no_listing() -> None:
    async with agent_at_work() as world:
        await world.clock.advance(5)
        world.home.latency = 30
        await world.clock.until(lambda: world.home.count("list_vms") > 1)
        asked = world.home.count("list_vms")
        await world.user.patch(kinds.CLOUD_ACCOUNT, NAMESPACE, "home", {"spec": {"quota": {"instances": 3}}})
        await world.annotate(kinds.SECRET, "keys", note="mine")
        await world.clock.advance(20)
        assert world.home.count("list_vms") == asked
        assert len(world.clouds.clients) == 1
