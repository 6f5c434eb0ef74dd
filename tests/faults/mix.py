"""The free mix: any faults in any order, while users scale, edit, delete and make anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from cloudherd.clouds.protocol import VMState
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import ApiError, Object
from tests.faults import manifests
from tests.faults.calm import calm, converge
from tests.faults.dice import USUAL
from tests.faults.manifests import NAMESPACE
from tests.faults.sky import Sky
from tests.faults.world import World


async def mix(world: World) -> None:
    dice = world.dice
    _clouds(world)
    await world.prepare(*_accounts(world))
    dice.rates = dice.swarm(USUAL)
    world.story.tell("faults: " + ", ".join(sorted(dice.rates)))
    if dice.chance(0.5):
        world.operate()
    else:
        world.operate(agent=False, name="gateway")
        world.operate(gateway=False, name="agent")
    await world.clock.sleep(dice.skewed(0.1, 30))
    await _cluster(world)
    if dice.chance(0.3):
        await _cluster(world, "night")
    for _ in range(dice.number(3, 14)):
        await world.clock.sleep(dice.skewed(0.5, 240))
        with suppress(ApiError):
            await dice.one_of(DEEDS)(world)
    await world.clock.sleep(dice.skewed(1, 300))
    await calm(world)
    await converge(world)


def _clouds(world: World) -> None:
    dice = world.dice
    for number, sky in enumerate(list(world.skies.values())):
        name = sky.name.partition(".")[2]
        made = world.sky(
            name,
            first=1 + 100 * number,
            tokens=dice.chance(0.75),
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


async def _cluster(world: World, name: str = "batch") -> None:
    dice = world.dice
    strategy = {"maxUnavailable": dice.one_of((1, "50%")), "maxSurge": dice.one_of((0, 0, 1, "50%"))}
    spec = {"updateStrategy": {"type": dice.one_of(("RollingUpdate", "RollingUpdate", "OnDelete")), **strategy}}
    placement = {"placement": {"strategy": dice.one_of(("Ordered", "Ordered", "Balanced"))}}
    workers = dice.one_of((None, 2, 3, 5, 7))
    accounts = ["home", "far"] if name == "batch" else ["far", "home"]
    await world.apply(manifests.cluster(name, workers, accounts, **spec, **placement))


# -- what users do


async def _some_cluster(world: World) -> Object | None:
    found = world.objects(kinds.VIRTUAL_CLUSTER)
    return world.dice.one_of(found) if found else None


async def _scale(world: World) -> None:
    count, cluster = world.dice.number(0, 7), await _some_cluster(world)
    if cluster is None:
        return
    name, worker = cluster["metadata"]["name"], cluster["spec"]["services"][1]
    if "replicas" in worker:
        worker["replicas"] = count
        world.story.tell(f"a user edits {name}-worker's replicas to {count}")
        await world.change(kinds.VIRTUAL_CLUSTER, name, {"spec": {"services": cluster["spec"]["services"]}})
    else:
        world.story.tell(f"a user scales {name}-worker to {count}")
        body = {"spec": {"replicas": count}}
        await world.user.patch(kinds.CLUSTER_SERVICE, NAMESPACE, f"{name}-worker", body, subresource="scale")


async def _edit(world: World) -> None:
    cluster = await _some_cluster(world)
    if cluster is None:
        return
    name, services = cluster["metadata"]["name"], cluster["spec"]["services"]
    if world.dice.chance(0.7):
        services[1]["parameters"] = {"pool": f"pool-{world.dice.number(1, 99)}"}
    else:
        services[0]["machine"]["flavor"] = world.dice.one_of(("small", "large"))
    world.story.tell(f"a user edits {name} so that VMs are rolled")
    await world.change(kinds.VIRTUAL_CLUSTER, name, {"spec": {"services": services}})


async def _pause(world: World) -> None:
    cluster, value = await _some_cluster(world), world.dice.chance(0.5)
    if cluster is not None:
        name = cluster["metadata"]["name"]
        world.story.tell(f"a user sets paused of {name} to {value}")
        await world.change(kinds.VIRTUAL_CLUSTER, name, {"spec": {"paused": value}})


async def _delete_cluster(world: World) -> None:
    cluster = await _some_cluster(world)
    if cluster is None:
        return
    name = cluster["metadata"]["name"]
    await world.delete(kinds.VIRTUAL_CLUSTER, name)
    for _ in range(world.dice.number(0, 4)):
        await world.clock.sleep(world.dice.skewed(1, 120))
        if name not in world.names(kinds.VIRTUAL_CLUSTER):
            await _cluster(world, name)


async def _delete_instances(world: World) -> None:
    names = world.names(kinds.INSTANCE)
    for name in names if world.dice.chance(0.2) else names[:1] if world.dice.chance(0.5) else names[-1:]:
        await world.delete(kinds.INSTANCE, name)


async def _cordon(world: World) -> None:
    name, value = world.dice.one_of(("home", "far")), world.dice.chance(0.5)
    world.story.tell(f"a user sets unschedulable of {name} to {value}")
    await world.change(kinds.CLOUD_ACCOUNT, name, {"spec": {"unschedulable": value}})


async def _quota(world: World) -> None:
    name, value = world.dice.one_of(("home", "far")), world.dice.one_of((None, 1, 3, 6))
    world.story.tell(f"a user sets the quota of {name} to {value}")
    await world.change(kinds.CLOUD_ACCOUNT, name, {"spec": {"quota": {"instances": value}}})


# -- what befalls clouds and operators


def _some(world: World) -> Sky:
    return world.dice.one_of(list(world.skies.values()))


async def _gone(world: World) -> None:
    sky, seconds = _some(world), world.dice.skewed(5, 900)
    world.dice.count("cloud: gone for a while")
    world.story.tell(f"{sky.name} cannot be reached for {seconds:.0f} s")
    sky.gone = True
    world.later(seconds, lambda: setattr(sky, "gone", False))


async def _full(world: World) -> None:
    sky = _some(world)
    world.dice.count("cloud: full for a while")
    world.story.tell(f"{sky.name} is full")
    sky.full = True
    world.later(world.dice.skewed(5, 900), lambda: setattr(sky, "full", False))


async def _expired(world: World) -> None:
    sky = _some(world)
    world.dice.count("cloud: credentials expired")
    world.story.tell(f"the credentials of {sky.name} expire")
    sky.keys = {f"key-{world.dice.number(2, 999)}"}
    await world.clock.sleep(world.dice.skewed(1, 300))
    key = min(sky.keys)
    name = sky.name.partition(".")[2]
    await world.change(kinds.SECRET, f"{name}-keys", {"data": manifests.secret("", key=key)["data"]})


async def _vm_lost(world: World) -> None:
    sky = _some(world)
    alive = [one for one in sky.alive() if one.made_at <= sky.now()]
    for one in alive if world.dice.chance(0.15) else alive[:1]:
        world.dice.count("cloud: VM lost")
        world.story.tell(f"{one.id} {one.request.name} is lost")
        if world.dice.chance(0.6):
            sky.vanish(one.id)
        else:
            sky.break_(one.id, world.dice.one_of((VMState.STOPPED, VMState.ERROR)), "the host died")


async def _hidden(world: World) -> None:
    sky = _some(world)
    world.dice.count("cloud: listing empty for a while")
    world.story.tell(f"the listings of {sky.name} are empty for a while")
    seconds = world.dice.skewed(2, 500)
    for one in sky.alive():
        sky.hide(one, seconds)


async def _killed(world: World) -> None:
    for operator in list(world.operators):
        world.dice.count("operator: killed")
        operator.die("at a random moment")


async def _cut(world: World) -> None:
    operator, seconds = world.dice.one_of(world.operators or [None]), world.dice.skewed(5, 180)
    if operator is not None:
        world.dice.count("operator: cut off from the API server")
        world.story.tell(f"{operator.name} is cut off from the API server for {seconds:.0f} s")
        operator.cut(seconds)


async def _compacted(world: World) -> None:
    world.dice.count("api: history compacted")
    world.server.compact()
    world.server.close_watches()


async def _hung(world: World) -> None:
    world.dice.count("watch: half open")
    world.server.hang_watches()


async def _twin(world: World) -> None:
    """Two operators run by mistake."""
    if len(world.operators) < 3:
        world.dice.count("operator: runs twice")
        twin = world.operate(name="twin")
        world.later(world.dice.skewed(5, 600), lambda: twin.die("as it was one too many"))
        twin.on_death = world.operators.remove


Deed = Callable[[World], Awaitable[None]]
DEEDS: tuple[Deed, ...] = (
    _scale,
    _scale,
    _scale,
    _edit,
    _edit,
    _delete_cluster,
    _delete_instances,
    _pause,
    _cordon,
    _quota,
    _gone,
    _full,
    _expired,
    _vm_lost,
    _hidden,
    _killed,
    _cut,
    _compacted,
    _hung,
    _twin,
)
