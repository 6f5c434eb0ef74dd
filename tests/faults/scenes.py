"""What the incidents' scripts have in common: a cluster that comes up, an operator that goes away, a last tally."""

from __future__ import annotations

from collections.abc import Mapping

from cloudherd.runtime import kinds
from tests.faults import manifests
from tests.faults.calm import calm, converge
from tests.faults.dice import USUAL
from tests.faults.truth import condition
from tests.faults.world import World

UP = 3600.0
"""Seconds in which a cluster must come up, faults or not."""


def clouds(world: World, *, tokens: float = 0.75, **settings: object) -> None:
    """Two clouds alike; `tokens` is the chance that they know tokens."""
    know = world.dice.chance(tokens)
    for number, name in enumerate(("home", "far")):
        world.sky(name, first=1 + 100 * number, **{"tokens": know, **settings})


async def begin(world: World, *, up: bool = True, sites: int = 1, **cluster: object) -> int:
    """Operator and cluster; returns the number of workers. With `up`, once the cluster is ready. `quota` is home's."""
    workers = int(str(cluster.pop("workers", world.dice.number(2, 6))))
    quota = cluster.pop("quota", None)
    spec = {"quota": {"instances": quota}} if quota else {}
    await world.prepare(manifests.account("home", **spec), manifests.account("far"))
    if world.dice.chance(0.5):
        world.operate()
    else:
        world.operate(agent=False, name="gateway")
        world.operate(gateway=False, name="agent")
    # An account that is not looked at yet is passed over, so that the first site would depend on chance.
    await world.until(lambda: accounts_ready(world), UP, "the accounts are ready")
    accounts = ["home", "far"][:sites]
    await world.apply(manifests.cluster("batch", workers, accounts, **cluster))
    if up:
        await ready(world)
    return workers


def accounts_ready(world: World) -> bool:
    return all(condition(one, "Ready").get("status") == "True" for one in world.objects(kinds.CLOUD_ACCOUNT))


async def ready(world: World) -> None:
    def is_ready() -> bool:
        clusters = world.objects(kinds.VIRTUAL_CLUSTER)
        return bool(clusters) and all(condition(one, "Ready").get("status") == "True" for one in clusters)

    await world.until(is_ready, UP, "the cluster is ready")
    world.story.tell("the cluster is ready")


async def scale(world: World, workers: int) -> None:
    cluster = await world.user.get(kinds.VIRTUAL_CLUSTER, manifests.NAMESPACE, "batch")
    assert cluster is not None
    cluster["spec"]["services"][1]["replicas"] = workers
    world.befalls("user: scaled", f"a user edits worker's replicas to {workers}")
    await world.change(kinds.VIRTUAL_CLUSTER, "batch", {"spec": {"services": cluster["spec"]["services"]}})


def background(world: World, faults: Mapping[str, float], share: float = 0.2) -> None:
    """The faults that a case is about, among some others."""
    usual = {name: rate for name, rate in USUAL.items() if name not in HARMFUL}
    world.dice.rates = {**world.dice.swarm(usual, share), **faults}


HARMFUL = frozenset({"creation: succeeds late", "creation: ends in error", "creation: full for a moment"})
"""Faults after which VMs are rightly made or ended, so that they must not blur a tally."""


async def end(world: World) -> None:
    await calm(world)
    await converge(world)


def tally(world: World, *, destroyed: int = 0, since: int = 0) -> None:
    """As many VMs were made in all as there are Instances (besides `since`), and none but `destroyed` were ended."""
    made, records = sum(world.invariants.launches.values()), len(world.objects(kinds.INSTANCE))
    if made - since != records:
        world.violated(f"{made - since} VMs were made for {records} Instances")
    if len(world.invariants.destroyed) > destroyed:
        world.violated(f"VMs were ended for no reason: {world.invariants.destroyed}")


async def away(world: World, seconds: float) -> None:
    """All operators are killed, and come back after so many seconds."""
    world.downtime = (seconds, seconds)
    for operator in list(world.operators):
        world.dice.count("operator: killed")
        operator.die("by the script")
