"""The example's cluster over OpenNebula, full by its quota, and CloudStack: both are protocol servers of our tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from devenv.stage import Stage
from tests.e2e.world import Manifest, World, until, world_on
from tests.fakes.cloudstack import CloudStack
from tests.fakes.opennebula import OpenNebula
from tests.fakes.opennebula_machine import several


@dataclass
class Scene:
    """The account `home` is at OpenNebula and holds four VMs, the account `aws` is at CloudStack."""

    world: World
    one: OpenNebula
    stack: CloudStack

    def counts(self) -> Counter[str]:
        at_one = (f"home {machine.name.split('-')[1]}" for machine in self.one.living())
        at_stack = (f"aws {machine.fields['name'].split('-')[1]}" for machine in self.stack.living())
        return Counter([*at_one, *at_stack])

    def told(self) -> dict[str, set[str]]:
        """By cloud, the line of the workers' user data that names their master."""
        found: dict[str, set[str]] = {"home": set(), "aws": set()}
        for machine in self.one.living():
            found["home"] |= hosts(self.one.user_data(str(machine.id)))
        for other in self.stack.living():
            found["aws"] |= hosts(self.stack.user_data(other.id))
        return found

    def masters(self) -> dict[str, set[str]]:
        (here,) = (one for one in self.one.living() if "-master-" in one.name)
        (there,) = (one for one in self.stack.living() if "-master-" in one.fields["name"])
        (nic,) = several(here.template, "NIC")
        return {"home": {nic["IP"]}, "aws": {f"10.1.{there.number >> 8}.{there.number & 255}"}}


def hosts(data: bytes) -> set[str]:
    lines = (line.strip() for line in data.decode().splitlines())
    return {line.removeprefix("CONDOR_HOST = ") for line in lines if line.startswith("CONDOR_HOST")}


@pytest.fixture
def scene(stage: Stage) -> Iterator[Scene]:
    stage.run_operators()
    with OpenNebula() as one, CloudStack() as stack, world_on(stage) as world:
        one.users[0].quota["VMS"] = 4
        home, aws = world.example("CloudAccount", "home"), world.example("CloudAccount", "aws")
        home["spec"] = account("opennebula", one.url, "one-keys", "small")
        aws["spec"] = account("cloudstack", f"{stack.url}/client/api", "stack-keys", "Small Instance")
        keys = [
            secret(world, "one-keys", username="alice", password="open sesame"),
            secret(world, "stack-keys", apiKey="alices-key", secretKey="alices-secret"),
            world.example("Secret", "condor-secrets"),
        ]
        world.apply(*keys, home, aws, *(world.example("Context", f"condor-{one}") for one in ("master", "worker")))
        yield Scene(world, one, stack)


def account(provider: str, endpoint: str, keys: str, flavor: str) -> Manifest:
    return {
        "provider": provider,
        "endpoint": endpoint,
        "credentialsRef": {"name": keys},
        "flavors": {"small": flavor},
        "images": {"debian-12": "debian-12"},
        "changingPollInterval": "1s",
    }


def secret(world: World, name: str, **data: str) -> Manifest:
    meta = {"name": name, "namespace": world.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}


def test_it_fills_the_one_bursts_to_the_other_and_ends_without_a_trace(scene: Scene) -> None:
    world = scene.world
    world.apply(world.cluster(workers=10))
    world.wait_ready(master=2, worker=10)
    assert scene.counts() == {"home master": 1, "home worker": 3, "aws master": 1, "aws worker": 7}
    assert scene.told() == scene.masters(), "a worker talks to the master of its own site"
    assert scene.one.calls["template.instantiate"] == 4, "its limit was read before it was met"
    assert scene.stack.calls["deployVirtualMachine"] == 8

    world.apply(world.cluster(workers=3))
    world.wait_ready(master=1, worker=3)
    until("the burst site is empty", lambda: scene.counts() == {"home master": 1, "home worker": 3})

    world.delete("virtualcluster", "batch")
    world.wait_gone("virtualcluster", "batch")
    assert scene.counts() == {}


def test_a_vm_that_finds_no_host_is_made_where_there_is_one(scene: Scene) -> None:
    """OpenNebula takes every launch, and lets a VM wait for a host for ever."""
    scene.one.users[0].quota.clear()
    scene.one.host_cpus = 2
    scene.world.apply(scene.world.cluster(workers=3))
    scene.world.wait_ready(master=2, worker=3)
    until("those that wait are gone", lambda: len(scene.one.living()) == 2)
    assert scene.counts() == {"home master": 1, "home worker": 1, "aws master": 1, "aws worker": 2}
