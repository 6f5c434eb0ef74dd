"""What befalls clouds and operators in the free mix, on top of what strikes single calls."""

from __future__ import annotations

from cloudherd.clouds.protocol import VMState
from cloudherd.runtime import kinds
from cloudherd.runtime.installation import NAME as CONFIG
from cloudherd.runtime.installation import TAKE_OVER
from tests.faults import manifests
from tests.faults.manifests import NAMESPACE
from tests.faults.operators import SYSTEM
from tests.faults.sky import BEYOND, Sky
from tests.faults.truth import account_of, vm_of
from tests.faults.world import World


def _some(world: World) -> Sky:
    return world.dice.one_of(list(world.skies.values()))


async def gone(world: World) -> None:
    sky, seconds = _some(world), world.dice.skewed(5, 900)
    world.befalls("cloud: gone for a while", f"{sky.name} cannot be reached for {seconds:.0f} s")
    sky.gone = True
    world.later(seconds, lambda: setattr(sky, "gone", False))


async def full(world: World) -> None:
    sky = _some(world)
    world.befalls("cloud: full for a while", f"{sky.name} is full")
    sky.full = True
    world.later(world.dice.skewed(5, 900), lambda: setattr(sky, "full", False))


async def expired(world: World) -> None:
    sky = _some(world)
    world.befalls("cloud: credentials expired", f"the credentials of {sky.name} expire")
    sky.keys = {f"key-{world.dice.number(2, 999)}"}
    await world.clock.sleep(world.dice.skewed(1, 300))
    await right_keys(world, sky.name.partition(".")[2])


async def vm_lost(world: World) -> None:
    sky = _some(world)
    alive = [one for one in sky.alive() if one.made_at <= sky.now()]
    for one in alive if world.dice.chance(0.15) else alive[:1]:
        world.befalls("cloud: VM lost", f"{one.id} {one.request.name} is lost")
        if world.dice.chance(0.6):
            sky.vanish(one.id)
        else:
            sky.break_(one.id, world.dice.one_of((VMState.STOPPED, VMState.ERROR)), "the host died")


async def hidden(world: World) -> None:
    sky = _some(world)
    world.befalls("cloud: listing empty for a while", f"the listings of {sky.name} are empty for a while")
    seconds = world.dice.skewed(2, 500)
    for one in sky.alive():
        sky.hide(one, seconds)


async def killed(world: World) -> None:
    for operator in list(world.operators):
        world.dice.count("operator: killed")
        operator.die("at a random moment")


async def cut(world: World) -> None:
    operator, seconds = world.dice.one_of(world.operators or [None]), world.dice.skewed(5, 180)
    if operator is not None:
        world.befalls(
            "operator: cut off from the API server",
            f"{operator.name} is cut off from the API server for {seconds:.0f} s",
        )
        operator.cut(seconds)


async def compacted(world: World) -> None:
    world.dice.count("api: history compacted")
    world.server.compact()
    world.server.close_watches()


async def hung(world: World) -> None:
    world.dice.count("watch: half open")
    world.server.hang_watches()


async def twin(world: World) -> None:
    """Two operators run by mistake."""
    if len(world.operators) < 3:
        world.dice.count("operator: runs twice")
        twin = world.operate(name="twin")
        world.later(world.dice.skewed(5, 600), lambda: twin.die("as it was one too many"))
        twin.on_death = world.operators.remove


async def repointed(world: World) -> None:
    """A user puts keys of another project into an account's Secret, and corrects it later."""
    sky = _some(world)
    if not any(account_of(one) == sky.name and vm_of(one) for one in world.objects(kinds.INSTANCE)):
        return  # with nothing bound to it, an account may lead anywhere
    name = sky.name.partition(".")[2]
    world.befalls("user: account repointed", f"a user gives {name} the keys of another project")
    await world.change(kinds.SECRET, f"{name}-keys", {"data": manifests.secret("", key=BEYOND)["data"]})
    await world.clock.sleep(world.dice.skewed(5, 900))
    if world.dice.chance(0.7):
        await right_keys(world, name)


async def right_keys(world: World, name: str) -> None:
    """An account leads to where its VMs are, with keys that are valid."""
    sky = world.skies[f"{NAMESPACE}.{name}"]
    bound = [one for one in world.objects(kinds.INSTANCE) if account_of(one) == sky.name]
    beyond = sky.beyond.machines if sky.beyond else {}
    key = BEYOND if any(vm_of(one) in beyond for one in bound) else min(sky.keys)
    if f"{name}-keys" in world.names(kinds.SECRET):  # which goes before its account
        await world.change(kinds.SECRET, f"{name}-keys", {"data": manifests.secret("", key=key)["data"]})


async def clock_set(world: World) -> None:
    """The wall clock of the operators' host is wrong by seconds or hours, forward or back."""
    world.wall.ahead = world.dice.one_of((1, -1)) * world.dice.skewed(5, 6 * 3600)
    world.befalls("operator: wall clock set", f"the operators' wall clock is wrong by {world.wall.ahead:.0f} s")


async def moved(world: World) -> None:
    """The installation's ConfigMap is another cluster's, or missing, as after a restore; operators start anew."""
    found = await world.user.get(kinds.CONFIG_MAP, SYSTEM, CONFIG)
    if found is None:
        return
    for operator in list(world.operators):
        operator.die("as the cluster is restored")
    if world.dice.chance(0.3) and world.names(kinds.INSTANCE):
        world.befalls("api: installation lost", "the installation's ConfigMap is lost")
        await world.user.delete(kinds.CONFIG_MAP, SYSTEM, CONFIG, uid=found["metadata"]["uid"])
    else:
        world.befalls("api: installation moved", "the installation's ConfigMap is another cluster's")
        body = {"data": {"kubeSystemUID": world.random.uuid()}}
        await world.user.patch(kinds.CONFIG_MAP, SYSTEM, CONFIG, body)
    await world.clock.sleep(world.dice.skewed(5, 900))
    await take_over(world, found)


async def take_over(world: World, known: dict[str, object]) -> None:
    """What a person does: brings the ConfigMap back, or says that this cluster takes the other one's place."""
    if await world.user.get(kinds.CONFIG_MAP, SYSTEM, CONFIG) is None:
        world.story.tell("a user restores the installation's ConfigMap")
        await world.user.create(kinds.CONFIG_MAP, manifests.bare(known))
    else:
        system = await world.user.get(kinds.NAMESPACE, "", "kube-system")
        assert system is not None
        world.befalls("user: took the installation over", "a user annotates the installation with take-over")
        body = {"metadata": {"annotations": {TAKE_OVER: system["metadata"]["uid"]}}}
        await world.user.patch(kinds.CONFIG_MAP, SYSTEM, CONFIG, body)
