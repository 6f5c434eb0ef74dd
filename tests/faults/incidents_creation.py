"""Incidents around the making of a VM: crashes, lost answers, conflicts, lists that lag, users who delete meanwhile."""

from __future__ import annotations

from cloudherd.runtime import kinds
from tests.faults.scenes import away, background, begin, clouds, end, scale, tally
from tests.faults.truth import condition, identity, named
from tests.faults.world import World


async def killed_after_create(world: World) -> None:
    """1: kill -9 between the cloud's creation and the write of its answer, over and over."""
    clouds(world, lag=world.dice.one_of((0, 5, 30)), latency=world.dice.one_of((0, 0.5)))
    background(world, {"operator: killed after a creation": world.dice.one_of((0.3, 0.6, 0.8))})
    world.downtime = (0.1, 30)
    await begin(world, up=False)
    await world.clock.sleep(world.dice.between(300, 1200))
    await end(world)
    tally(world)


async def answer_not_written(world: World) -> None:
    """2: conflicts and failures on the very patch that records the cloud's answer."""
    clouds(world, boot=world.dice.one_of((0, 5)))
    faults = {"api: an Instance's patch refused": world.dice.one_of((0.3, 0.7)), "operator: killed": 0.005}
    background(world, faults)
    await begin(world, up=False)
    await world.clock.sleep(world.dice.between(60, 600))
    await end(world)
    tally(world)


async def list_lags(world: World) -> None:
    """3: listings and looks lag behind creations, whose answers are lost."""
    clouds(world, lag=world.dice.skewed(1, 120), latency=0.5)
    background(world, {"cloud: answer lost": 0.3, "cloud: VM hidden": 0.2, "operator: killed": 0.01})
    await begin(world, up=False)
    await world.clock.sleep(world.dice.between(120, 1200))
    await end(world)
    tally(world)


async def tags_collide(world: World) -> None:
    """4: users' tags and labels are those by which VMs are known; strangers bear our names."""
    clouds(world)
    strangers = [one for sky in world.skies.values() for one in sky.strangers()]
    background(world, {"cloud: answer lost": 0.1, "operator: killed": 0.01})
    tags = {"Name": "web", "cloudherd-name": "batch-master-0", "cloudherd-id": "mine", "Cloudherd-Account": "mine"}
    await begin(world, up=False, tags=tags)
    for _ in range(world.dice.number(2, 6)):
        await world.clock.sleep(world.dice.skewed(1, 60))
        for record in world.objects(kinds.INSTANCE):
            if world.dice.chance(0.5):
                world.dice.count("user: labels changed")
                labels = {"cloudherd.dev/cluster": "another", "cloudherd.dev/account": None}
                await world.change(kinds.INSTANCE, named(record)[1], {"metadata": {"labels": labels}})
    await world.clock.sleep(world.dice.between(60, 900))
    await end(world)
    tally(world)
    if any(one.ends_at < world.clock.monotonic() for one in strangers):
        world.violated("rule 5: a stranger was ended")


async def slow_create_swept(world: World) -> None:
    """7: a creation that fails at first takes up to ten minutes; no sweep may take its VM."""
    clouds(world, tokens=1.0, lag=world.dice.one_of((0, 30)))
    background(world, {"creation: succeeds late": 0.7, "operator: killed": 0.005})
    await begin(world, up=False)
    await world.clock.sleep(world.dice.between(900, 2400))
    await end(world)
    tally(world)


async def deleted_during_create(world: World) -> None:
    """8: Instances and whole clusters are deleted while their VMs are being made, and the operator dies on top."""
    clouds(world, latency=world.dice.one_of((0.5, 5)), lag=world.dice.one_of((0, 10)), boot=5)
    background(world, {"creation: succeeds late": 0.3, "operator: killed after a creation": 0.3})
    workers = await begin(world, up=False)
    for _ in range(world.dice.number(2, 5)):
        await world.clock.sleep(world.dice.skewed(0.5, 60))
        for record in world.objects(kinds.INSTANCE):
            if record["status"].get("phase") in ("Pending", "Launching") and world.dice.chance(0.6):
                world.dice.count("user: deleted during creation")
                await world.delete(kinds.INSTANCE, named(record)[1])
        if world.dice.chance(0.3):
            await scale(world, world.dice.number(0, workers))
        if world.dice.chance(0.3):
            await away(world, world.dice.skewed(1, 60))
    await end(world)


async def ends_in_error(world: World) -> None:
    """14: accepted creations end in an error: replaced, with the cloud's words; also when the quota is raised later."""
    quota = world.dice.one_of((None, 3))
    clouds(world, boot=world.dice.one_of((5, 60)))
    background(world, {"creation: ends in error": world.dice.one_of((0.2, 0.5)), "operator: killed": 0.003})
    told: set[str] = set()
    world.history.listeners.append(lambda kind, _, after: _note(kind, after, told))
    await begin(world, up=False)
    if quota:
        await world.change(kinds.CLOUD_ACCOUNT, "home", {"spec": {"quota": {"instances": quota}}})
    await world.clock.sleep(world.dice.between(120, 1200))
    await world.change(kinds.CLOUD_ACCOUNT, "home", {"spec": {"quota": {"instances": None}}})
    await world.clock.sleep(world.dice.between(10, 300))
    await end(world)
    broken = [one for sky in world.skies.values() for one in sky.machines.values() if one.broken]
    for one in broken:
        if identity(one) not in told and one.ends_at > one.made_at + 300:
            world.violated(f"rule 4: {one.id} ended in an error, and its Instance never said so")


def _note(kind: object, after: object, told: set[str]) -> None:
    words = condition(after, "Ready").get("message", "") if isinstance(after, dict) else ""
    if kind == kinds.INSTANCE and isinstance(after, dict) and "No valid host was found" in words:
        told.add(after["spec"]["id"])
