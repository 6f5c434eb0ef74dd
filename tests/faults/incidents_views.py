"""Incidents of wrong views: stale caches, empty lists, restores, names and addresses used again, partitions."""

from __future__ import annotations

from cloudherd.runtime import kinds
from cloudherd.runtime.ports import Kind, Object
from tests.faults import manifests
from tests.faults.operators import Operator
from tests.faults.scenes import away, background, begin, clouds, end, ready, scale, tally
from tests.faults.troubles import clock_set, moved
from tests.faults.truth import condition, named
from tests.faults.users import force, newer_version, remove
from tests.faults.world import KINDS, World


async def stale_cache(world: World) -> None:
    """5: watches are a minute and more behind, while users scale up and down and change labels."""
    clouds(world, shutdown=world.dice.one_of((0, 30)))
    background(world, {"watch: stalled": 0.2, "list: late": 0.3, "operator: killed": 0.003})
    surge = world.dice.one_of((0, 0, 1, "50%"))
    strategy = {"type": "RollingUpdate", "maxSurge": surge, "maxUnavailable": 1}
    quota = world.dice.one_of((None, 4))
    await begin(world, up=False, sites=2 if quota else world.dice.number(1, 2), quota=quota, updateStrategy=strategy)
    for _ in range(world.dice.number(2, 6)):
        await world.clock.sleep(world.dice.skewed(1, 120))
        await scale(world, world.dice.number(0, 8))
        for record in world.objects(kinds.INSTANCE):
            if world.dice.chance(0.2):
                world.dice.count("user: labels changed")
                labels = {"cloudherd.dev/service": "another"}
                await world.change(kinds.INSTANCE, named(record)[1], {"metadata": {"labels": labels}})
    await end(world)


async def bad_list_at_start(world: World) -> None:
    """6: after a restart the API server's lists are empty, cut short, or fail; some Instances are a newer version's."""
    clouds(world)
    await begin(world, workers=world.dice.number(2, 8), sites=world.dice.number(1, 2))
    made = sum(world.invariants.launches.values())
    share = world.dice.one_of((0.0, 0.3, 0.7))
    bad = [kind for kind in kinds.GATEWAY_READS if world.dice.chance(0.8 if kind == kinds.INSTANCE else 0.3)]

    def edit(kind: Kind, objects: list[Object]) -> list[Object]:
        if kind.plural not in [one.plural for one in bad]:
            return objects
        world.dice.count("list: empty" if not share else "list: cut short")
        return objects[: int(len(objects) * share)]

    def spoil(operator: Operator) -> None:
        for wire in operator.wires.values():
            wire.edit = edit

    world.on_start = spoil
    background(world, {"api: refused with 500": world.dice.one_of((0.0, 0.2))})
    if world.dice.chance(0.4):
        await newer_version(world)
    if world.dice.chance(0.3):
        await clock_set(world)
    await away(world, world.dice.skewed(1, 60))
    await world.clock.sleep(world.dice.between(60, 2400))
    world.on_start = lambda _: None
    await end(world)
    tally(world)
    assert sum(world.invariants.launches.values()) == made, "VMs were made after the restart"


async def restored(world: World) -> None:
    """9: all objects come back from a backup, some into another cluster: new UIDs, no status. Nothing is made at the
    clouds, nothing ended.
    """
    clouds(world)
    await begin(world, sites=world.dice.number(1, 2))
    await world.clock.sleep(world.dice.skewed(1, 300))
    made = sum(world.invariants.launches.values())
    kept = [
        KINDS[name] for name in ("CloudAccount", "Secret", "Context", "ClusterService", "Instance", "VirtualCluster")
    ]
    backup = [(kind, manifests.bare(obj)) for kind in kept for obj in world.objects(kind)]
    runs = world.dice.chance(0.3)
    if not runs:
        await away(world, 3600)
    world.story.tell("all objects are lost" + (" while the operator runs" if runs else ""))
    world.dice.count("api: restored from a backup")
    for kind in reversed(kept):
        for obj in world.objects(kind):
            await remove(world, kind, obj)
    await world.clock.sleep(world.dice.skewed(0.5, 60) if runs else world.dice.skewed(1, 3000))
    background(world, {}, share=0.2)
    for sky in world.skies.values():
        if not sky.capabilities.idempotency_token:
            # An old VM that complete listings lack for longer is beyond what anybody could find again without tokens.
            sky.hides_for = sky.capabilities.visibility_seconds
    if not runs and world.dice.chance(0.5):
        world.operate()
    for kind, obj in backup:
        await world.user.create(kind, obj)
        if world.dice.chance(0.3):
            await world.clock.sleep(world.dice.skewed(0.01, 10))
    world.story.tell("all objects are restored")
    if not world.operators:
        world.operate()
    await _in_another_place(world)
    await world.clock.sleep(world.dice.skewed(10, 1200))
    await end(world)
    tally(world)
    assert sum(world.invariants.launches.values()) == made, "VMs were made after the restore"


async def _in_another_place(world: World) -> None:
    """Where objects are restored, the cluster and its hosts' clocks may be others too."""
    if world.dice.chance(0.3):
        world.downtime = (0.1, 30)
        await moved(world)
    if world.dice.chance(0.3):
        await clock_set(world)


async def names_reused(world: World) -> None:
    """10: names, addresses and host names come again: in new clusters, in replaced VMs, at strangers'."""
    clouds(
        world, shutdown=world.dice.one_of((0, 60)), linger=world.dice.one_of((0, 300)), lag=world.dice.one_of((0, 30))
    )
    for sky in world.skies.values():
        sky.addresses = world.dice.one_of((2, 4))
        sky.strangers()
    background(world, {"operator: killed": 0.003, "cloud: answer lost": 0.05})
    await begin(world, up=False)
    for _ in range(world.dice.number(1, 4)):
        await world.clock.sleep(world.dice.skewed(5, 300))
        deed = world.dice.number(0, 3)
        if deed == 0:
            await world.delete(kinds.VIRTUAL_CLUSTER, "batch")
            await world.until(lambda: not world.names(kinds.VIRTUAL_CLUSTER), 3600, "the cluster is gone")
            await world.apply(manifests.cluster("batch", world.dice.number(1, 5), ["home"]))
        elif deed == 1:
            await world.delete(kinds.INSTANCE, world.dice.one_of(world.names(kinds.INSTANCE) or [""]))
        elif deed == 2:
            await force(world)
            if world.dice.chance(0.5):
                await away(world, world.dice.skewed(1, 300))
        else:
            for one in world.home.alive()[:1]:
                world.dice.count("cloud: VM lost")
                world.home.vanish(one.id)
    await end(world)


async def partition(world: World) -> None:
    """11: a cloud says of every VM that there is none: a freeze and a condition, and nothing is replaced."""
    clouds(world, tokens=0.8)
    await begin(world, workers=world.dice.number(6, 9))
    await world.clock.sleep(world.dice.skewed(1, 300))
    background(world, {}, share=0.2)
    really = world.dice.chance(0.3)
    world.dice.count("cloud: all VMs lost" if really else "cloud: blind")
    if really:
        world.home.vanish(*(one.id for one in world.home.alive()))
    world.home.blind = not really
    world.story.tell("home says that there are no VMs" + (", which is true" if really else ""))

    def frozen() -> bool:
        account = next(one for one in world.objects(kinds.CLOUD_ACCOUNT) if named(one)[1] == "home")
        return condition(account, "MassLoss").get("status") == "True"

    since = world.clock.monotonic()

    def long_lived() -> bool:
        return any(one.agent and world.clock.monotonic() - max(one.started_at, since) > 900 for one in world.operators)

    # Each operator needs a minute of life for it: one that dies every minute sees it late, any other within 900 s.
    await world.until(lambda: frozen() or long_lived(), 3600, "the account freezes")
    if not frozen():
        world.violated("an operator lived 900 s and the account did not freeze")
    if world.dice.chance(0.3):
        await away(world, world.dice.skewed(1, 60))
    await world.clock.sleep(world.dice.skewed(60, 3600))
    await end(world)
    if not really:
        tally(world)
    await ready(world)
