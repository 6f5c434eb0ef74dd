"""A world of one test: a namespace with the example's objects, kubectl in it, and the truth at its two clouds.

The truth is read at the clouds themselves: from the simulated cloud's file, from moto with boto3, and from what passed
in front of moto.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from subprocess import CompletedProcess
from typing import Any, TypeVar
from uuid import uuid4

import yaml

from cloudherd.clouds.simulated import SimulatedCloud
from devenv.audit import AuditLog
from devenv.moto_client import MotoClient
from devenv.stage import EXAMPLES, Stage
from tests.e2e.front import Front, front_of
from tests.integration.ec2_truth import Truth

T = TypeVar("T")
Manifest = dict[str, Any]

PATIENCE = 90.0
LOOK = 0.2
KINDS = "virtualclusters,clusterservices,instances,cloudaccounts,contexts"


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


def until(what: str, look: Callable[[], T | bool | None], *, within: float = PATIENCE) -> T:
    """What `look` finds, as soon as it is true; AssertionError that names `what` where that does not come."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {within:.0f} s"
        time.sleep(LOOK)
    return found  # type: ignore[return-value]


@dataclass(frozen=True)
class Deed:
    """A VM was made, or told to end."""

    at: float
    made: bool
    cloud: str
    id: str


@dataclass
class World:
    stage: Stage
    front: Front
    namespace: str
    region: str = "us-east-1"
    _calls_before: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._calls_before = max((call.number for call in self.home.calls()), default=0)

    # -- kubectl

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> CompletedProcess[str]:
        """With `check`, its failing is a Failure that holds its last line."""
        return self.stage.plane.kubectl("-n", self.namespace, *arguments, input=stdin, check=check)

    def get(self, what: str, *arguments: str) -> list[Manifest]:
        items: list[Manifest] = json.loads(self.kubectl("get", what, "-o", "json", *arguments).stdout)["items"]
        return items

    def one(self, kind: str, name: str) -> Manifest | None:
        """None where it does not exist."""
        found = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found").stdout
        result: Manifest | None = json.loads(found) if found else None
        return result

    def apply(self, *manifests: Manifest) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def merge(self, kind: str, name: str, patch: Manifest, *arguments: str) -> None:
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(patch), *arguments)

    def delete(self, *arguments: str) -> None:
        """Returns at once."""
        self.kubectl("delete", "--wait=false", *arguments)

    def events(self, reason: str = "") -> list[Manifest]:
        return [one for one in self.get("events.v1.events.k8s.io") if reason in ("", one["reason"])]

    # -- the example's objects

    def example(self, kind: str, name: str) -> Manifest:
        """An object of the example, in this world's namespace and with this world's EC2."""
        texts = [path.read_text() for path in sorted(EXAMPLES.glob("*.yaml"))]
        documents = (one for text in texts for one in yaml.safe_load_all(text))
        found: Manifest = next(one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name))
        found["metadata"]["namespace"] = self.namespace
        if kind == "CloudAccount":
            found["spec"]["changingPollInterval"] = "1s"
        if name == "aws":
            found["spec"] |= {"region": self.region, "endpoint": self.front.url}
        return found

    def prepare(self) -> None:
        """Everything of the example but the cluster: accounts, contexts and Secrets."""
        accounts = [self.example("CloudAccount", name) for name in ("home", "aws")]
        contexts = [self.example("Context", name) for name in ("condor-master", "condor-worker")]
        secrets = [self.example("Secret", name) for name in ("aws-keys", "condor-secrets")]
        self.apply(*secrets, *accounts, *contexts)

    def cluster(self, workers: int | None = 10) -> Manifest:
        """The example's cluster; None leaves replicas out."""
        batch = self.example("VirtualCluster", "batch")
        worker = batch["spec"]["services"][1]
        if workers is None:
            del worker["replicas"]
        else:
            worker["replicas"] = workers
        return batch

    # -- what the cluster says

    def condition(self, kind: str, name: str, type_: str) -> Manifest:
        """Empty where it does not say so yet; `current` is whether it is about the present generation."""
        found = self.one(kind, name) or {}
        conditions = found.get("status", {}).get("conditions", [])
        one: Manifest = next((one for one in conditions if one["type"] == type_), {})
        return one and {**one, "current": one.get("observedGeneration") == found["metadata"]["generation"]}

    def is_ready(self, **services: int) -> bool:
        """Whether `batch` is Ready for its present spec, with so many ready VMs of each service."""
        batch = self.one("virtualcluster", "batch")
        if not batch:
            return False
        status = batch.get("status", {})
        ready: Manifest = next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})
        current = ready.get("observedGeneration") == batch["metadata"]["generation"]
        counts = {one["name"]: one["ready"] for one in status.get("services", [])}
        return bool(current and ready["status"] == "True" and counts == services)

    def wait_ready(self, *, within: float = PATIENCE, **services: int) -> None:
        try:
            until(f"{services} ready", lambda: self.is_ready(**services), within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.picture()}") from None

    def wait_gone(self, kind: str, name: str, *, within: float = PATIENCE) -> None:
        until(f"{kind} {name} gone", lambda: self.one(kind, name) is None, within=within)

    def wait_none(self, kinds: str, *, within: float = PATIENCE) -> None:
        until(f"the end of all {kinds}", lambda: not self.get(kinds), within=within)

    def picture(self) -> str:
        """What a person would look at first when something is wrong."""
        tables = self.kubectl("get", KINDS, "-o", "wide", check=False).stdout
        why = [self.condition("virtualcluster", "batch", type_) for type_ in ("Ready", "Placed", "Progressing")]
        said = "\n".join(self.stage.said().splitlines()[-30:])
        return f"{tables}\n{json.dumps(why, indent=1)}\n{said}"

    # -- the truth at the clouds

    @property
    def home(self) -> SimulatedCloud:
        return self.stage.simulated(f"{self.namespace}.home")

    @property
    def moto(self) -> MotoClient:
        return MotoClient(self.stage.moto_url)

    @cached_property
    def ec2(self) -> Truth:
        return Truth(self.moto, self.region)

    @property
    def audit(self) -> AuditLog:
        return AuditLog(self.stage.plane.audit_log)

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
            tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
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

    # -- its end

    def end(self) -> None:
        """Deletes clusters, then accounts, then the namespace, and waits until nothing is left here and at the clouds.

        The namespace itself goes some seconds later.
        """
        try:
            for kind in ("virtualclusters", "instances", "cloudaccounts"):
                self.delete(kind, "--all")
                self.wait_none(kind)
        except AssertionError as error:
            picture = self.picture()
            self._force()
            raise AssertionError(f"{error}\n{picture}") from None
        finally:
            self.delete("namespace", self.namespace, "--ignore-not-found")
        assert self.counts() == {}, "VMs outlived their records"

    def is_ending(self) -> bool:
        path = "jsonpath={.metadata.deletionTimestamp}"
        return bool(self.kubectl("get", "namespace", self.namespace, "--ignore-not-found", "-o", path).stdout)

    def is_gone(self) -> bool:
        """The namespace with all in it."""
        return not self.kubectl("get", "namespace", self.namespace, "--ignore-not-found").stdout

    def _force(self) -> None:
        """So that one test's failure is not the next one's too."""
        for kind in (*KINDS.split(","), "secrets"):
            for found in self.get(kind):
                if found["metadata"].get("finalizers"):
                    self.merge(kind, found["metadata"]["name"], {"metadata": {"finalizers": None}})


@contextmanager
def world_on(stage: Stage, namespace: str = "", **settings: str) -> Iterator[World]:
    """A World whose namespace exists and is empty, and ends with the block; an operator must run when it does.

    moto is emptied first: worlds follow one another.
    """
    MotoClient(stage.moto_url).reset()
    with front_of(stage.moto_url) as front:
        world = World(stage, front, namespace or f"physics-{uuid4().hex[:6]}", **settings)
        if world.is_ending():
            until(f"the end of namespace {namespace}", world.is_gone)
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}}
        stage.plane.kubectl("apply", "-f", "-", input=json.dumps(manifest), check=True)
        try:
            yield world
        finally:
            stage.ensure_operators()
            world.end()
