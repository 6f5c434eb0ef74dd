"""A world of one test: a namespace with the example's objects, kubectl in it, and its two clouds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess
from typing import Any, TypeVar
from uuid import uuid4

import pytest
import yaml

from devenv.audit import AuditLog, Write
from devenv.moto_client import MotoClient
from devenv.stage import EXAMPLES, Stage
from tests.e2e.clouds import Clouds
from tests.e2e.front import front_of

T = TypeVar("T")
Manifest = dict[str, Any]

PATIENCE = 90.0
LOOK = 0.2
OTHERS = ("controlplane/", "kube-", "kubectl/")  # who writes besides operators
KINDS = "virtualclusters,clusterservices,instances,cloudaccounts,contexts"


def until(what: str, look: Callable[[], T | bool | None], *, within: float = PATIENCE) -> T:
    """What `look` finds, as soon as it is true; AssertionError that names `what` where that does not come."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {within:.0f} s"
        time.sleep(LOOK)
    return found  # type: ignore[return-value]


class World(Clouds):
    """Two clouds, and the namespace that holds what is asked of them."""

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

    def prepare(self, **aws: Any) -> None:
        """Everything of the example but the cluster: accounts, contexts and Secrets. `aws`: more of that one's spec."""
        accounts = [self.example("CloudAccount", name) for name in ("home", "aws")]
        accounts[1]["spec"] |= aws
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

    # -- what the API server has noted

    def moment(self) -> int:
        """The end of its audit log now, to read on from there later."""
        log = self.stage.plane.audit_log
        return log.stat().st_size if log.exists() else 0

    def writes(self, since: int) -> list[Write]:
        """What operators wrote from that moment on, in any namespace; Leases and Events are not counted."""
        if not self.stage.plane.audit_log.exists():
            pytest.skip("only our own control plane keeps an audit log")
        return [
            one
            for one in AuditLog(self.stage.plane.audit_log).writes(since)
            if one.resource not in ("leases", "events") and not one.user_agent.startswith(OTHERS)
        ]

    def writes_per_instance(self, since: int) -> dict[str, list[str]]:
        """By name, those to this world's Instances that took place: one that was refused changed nothing."""
        found: dict[str, list[str]] = {}
        for one in self.writes(since):
            if (one.resource, one.namespace) == ("instances", self.namespace) and one.status < 300:
                found.setdefault(one.name, []).append(f"{one.verb} {one.subresource} {one.status} {one.manager}")
        return found

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
