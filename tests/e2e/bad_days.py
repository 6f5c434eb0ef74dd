"""What the tests of bad days share: manifests of small clusters, and looks at their accounts and clouds.

Accounts poll often, so that a test waits for what it is about and not for the next listing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from cloudherd.clouds.simulated import SimulatedCloud
from devenv.moto_knobs import Knobs
from devenv.stage import Stage
from tests.e2e.world import Manifest, World, until, world_on

POLLS = {"pollInterval": "1s", "changingPollInterval": "500ms"}
AT_SIMULATED = {"flavors": {"small": "sim.small", "large": "sim.large"}, "images": {"debian-12": "sim-debian-12"}}
AT_EC2 = {"flavors": {"small": "t3.small", "large": "t3.large"}, "images": {"debian-12": "ami-12c6146b"}}


@contextmanager
def day(stage: Stage, **settings: str) -> Iterator[World]:
    """A World with nothing in its namespace but the Context plain. Whatever was made to go wrong with its clouds is
    mended before it ends. `settings` are the operator's."""
    stage.run_operators(**settings)
    with world_on(stage) as world:
        world.apply(context())
        clouds = {}
        try:
            yield world
        finally:
            clouds = {name: cloud_of(world, name) for name in names(world, "cloudaccounts")}
            for cloud in clouds.values():
                cloud.heal()
            world.moto.knobs(**asdict(Knobs()))
    left = [vm.name for cloud in clouds.values() for vm in cloud.vms() if "cloudherd-id" in vm.tags]
    assert left == [], "VMs outlived their records"


def names(world: World, kind: str) -> list[str]:
    return [one["metadata"]["name"] for one in world.get(kind)]


# -- manifests


def ours(kind: str, name: str, spec: Manifest, **metadata: Any) -> Manifest:
    return {"apiVersion": "cloudherd.dev/v1alpha1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def simulated(name: str = "home", *, cloud: Manifest | None = None, **spec: Any) -> Manifest:
    """An account at a simulated cloud of its own; `cloud` is its spec.simulated."""
    fixed = {"provider": "simulated", "simulated": cloud or {}}
    return ours("CloudAccount", name, {**fixed, **AT_SIMULATED, **POLLS, **spec})


def ec2(world: World, **spec: Any) -> tuple[Manifest, Manifest]:
    """The account aws at this world's moto, after its Secret aws-keys."""
    fixed = {"provider": "ec2", "region": world.region, "endpoint": world.front.url}
    named = {"credentialsRef": {"name": "aws-keys"}}
    return world.example("Secret", "aws-keys"), ours(
        "CloudAccount", "aws", {**fixed, **named, **AT_EC2, **POLLS, **spec}
    )


def context(name: str = "plain", template: str = "#cloud-config\n", **spec: Any) -> Manifest:
    return ours("Context", name, {"parts": [{"contentType": "text/cloud-config", "template": template}], **spec})


def service(name: str = "worker", replicas: int = 1, *, type_: str = "Scalable", **more: Any) -> Manifest:
    machine = {"flavor": "small", "image": "debian-12"}
    fixed = {"name": name, "type": type_, "replicas": replicas}
    return {**fixed, "contextRef": {"name": "plain"}, "machine": machine, **more}


def cluster(*services: Manifest | int, at: tuple[str | Manifest, ...] = ("home",), **spec: Any) -> Manifest:
    """The cluster batch; a number stands for the service worker with so many replicas, a name for an account."""
    told = [service(replicas=one) if isinstance(one, int) else one for one in services]
    placement = {
        "accounts": [{"name": one} if isinstance(one, str) else one for one in at],
        **spec.pop("placement", {}),
    }
    return ours("VirtualCluster", "batch", {"services": told, "placement": placement, **spec})


# -- what the cluster says


def says(world: World, kind: str, name: str, type_: str, status: str, *words: str) -> Manifest:
    """Waits until the condition is about the present generation, has this status, and its reason or message holds all
    of these words."""

    def look() -> Manifest | None:
        one = world.condition(kind, name, type_)
        fits = one and one["current"] and one["status"] == status
        return one if fits and all(word in f"{one['reason']}: {one['message']}" for word in words) else None

    try:
        return until(f"{kind} {name} says {type_} {status} {words}", look, within=30)
    except AssertionError as error:
        raise AssertionError(f"{error}; it says {world.condition(kind, name, type_)}\n{world.picture()}") from None


def account_ready(world: World, name: str) -> None:
    says(world, "cloudaccount", name, "Ready", "True")


def told(world: World, reason: str, *words: str) -> Manifest:
    """Waits for an Event with this reason and these words."""

    def look() -> Manifest | None:
        found = (one for one in world.events(reason) if all(word in one.get("note", "") for word in words))
        return next(found, None)

    return until(f"an Event {reason} with {words}", look, within=30)


def identities(world: World) -> dict[str, str]:
    """The Instances' provider IDs by name."""
    return {one["metadata"]["name"]: one["status"].get("providerID", "") for one in world.get("instances")}


def of_account(world: World, account: str) -> list[Manifest]:
    return [one for one in world.get("instances") if one["spec"]["accountRef"]["name"] == account]


def spread(world: World) -> dict[str, int]:
    """Instances by account."""
    return dict(Counter(one["spec"]["accountRef"]["name"] for one in world.get("instances")))


# -- at the clouds


def cloud_of(world: World, account: str) -> SimulatedCloud:
    return world.stage.simulated(f"{world.namespace}.{account}")


def ids(cloud: SimulatedCloud) -> set[str]:
    return {vm.id for vm in cloud.vms()}


def changes(cloud: SimulatedCloud) -> list[tuple[str, str]]:
    """The calls that were to make or end a VM, whatever came of them, in order."""
    return [(call.operation, call.vm) for call in cloud.calls() if call.operation in ("create_vm", "destroy_vm")]


def made(cloud: SimulatedCloud) -> int:
    """How many VMs it ever made by a call."""
    return sum(call.made for call in cloud.calls("create_vm"))


def listed_again(cloud: SimulatedCloud, times: int = 3) -> None:
    """Waits until the cloud has been listed so often from now on, so that what would be done of it has been."""
    last = max((call.number for call in cloud.calls()), default=0)
    until(f"{times} more listings", lambda: len(cloud.calls("list_vms", after=last)) >= times)


def one_vm_each(world: World) -> None:
    """As many living VMs as Instances, each of them the Instance's own by its tags."""
    owners = {one["spec"]["id"]: one["metadata"]["name"] for one in world.get("instances")}
    living = sorted((vm.tags["cloudherd-id"], vm.instance) for vm in world.vms())
    assert living == sorted(owners.items())
