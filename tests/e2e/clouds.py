"""The truth at the two clouds of a world, read at the clouds themselves.

That is: from the simulated cloud's file, from moto with boto3, and from what passed in front of moto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cloudherd.clouds.simulated import SimulatedCloud
from devenv.moto_client import MotoClient
from devenv.stage import Stage
from tests.e2e.front import Front
from tests.integration.ec2_truth import Truth


@dataclass(frozen=True)
class AtCloud:
    """A VM as its cloud knows it. `launched` is the order of its making there."""

    cloud: str  # home or aws
    id: str
    name: str
    launched: int
    live: bool
    tags: Mapping[str, str]
    token: str
    addresses: tuple[str, ...]

    @property
    def instance(self) -> str:
        return self.tags["cloudherd-name"]

    @property
    def service(self) -> str:
        """Of an Instance called `<cluster>-<service>-<slot>`, neither name with a hyphen in it."""
        return self.instance.split("-")[1]


@dataclass(frozen=True)
class Deed:
    """A VM was made, or told to end."""

    at: float
    made: bool
    cloud: str
    id: str


@dataclass
class Clouds:
    """The simulated cloud of the account `home`, and EC2's `region`: what of them is `namespace`'s."""

    stage: Stage
    front: Front
    namespace: str
    region: str = "us-east-1"
    _calls_before: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._calls_before = max((call.number for call in self.home.calls()), default=0)

    @property
    def home(self) -> SimulatedCloud:
        return self.stage.simulated(f"{self.namespace}.home")

    @property
    def moto(self) -> MotoClient:
        return MotoClient(self.stage.moto_url)

    @cached_property
    def ec2(self) -> Truth:
        return Truth(self.moto, self.region)

    def ever(self) -> list[AtCloud]:
        """All VMs of ours that were ever made in this world, by cloud and in the order of their making."""
        return [*self._ever_at_home(), *self._ever_at_aws()]

    def vms(self, cloud: str = "", service: str = "") -> list[AtCloud]:
        """Those that live."""
        return [vm for vm in self.ever() if vm.live and cloud in ("", vm.cloud) and service in ("", vm.service)]

    def counts(self) -> dict[str, int]:
        """Living VMs by cloud and service, as in {"home master": 1, "home worker": 3}."""
        living = [f"{vm.cloud} {vm.service}" for vm in self.vms()]
        return {what: living.count(what) for what in sorted(set(living))}

    def user_data(self, vm: AtCloud) -> str:
        """What it booted with, also if it has ended."""
        return (self.home if vm.cloud == "home" else self.ec2).user_data(vm.id).decode()

    def _ever_at_home(self) -> Iterator[AtCloud]:
        living = {vm.id: vm for vm in self.home.vms()}
        for call in self.home.calls("create_vm", after=self._calls_before):
            if call.made:
                vm = living.get(call.vm)
                yield AtCloud(
                    cloud="home",
                    id=call.vm,
                    name=str(call.arguments["name"]),
                    launched=call.number,
                    live=vm is not None,
                    tags=vm.tags if vm else call.arguments["tags"],
                    token=call.token,
                    addresses=vm.private if vm else (),
                )

    def _ever_at_aws(self) -> Iterator[AtCloud]:
        """moto keeps terminated instances, and shows all of them in the order of their making."""
        for number, (vm_id, found) in enumerate(self.ec2.instances().items()):
            tags = tags_of(found)
            if tags.get("cloudherd-namespace") != self.namespace:
                continue
            live = found["State"]["Name"] != "terminated"
            yield AtCloud(
                cloud="aws",
                id=vm_id,
                name=tags.pop("Name"),
                launched=number,
                live=live,
                tags=tags,
                token=found.get("ClientToken", ""),
                addresses=(found["PrivateIpAddress"],) if live else (),
            )

    def deeds(self) -> list[Deed]:
        """All that was done to VMs in this world, by the clouds' own logs and in order; repeated calls left out."""
        first: dict[tuple[bool, str, str], Deed] = {}
        for deed in sorted([*self._deeds_at_home(), *self._deeds_at_aws()], key=lambda deed: deed.at):
            first.setdefault((deed.made, deed.cloud, deed.id), deed)
        return list(first.values())

    def most(self) -> int:
        """How many VMs lived at most at any moment."""
        living = highest = 0
        for deed in self.deeds():
            living += 1 if deed.made else -1
            highest = max(highest, living)
        return highest

    def _deeds_at_home(self) -> Iterator[Deed]:
        for call in self.home.calls(after=self._calls_before):
            if call.made:
                yield Deed(call.at, True, "home", call.vm)
            elif call.operation == "destroy_vm" and call.outcome == "ok":
                yield Deed(call.at, False, "home", call.vm)

    def _deeds_at_aws(self) -> Iterator[Deed]:
        for call in self.front.calls():
            if call.status == 200 and call.action in ("RunInstances", "TerminateInstances"):
                for vm_id in call.instances:
                    yield Deed(call.at, call.action == "RunInstances", "aws", vm_id)


def tags_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Of an EC2 instance as boto3 shows it; one that came with others finds its own name and id at its number."""
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    together = [tags.pop(key) for key in sorted(tags) if key.startswith("cloudherd-batch-")]
    if together:
        tags["cloudherd-name"], tags["cloudherd-id"] = " ".join(together).split()[found["AmiLaunchIndex"]].split("/")
    return tags
