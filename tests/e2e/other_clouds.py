"""The example's accounts at OpenNebula and at CloudStack, protocol servers of our tests, and the truth there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devenv.stage import Stage
from tests.e2e.world import Manifest, World, world_on
from tests.fakes.cloudstack import CloudStack
from tests.fakes.opennebula import OpenNebula
from tests.fakes.opennebula_machine import several, single


@dataclass(frozen=True)
class Made:
    """A VM that lives, as its cloud knows it."""

    account: str
    service: str
    id: str
    address: str
    cpus: int
    key: str
    data: bytes

    @property
    def masters(self) -> set[str]:
        """What its user data name as a worker's master."""
        lines = (line.strip() for line in self.data.decode().splitlines())
        return {line.removeprefix("CONDOR_HOST = ") for line in lines if line.startswith("CONDOR_HOST")}


@dataclass
class Scene:
    """Which account is at OpenNebula and which at CloudStack: `home`, which is filled first, and `aws`."""

    world: World
    one: OpenNebula
    stack: CloudStack
    at_one: str = "home"
    at_stack: str = "aws"

    def vms(self) -> list[Made]:
        return [*self._at_one(), *self._at_stack()]

    def _at_one(self) -> Iterator[Made]:
        for machine in self.one.living():
            (nic,) = several(machine.template, "NIC")
            cpus, data = int(single(machine.template, "CPU")), self.one.user_data(str(machine.id))
            yield Made(self.at_one, machine.name.split("-")[1], str(machine.id), nic["IP"], cpus, "", data)

    def _at_stack(self) -> Iterator[Made]:
        sizes = {one["id"]: one.get("cpunumber") for one in self.stack.offerings}
        for machine in self.stack.living():
            fields, data = machine.fields, self.stack.user_data(machine.id)
            service, address = fields["name"].split("-")[1], f"10.1.{machine.number >> 8}.{machine.number & 255}"
            cpus, key = int(str(sizes[fields["serviceofferingid"]])), fields.get("keypair", "")
            yield Made(self.at_stack, service, machine.id, address, cpus, key, data)

    def counts(self) -> Counter[str]:
        return Counter(f"{vm.account} {vm.service}" for vm in self.vms())

    def instance(self, vm: Made) -> str:
        """The name of its Instance."""
        (found,) = (
            one["metadata"]["name"]
            for one in self.world.get("instances")
            if one.get("status", {}).get("providerID", "").endswith(f"/{vm.id}")
        )
        return str(found)


@contextmanager
def other_clouds(stage: Stage, one: OpenNebula | None = None, *, stack_first: bool = False) -> Iterator[Scene]:
    """Both accounts, in a world of their own. OpenNebula holds four VMs, and a `large` one is larger than elsewhere."""
    stage.run_operators()
    with one or OpenNebula() as one, CloudStack() as stack, world_on(stage) as world:
        scene = Scene(world, one, stack, *(("aws", "home") if stack_first else ("home", "aws")))
        one.users[0].quota["VMS"] = 4
        one.add_template("wide", CPU="2", MEMORY="4096")
        at_one, at_stack = world.example("CloudAccount", scene.at_one), world.example("CloudAccount", scene.at_stack)
        at_one["spec"] = _account("opennebula", one.url, "one-keys", small="small", large="wide")
        flavors = {"small": "Small Instance", "large": "Large Instance"}
        at_stack["spec"] = _account("cloudstack", f"{stack.url}/client/api", "stack-keys", **flavors)
        at_stack["spec"]["options"] = {"jobSeconds": 0} if stack_first else {}
        keys = [
            _secret(world, "one-keys", username="alice", password="open sesame"),
            _secret(world, "stack-keys", apiKey="alices-key", secretKey="alices-secret"),
            world.example("Secret", "condor-secrets"),
        ]
        contexts = (world.example("Context", f"condor-{one}") for one in ("master", "worker"))
        world.apply(*keys, at_one, at_stack, *contexts)
        yield scene


def _account(provider: str, endpoint: str, keys: str, **flavors: str) -> Manifest:
    return {
        "provider": provider,
        "endpoint": endpoint,
        "credentialsRef": {"name": keys},
        "flavors": flavors,
        "images": {"debian-12": "debian-12"},
        "changingPollInterval": "1s",
    }


def _secret(world: World, name: str, **data: Any) -> Manifest:
    meta = {"name": name, "namespace": world.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}
