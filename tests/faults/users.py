"""What users do in the free mix: they scale, edit, delete and make anew, and write things that nobody should trust."""

from __future__ import annotations

from cloudherd.agent.view import FINALIZER
from cloudherd.runtime import kinds
from cloudherd.runtime.ports import Kind, Object
from tests.faults import manifests
from tests.faults.manifests import NAMESPACE
from tests.faults.truth import NEWER, condition, deleting, named, vm_of
from tests.faults.world import World

ELSEWHERE = "chemistry"
"""A namespace that no account lets in."""
FORGED = "forged"
"""The cluster that Instances of users' own making name; there is none of that name."""


async def make_cluster(world: World, name: str = "batch") -> None:
    dice = world.dice
    strategy = {"maxUnavailable": dice.one_of((1, "50%")), "maxSurge": dice.one_of((0, 0, 1, "50%"))}
    spec = {"updateStrategy": {"type": dice.one_of(("RollingUpdate", "RollingUpdate", "OnDelete")), **strategy}}
    placement = {"placement": {"strategy": dice.one_of(("Ordered", "Ordered", "Balanced"))}}
    workers = dice.one_of((None, 2, 3, 5, 7))
    accounts = ["home", "far"] if name == "batch" else ["far", "home"]
    await world.apply(manifests.cluster(name, workers, accounts, **spec, **placement))


async def _some_cluster(world: World) -> Object | None:
    found = world.objects(kinds.VIRTUAL_CLUSTER)
    return world.dice.one_of(found) if found else None


async def scale(world: World) -> None:
    count, cluster = world.dice.number(0, 7), await _some_cluster(world)
    if cluster is None:
        return
    name, worker = cluster["metadata"]["name"], cluster["spec"]["services"][1]
    world.befalls("user: scaled", f"a user scales {name}-worker to {count}")
    if "replicas" in worker:
        worker["replicas"] = count
        await world.change(kinds.VIRTUAL_CLUSTER, name, {"spec": {"services": cluster["spec"]["services"]}})
    else:
        body = {"spec": {"replicas": count}}
        await world.user.patch(kinds.CLUSTER_SERVICE, NAMESPACE, f"{name}-worker", body, subresource="scale")


async def edit(world: World) -> None:
    cluster = await _some_cluster(world)
    if cluster is None:
        return
    name, services = cluster["metadata"]["name"], cluster["spec"]["services"]
    if world.dice.chance(0.7):
        services[1]["parameters"] = {"pool": f"pool-{world.dice.number(1, 99)}"}
    else:
        services[0]["machine"]["flavor"] = world.dice.one_of(("small", "large"))
    world.befalls("user: edited", f"a user edits {name} so that VMs are rolled")
    await world.change(kinds.VIRTUAL_CLUSTER, name, {"spec": {"services": services}})


async def pause(world: World) -> None:
    cluster, value = await _some_cluster(world), world.dice.chance(0.5)
    if cluster is not None:
        name = cluster["metadata"]["name"]
        world.befalls("user: paused or resumed", f"a user sets paused of {name} to {value}")
        await world.change(kinds.VIRTUAL_CLUSTER, name, {"spec": {"paused": value}})


async def delete_cluster(world: World) -> None:
    cluster = await _some_cluster(world)
    if cluster is None:
        return
    name = cluster["metadata"]["name"]
    world.befalls("user: deleted a cluster", f"a user deletes {name}")
    await world.delete(kinds.VIRTUAL_CLUSTER, name)
    for _ in range(world.dice.number(0, 4)):
        await world.clock.sleep(world.dice.skewed(1, 120))
        if name not in world.names(kinds.VIRTUAL_CLUSTER):
            world.befalls("user: made a cluster anew", f"a user makes {name} anew")
            await make_cluster(world, name)


async def delete_instances(world: World) -> None:
    names = world.names(kinds.INSTANCE)
    for name in names if world.dice.chance(0.2) else names[:1] if world.dice.chance(0.5) else names[-1:]:
        world.befalls("user: deleted an Instance", f"a user deletes {name}")
        await world.delete(kinds.INSTANCE, name)


async def force(world: World) -> None:
    """A finalizer is taken off by hand: a VM is left that only a sweep can find."""
    found = [one for one in world.objects(kinds.INSTANCE) if not deleting(one)]
    if found:
        record = world.dice.one_of(found)
        world.befalls("user: finalizer forced off", f"a user takes the finalizers off {named(record)[1]}")
        await remove(world, kinds.INSTANCE, record)


async def remove(world: World, kind: Kind, obj: Object) -> None:
    """Gone without a word, by force or as with a data base that is set back."""
    namespace, name = named(obj)
    left = await world.user.get(kind, namespace, name)
    if left is not None:
        await world.user.patch(kind, namespace, name, {"metadata": {"finalizers": None}})
        await world.user.delete(kind, namespace, name, uid=left["metadata"]["uid"])


async def cordon(world: World) -> None:
    name, value = world.dice.one_of(("home", "far")), world.dice.chance(0.5)
    world.befalls("user: cordoned or uncordoned", f"a user sets unschedulable of {name} to {value}")
    await world.change(kinds.CLOUD_ACCOUNT, name, {"spec": {"unschedulable": value}})


async def quota(world: World) -> None:
    name, value = world.dice.one_of(("home", "far")), world.dice.one_of((None, 1, 3, 6))
    world.befalls("user: changed a quota", f"a user sets the quota of {name} to {value}")
    await world.change(kinds.CLOUD_ACCOUNT, name, {"spec": {"quota": {"instances": value}}})


async def evict(world: World) -> None:
    """An account goes, its Instances with it once it is told so; later it is there again."""
    name = world.dice.one_of(("home", "far"))
    if world.dice.chance(0.5):
        world.befalls("user: evicted an account", f"a user annotates {name} with evict")
        await world.annotate(kinds.CLOUD_ACCOUNT, name, evict="true")
    world.befalls("user: deleted an account", f"a user deletes {name}")
    await world.delete(kinds.CLOUD_ACCOUNT, name)
    await world.clock.sleep(world.dice.skewed(1, 120))
    await mend_account(world, name)


async def mend_account(world: World, name: str) -> None:
    """One that is being deleted is told to take its Instances along, one that is gone is made anew."""
    found = await world.user.get(kinds.CLOUD_ACCOUNT, NAMESPACE, name)
    if found is not None and deleting(found):
        if "cloudherd.dev/evict" not in found["metadata"].get("annotations", {}):
            world.befalls("user: evicted an account", f"a user annotates {name} with evict")
            await world.annotate(kinds.CLOUD_ACCOUNT, name, evict="true")
    elif found is None:
        world.story.tell(f"a user makes {name} anew")
        await world.apply(manifests.account(name))


async def accounts_back(world: World) -> None:
    for name in ("home", "far"):
        await mend_account(world, name)

    def over() -> bool:
        return not any(deleting(one) for one in world.objects(kinds.CLOUD_ACCOUNT))

    await world.until(over, 3600, "the accounts that are evicted are gone")
    for name in ("home", "far"):
        await mend_account(world, name)


async def forge(world: World) -> None:
    """Somebody who may write Instances asks for what the account does not offer, or for a look at its keys."""
    if not world.names(kinds.CONFIG_MAP):
        return  # without an installation, an Instance says that one was lost
    data = next((one["spec"]["userDataRef"]["name"] for one in world.objects(kinds.INSTANCE)), "none")
    honest: Object = {"userDataRef": {"name": data}}
    spec, namespace = world.dice.one_of(
        (
            ({**honest, "flavor": "sim.huge"}, NAMESPACE),
            ({**honest, "image": "sim-windows"}, NAMESPACE),
            ({"userDataRef": {"name": "home-keys"}}, NAMESPACE),
            ({"userDataRef": {"name": "none"}}, NAMESPACE),
            (honest, ELSEWHERE),
        )
    )
    record = manifests.instance(FORGED, "worker", world.dice.number(0, 3), world.random.uuid(), **spec)
    record["metadata"] |= {"namespace": namespace, "finalizers": [FINALIZER] if world.dice.chance(0.5) else []}
    if namespace == ELSEWHERE and ELSEWHERE not in world.names(kinds.NAMESPACE):
        await world.apply(manifests.namespace(ELSEWHERE))
    if namespace == ELSEWHERE and await world.user.get(kinds.SECRET, ELSEWHERE, data) is None:
        await world.apply(manifests.user_data(data, ELSEWHERE))
    world.befalls("user: forged an Instance", f"a user forges {record['metadata']['name']}: {spec} in {namespace}")
    await world.apply(record)


async def newer_version(world: World) -> None:
    """A newer operator wrote some Instances in a way that ours cannot read."""
    for record in world.objects(kinds.INSTANCE):
        if world.dice.chance(0.4):
            world.befalls("api: Instance unreadable", f"{named(record)[1]} is a newer version's")
            await world.user.patch(kinds.INSTANCE, *named(record), {"metadata": {"annotations": {NEWER: "true"}}})


async def readable(world: World) -> None:
    """The newer operator takes that back."""
    for record in world.objects(kinds.INSTANCE):
        if NEWER in record["metadata"].get("annotations", {}):
            body = {"metadata": {"annotations": {NEWER: None}}}
            await world.user.patch(kinds.INSTANCE, *named(record), body)


async def remove_forged(world: World) -> None:
    for record in world.objects(kinds.INSTANCE):
        if record["spec"]["clusterName"].startswith(FORGED) and not deleting(record):
            await world.user.delete(kinds.INSTANCE, *named(record), uid=record["metadata"]["uid"])


async def abandon_forged(world: World) -> None:
    """What says that it waits for keys of another project, and never had a VM, is let go as it says itself."""
    for record in world.objects(kinds.INSTANCE):
        forged = record["spec"]["clusterName"].startswith(FORGED) and not vm_of(record)
        if forged and condition(record, "Ready").get("reason") == "AccountRepointed":
            body = {"metadata": {"annotations": {"cloudherd.dev/abandon": "true"}}}
            await world.user.patch(kinds.INSTANCE, *named(record), body)
