"""When an account's cloud is listed next."""

from __future__ import annotations

from cloudherd.clouds.protocol import CloudError, ErrorKind
from cloudherd.runtime import kinds
from tests.fakes.agentworld import NAMESPACE, World, agent_at_work
from tests.fakes.clock import on_virtual_time


@on_virtual_time
async def test_a_shorter_poll_interval_holds_at_once() -> None:
    async with agent_at_work() as world:
        await poll_every(world, "1h")
        await world.clock.advance(130)
        world.home.down = CloudError(ErrorKind.DENIED, "AuthFailure", "expired")
        await world.clock.advance(130)
        assert not is_refused(world), "nobody asked the cloud"
        await poll_every(world, "10s")
        await world.clock.until(lambda: is_refused(world), within=12)


async def poll_every(world: World, interval: str) -> None:
    await world.user.patch(kinds.CLOUD_ACCOUNT, NAMESPACE, "home", {"spec": {"pollInterval": interval}})


def is_refused(world: World) -> bool:
    ready = world.condition("Ready")
    assert ready is not None
    return ready.reason == "CredentialsRefused"
