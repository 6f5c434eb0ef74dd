"""Incidents of capacity, cleaning up and ways out: storms of refusals, failing destructions, finalizers that hold."""

from __future__ import annotations

from cloudherd.runtime import kinds
from tests.faults.calm import calm
from tests.faults.manifests import NAMESPACE, secret
from tests.faults.scenes import away, background, begin, clouds, end, scale
from tests.faults.truth import machines
from tests.faults.world import World

HOUR = 3600.0
HANDFUL = 12
"""Calls in an hour, besides those that are under way when the first one is refused."""


async def capacity_storm(world: World) -> None:
    """12: every cloud answers "full" for an hour: a handful of calls, no residue."""
    clouds(world)
    background(world, {}, share=0.2)
    world.dice.rates.pop("operator: killed", None)
    for sky in world.skies.values():
        sky.full = True
    workers = await begin(world, up=False, sites=2)
    if world.dice.chance(0.5):
        for sky in world.skies.values():
            sky.full = False
        await world.clock.sleep(world.dice.skewed(5, 120))
        for sky in world.skies.values():
            sky.full = True
        workers += world.dice.number(1, 5)
        await scale(world, workers)
    world.dice.count("cloud: full for an hour")
    kills = [world.dice.between(0, HOUR) for _ in range(world.dice.one_of((0, 0, 2)))]
    before, until = _asked(world), world.clock.monotonic() + HOUR
    while (left := until - world.clock.monotonic()) > 0:
        await world.clock.sleep(5)
        if any(left - 5 < at <= left for at in kills):
            await away(world, 5)
        for name, calls in _asked(world).items():
            if calls - before[name] > HANDFUL + workers:
                world.violated(f"rule 7: {name} was full for an hour at most and asked for {calls - before[name]} VMs")
    await end(world)


def _asked(world: World) -> dict[str, int]:
    return {sky.name: sky.count("create_vm") for sky in world.skies.values()}


async def cleanup_fails(world: World) -> None:
    """13: VMs cannot be ended while their cluster bursts to the next cloud: nothing is forgotten before it is gone."""
    clouds(world, boot=world.dice.one_of((0, 10)), capacity=world.dice.number(2, 4))
    world.far.capacity = None
    faults = {"cloud: destruction failed": 0.8, "creation: ends in error": 0.3, "operator: killed": 0.003}
    background(world, faults)
    workers = await begin(world, up=False, sites=2)
    for _ in range(world.dice.number(1, 4)):
        await world.clock.sleep(world.dice.skewed(10, 300))
        await scale(world, world.dice.number(0, workers + 2))
    if world.dice.chance(0.3):
        await world.delete(kinds.VIRTUAL_CLUSTER, "batch")
    await world.clock.sleep(world.dice.between(60, 600))
    await end(world)


async def way_out(world: World) -> None:
    """15: credentials that are bad, rotated or deleted, namespaces and accounts that end, an operator that is away."""
    clouds(world, shutdown=world.dice.one_of((0, 20)), lag=world.dice.one_of((0, 10)))
    await begin(world, sites=world.dice.number(1, 2))
    background(world, {}, share=0.2)
    await world.dice.one_of((_bad_credentials, _abandoned, _rotated, _namespace_ends, _operator_first, _all_at_once))(
        world
    )
    await calm(world)

    def over() -> bool:
        left = [*world.objects(kinds.INSTANCE), *world.objects(kinds.VIRTUAL_CLUSTER)]
        return not left

    await world.until(over, HOUR, "everything that was deleted is gone")
    await world.clock.sleep(60)
    for sky, one in machines(world.skies, coming=True):
        if one.id not in ABANDONED.get(world, ()):
            world.violated(f"rule 1: {one.id} is left at {sky.name}")


ABANDONED: dict[World, set[str]] = {}


async def _delete(world: World) -> None:
    await world.delete(kinds.VIRTUAL_CLUSTER, "batch")


async def _bad_credentials(world: World) -> None:
    """They expire before the deletion and are mended after it."""
    world.dice.count("cloud: credentials expired")
    for sky in world.skies.values():
        sky.keys = {"key-2"}
    await world.clock.sleep(world.dice.skewed(1, 300))
    await _delete(world)
    await world.clock.sleep(world.dice.skewed(60, 3000))
    for name in ("home", "far"):
        await world.change(kinds.SECRET, f"{name}-keys", {"data": secret("", key="key-2")["data"]})


async def _abandoned(world: World) -> None:
    """They never come back: the annotation lets the records go."""
    world.dice.count("cloud: credentials expired")
    for sky in world.skies.values():
        sky.keys = {"nobody knows"}
    await _delete(world)
    ABANDONED[world] = {one.id for _, one in machines(world.skies)}
    await world.clock.sleep(world.dice.skewed(10, 600))
    world.story.tell("a user lets all records go without their VMs")

    async def abandon() -> None:
        for name in world.names(kinds.INSTANCE):
            await world.annotate(kinds.INSTANCE, name, abandon="true")

    for _ in range(100):
        await abandon()
        await world.clock.sleep(30)
        if not world.objects(kinds.INSTANCE):
            return
    world.violated("the annotation cloudherd.dev/abandon let no record go")


async def _rotated(world: World) -> None:
    """New keys come in the middle of the deletion."""
    await _delete(world)
    await world.clock.sleep(world.dice.skewed(0.1, 30))
    world.dice.count("cloud: credentials rotated")
    for name, sky in (("home", world.home), ("far", world.far)):
        sky.keys = {"key-3"}
        await world.clock.sleep(world.dice.skewed(0.1, 60))
        await world.change(kinds.SECRET, f"{name}-keys", {"data": secret("", key="key-3")["data"]})


async def _namespace_ends(world: World) -> None:
    world.dice.count("user: namespace deleted")
    found = await world.user.get(kinds.NAMESPACE, "", NAMESPACE)
    assert found is not None
    await world.user.delete(kinds.NAMESPACE, "", NAMESPACE, uid=found["metadata"]["uid"])
    if world.dice.chance(0.5):
        await world.clock.sleep(world.dice.skewed(0.1, 30))
        await away(world, world.dice.skewed(1, 60))
    await world.until(lambda: NAMESPACE not in world.names(kinds.NAMESPACE), HOUR, "the namespace is gone")


async def _operator_first(world: World) -> None:
    """Everything is deleted while no operator runs; it comes back later."""
    await away(world, world.dice.skewed(10, 1200))
    await _all_at_once(world)


async def _all_at_once(world: World) -> None:
    """As `kubectl delete -f` of a whole directory: cluster, accounts and their keys together."""
    world.dice.count("user: everything deleted at once")
    for kind in (kinds.CLOUD_ACCOUNT, kinds.SECRET, kinds.CONTEXT, kinds.VIRTUAL_CLUSTER):
        for name in world.names(kind):
            if not name.startswith("batch-"):
                await world.delete(kind, name)
    await world.clock.sleep(world.dice.skewed(1, 60))
