"""The free mix: any faults in any order, while users scale, edit, delete and make anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from cloudherd.runtime.ports import ApiError, Object
from tests.faults import manifests, troubles, users
from tests.faults.calm import calm, converge
from tests.faults.dice import USUAL
from tests.faults.world import World


async def mix(world: World) -> None:
    await _anything(world, batches=False)


async def batches(world: World) -> None:
    """The same on clouds that launch several VMs with one call, and know no tokens of single ones."""
    await _anything(world, batches=True)


async def _anything(world: World, *, batches: bool) -> None:
    dice = world.dice
    _clouds(world, batches=batches)
    await world.prepare(*_accounts(world))
    dice.rates = dice.swarm(USUAL)
    world.story.tell("faults: " + ", ".join(sorted(dice.rates)))
    if dice.chance(0.5):
        world.operate()
    else:
        world.operate(agent=False, name="gateway")
        world.operate(gateway=False, name="agent")
    await world.clock.sleep(dice.skewed(0.1, 30))
    await users.make_cluster(world)
    if dice.chance(0.3):
        await users.make_cluster(world, "night")
    for _ in range(dice.number(3, 14)):
        await world.clock.sleep(dice.skewed(0.5, 240))
        with suppress(ApiError):
            await dice.one_of(DEEDS)(world)
    await world.clock.sleep(dice.skewed(1, 300))
    await calm(world)
    await users.accounts_back(world)
    await converge(world)


def _clouds(world: World, *, batches: bool) -> None:
    dice = world.dice
    for number, sky in enumerate(list(world.skies.values())):
        name = sky.name.partition(".")[2]
        made = world.sky(
            name,
            first=1 + 100 * number,
            tokens=not batches and dice.chance(0.75),
            batch=dice.one_of((2, 3, 16)) if batches else 1,
            boot=dice.one_of((0, 2, 30)),
            shutdown=dice.one_of((0, 3, 60)),
            latency=dice.one_of((0, 0.2, 3)),
            lag=dice.one_of((0, 0, 5, 60, 120)),
            linger=dice.one_of((0, 60)),
            capacity=dice.one_of((None, None, 3, 4)) if number == 0 else None,
        )
        if dice.chance(0.3):
            made.strangers()


def _accounts(world: World) -> list[Object]:
    quota = world.dice.one_of((None, None, 4))
    spec = {"quota": {"instances": quota}} if quota else {}
    return [manifests.account("home", **spec), manifests.account("far")]


async def _moved(world: World) -> None:
    """While nobody knows whose installation it is, somebody asks for more."""
    world.later(world.dice.skewed(1, 60), lambda: asyncio.ensure_future(_ask(world)))
    await troubles.moved(world)


async def _ask(world: World) -> None:
    with suppress(ApiError):
        await users.scale(world)


Deed = Callable[[World], Awaitable[None]]
DEEDS: tuple[Deed, ...] = (
    users.scale,
    users.scale,
    users.scale,
    users.edit,
    users.edit,
    users.delete_cluster,
    users.delete_instances,
    users.pause,
    users.cordon,
    users.quota,
    users.evict,
    users.forge,
    users.force,
    users.newer_version,
    users.readable,
    troubles.gone,
    troubles.full,
    troubles.expired,
    troubles.repointed,
    troubles.vm_lost,
    troubles.hidden,
    troubles.killed,
    troubles.cut,
    troubles.compacted,
    troubles.hung,
    troubles.twin,
    troubles.clock_set,
    _moved,
)
