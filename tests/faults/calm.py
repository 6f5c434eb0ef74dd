"""After the storm: faults stop, users mend what is theirs to mend, and everything must come right in bounded time."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from cloudherd.runtime import kinds
from cloudherd.runtime.ports import Object
from tests.fakes.apiserver import WRITES
from tests.faults.manifests import NAMESPACE, SECRET_TEXT
from tests.faults.operators import SYSTEM
from tests.faults.troubles import right_keys
from tests.faults.truth import (
    account_of,
    asked_for,
    by_name,
    condition,
    deleting,
    identity,
    is_managed,
    machines,
    named,
    vm_of,
)
from tests.faults.users import abandon_forged, readable, remove_forged
from tests.faults.world import World

BOUND = 3 * 3600.0
"""Virtual seconds in which everything must come right: the longest wait is an hour (for predecessors)."""

HOURLY = ("sizes", "images", "limits")
"""Calls that an agent makes once an hour, and when it starts."""

SETTLED = 60.0
"""How long everything must have stood as it was asked for."""


async def calm(world: World) -> None:
    """No fault strikes any more; clouds, credentials and quotas are as they should be."""
    world.story.tell("the faults stop")
    world.dice.rest()
    world.wall.ahead = 0.0
    for operator in world.operators:
        operator.cut(0)
        for wire in operator.wires.values():
            wire.edit = None
    for name, sky in world.skies.items():
        sky.gone = sky.full = sky.blind = False
        sky.capacity, sky.limits = None, None
        sky.hidden.clear()
        sky.hidden_until.clear()
        account = name.partition(".")[2]
        if account in world.names(kinds.CLOUD_ACCOUNT):
            body = {"spec": {"unschedulable": False, "quota": {"instances": None}}}
            await world.change(kinds.CLOUD_ACCOUNT, account, body)
            await right_keys(world, account)
    await readable(world)
    await remove_forged(world)
    for cluster in world.names(kinds.VIRTUAL_CLUSTER):
        # What OnDelete leaves standing is no fault of anybody's.
        body = {"spec": {"paused": False, "updateStrategy": {"type": "RollingUpdate"}}}
        await world.change(kinds.VIRTUAL_CLUSTER, cluster, body)
    # A list that was cut short is found out by the next one only, so that every watch has to begin with one.
    await world.user.create(kinds.CONFIG_MAP, {"metadata": {"name": "storm-over", "namespace": SYSTEM}})
    world.server.compact()
    world.server.close_watches()


async def converge(world: World, within: float = BOUND) -> None:
    """Waits until all is as asked for, then a while longer, in which nothing may be written or called in vain."""
    end = world.clock.monotonic() + within
    since = world.clock.monotonic()
    while world.clock.monotonic() < since + SETTLED:
        if wrong := list(differences(world)):
            since = world.clock.monotonic()
            if since > end:
                world.violated(f"{within / 3600:.1f} h after the faults stopped: {'; '.join(wrong[:5])}")
            await accept_losses(world)
            await abandon_forged(world)
        await world.clock.sleep(15)
    world.story.tell("everything is as it was asked for")
    await quiet(world)
    if wrong := list(differences(world)):
        world.violated(f"it did not stay as it was: {'; '.join(wrong[:5])}")
    shown = repr([world.objects(kind) for kind in (*kinds.OURS, kinds.EVENT)])
    if SECRET_TEXT in shown or SECRET_TEXT in repr([one.tags for _, one in machines(world.skies)]):
        world.violated("rule 9: a secret shows in a status, an event or a tag")


async def quiet(world: World) -> None:
    """Rule 8: steady state costs nothing, once the clouds' listings, which may lag, have been seen."""
    await world.clock.sleep(240)
    while world.restarting():  # an agent that begins says so in its accounts
        await world.clock.sleep(60)
    most = len(world.operators)
    since = world.clock.monotonic()
    await world.clock.sleep(300)
    writes = [call for call in world.server.calls if call.verb in WRITES and call.at >= since]
    if writes:
        one = writes[-1]
        world.violated(f"rule 8: {len(writes)} writes in five quiet minutes, as {one.verb} {one.kind.kind} {one.name}")
    for sky in world.skies.values():
        calls = Counter(call.operation for call in sky.calls if call.at >= since)
        most = max(most, len(world.operators))
        allowed = Counter({"list_vms": 6 * most, **dict.fromkeys(HOURLY, most)})
        if calls - allowed:
            world.violated(f"rule 8: {sky.name} was called in five quiet minutes: {dict(calls)}")


def differences(world: World) -> Iterator[str]:
    """What is not as it was asked for."""
    records = world.objects(kinds.INSTANCE)
    clusters = by_name(world.objects(kinds.VIRTUAL_CLUSTER))
    yield from _vms(world, records)
    for record in records:
        phase = record["status"].get("phase")
        if deleting(record) or phase != "Ready":
            yield f"Instance {named(record)[1]} is {phase}{' and going' if deleting(record) else ''}: {_why(record)}"
        if (named(record)[0], record["spec"]["clusterName"]) not in clusters:
            yield f"Instance {named(record)[1]} is left of a cluster that is gone"
    for (namespace, name), cluster in clusters.items():
        own = [one for one in records if one["spec"]["clusterName"] == name and named(one)[0] == namespace]
        yield from _counts(world, cluster, own)
        yield from _says(cluster, name)
    for account in world.objects(kinds.CLOUD_ACCOUNT):
        if account.get("status", {}).get("full"):
            yield f"CloudAccount {named(account)[1]} is still remembered as full"


def _says(cluster: Object, name: str) -> Iterator[str]:
    """What a cluster's own status says of it."""
    if deleting(cluster):
        yield f"VirtualCluster {name} is still being deleted"
    elif condition(cluster, "Ready").get("status") != "True":
        yield f"VirtualCluster {name} is not Ready: {condition(cluster, 'Ready').get('message')}"
    elif cluster["status"].get("observedGeneration") != cluster["metadata"]["generation"]:
        yield f"VirtualCluster {name} was edited, and its status does not show it"
    elif condition(cluster, "Progressing").get("status") != "False":
        yield f"VirtualCluster {name} still changes: {condition(cluster, 'Progressing').get('message')}"


def _why(record: Object) -> str:
    ready = condition(record, "Ready")
    return f"{ready.get('reason')} {ready.get('message')}"


def _vms(world: World, records: list[Object]) -> Iterator[str]:
    """Each record has its VM, and each VM its record."""
    found = defaultdict(list)
    for sky, one in machines(world.skies, coming=True):
        if is_managed(one, sky, world.history.records):
            found[identity(one)].append((sky.name, one.id))
            if one.broken:  # which listings that lag behind show later
                yield f"the VM {one.id} is broken, and not replaced yet"
    for record in records:
        own = found.pop(record["spec"]["id"], [])
        if own != [(account_of(record), vm_of(record))]:
            yield f"Instance {named(record)[1]} names {vm_of(record) or 'no VM'}, but there are {own}"
    for id_, left in found.items():
        if records or not world.history.records[id_].forced:  # without any Instance the sweep rests
            yield f"VMs without a record: {left}"


def _counts(world: World, cluster: Object, own: list[Object]) -> Iterator[str]:
    services = {obj["metadata"]["name"]: obj for obj in world.objects(kinds.CLUSTER_SERVICE)}
    sites = {account_of(one) for one in own if one["spec"]["serviceName"] == "worker"}
    for service in cluster["spec"]["services"]:
        count = asked_for(service, services.get(f"{cluster['metadata']['name']}-{service['name']}"))
        have = Counter(account_of(one) for one in own if one["spec"]["serviceName"] == service["name"])
        if service["type"] == "Fixed":
            if not have or any(have[site] != count for site in sites | have.keys()):
                yield f"{service['name']} is {dict(have)} at the sites {sorted(sites)}"
        elif have.total() != count:
            yield f"{have.total()} Instances of {service['name']} instead of {count}"


async def accept_losses(world: World) -> None:
    """What a person does who has looked at the cloud: agrees to a mass loss where the VMs are really gone."""
    for account in world.objects(kinds.CLOUD_ACCOUNT):
        loss = condition(account, "MassLoss")
        digest = re.search(r"accept-loss: ([0-9a-f]+)", loss.get("message", ""))
        name = named(account)[1]
        if loss.get("status") != "True" or not digest:
            continue
        sky = world.skies[f"{NAMESPACE}.{name}"]
        alive = {one.id for one in sky.alive() if one.broken is None}
        held = [one for one in world.objects(kinds.INSTANCE) if condition(one, "Ready").get("reason") == "MassLoss"]
        if not any(vm_of(one) in alive for one in held if account_of(one) == sky.name):
            await world.annotate(kinds.CLOUD_ACCOUNT, name, accept_loss=digest[1])
