"""`make demo`: a virtual cluster across two clouds on a real kube-apiserver: created, scaled, healed and deleted.

Everything it starts is its own, on free ports and in a directory that it removes, and ends with it. What it says of the
clouds it reads at the clouds, not from the operator.
"""

from __future__ import annotations

import base64
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from devenv.failure import Failure
from devenv.stage import EXAMPLES, Stage

PATIENCE = 120.0
LOOK = 0.3


class Demo:
    """One showing. Every step prints what is done and waits until the cluster shows it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.begun = time.monotonic()
        self.told: dict[str, str] = {}
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        self.ec2 = boto3.client("ec2", region_name="us-east-1", endpoint_url=stage.moto_url, **keys)

    # -- looking

    def get(self, what: str) -> list[dict[str, Any]]:
        result = self.stage.plane.kubectl("get", what, "-n", "physics", "-o", "json", check=True)
        items: list[dict[str, Any]] = json.loads(result.stdout)["items"]
        return items

    def at_clouds(self) -> Counter[str]:
        """VMs that live, by cloud, as the clouds themselves say."""
        states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=states)
        on_ec2 = sum(len(reservation["Instances"]) for page in pages for reservation in page["Reservations"])
        return Counter({"home": len(self.stage.simulated("physics.home").vms()), "aws": on_ec2})

    def watch(self, until: Callable[[], bool], what: str) -> None:
        """Prints every Instance whose state changes, until the cluster is as it should be."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self._tell_changes()
            if until():
                self._tell_changes()
                return
            if time.monotonic() > deadline:
                raise Failure(f"{what} did not come true within {PATIENCE:.0f} s; the operator's log is above")
            time.sleep(LOOK)

    def _tell_changes(self) -> None:
        now: dict[str, str] = {}
        for one in self.get("instances"):
            status, spec = one.get("status", {}), one["spec"]
            phase = "Terminating" if one["metadata"].get("deletionTimestamp") else status.get("phase", "Pending")
            address = next(iter((status.get("addresses") or {}).get("private", [])), "")
            now[one["metadata"]["name"]] = f"{spec['accountRef']['name']:<6}{phase:<13}{address}"
        for name in [*now, *(self.told.keys() - now.keys())]:
            if now.get(name) != self.told.get(name):
                print(f"  {time.monotonic() - self.begun:6.1f} s  {name:<16}{now.get(name, 'gone')}")
        self.told = now

    def cluster_is(self, **services: int) -> bool:
        """Whether the cluster is Ready for its present spec, with so many VMs of each service."""
        cluster = next(iter(self.get("virtualclusters")), None)
        if cluster is None:
            return False
        status = cluster.get("status", {})
        ready = next((one for one in status.get("conditions", []) if one["type"] == "Ready"), None)
        current = (
            ready and ready["status"] == "True" and ready["observedGeneration"] == cluster["metadata"]["generation"]
        )
        return bool(current) and {one["name"]: one["ready"] for one in status["services"]} == services

    # -- saying

    def step(self, title: str) -> None:
        print(f"\n== {title}")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> None:
        shown = " ".join(arguments) + (" -f -" if stdin else "")
        print(f"$ kubectl {shown}")
        output = self.stage.plane.kubectl(*arguments, *(("-f", "-") if stdin else ()), input=stdin, check=True).stdout
        print("".join(f"  {line}\n" for line in output.splitlines()), end="")

    def tell_clouds(self, **expected: int) -> None:
        found = self.at_clouds()
        print(f"  at the clouds themselves: {found['home']} VMs at home, {found['aws']} at EC2")
        if dict(found) != expected:
            raise Failure(f"the clouds hold {dict(found)}, and should hold {expected}")

    # -- the story

    def play(self) -> None:
        self.comes_up()
        self.shows_user_data()
        self.scales()
        self.heals()
        self.ends()

    def comes_up(self) -> None:
        self.step("A cloud of our own that holds 4 VMs, an EC2 region, and one manifest: a Condor master, ten workers")
        for path in sorted(EXAMPLES.glob("*.yaml")):
            print(f"$ kubectl apply -f {path.parent.parent.name}/{path.parent.name}/{path.name}")
            self.stage.plane.kubectl("apply", "-f", "-", input=self.stage.manifest(path), check=True)
        self.watch(lambda: self.cluster_is(master=2, worker=10), "the cluster's being ready")
        self.kubectl("get", "vc,csvc,acct", "-n", "physics")
        self.tell_clouds(home=4, aws=8)

    def shows_user_data(self) -> None:
        self.step("Every worker talks to the master next to it: what the VMs booted with, read at the clouds")
        home = self.stage.simulated("physics.home")
        for vm in sorted(home.vms(), key=lambda vm: vm.name):
            self._tell_master("home", vm.name, home.user_data(vm.id).decode())
        running = self.ec2.describe_instances()["Reservations"]
        for instance in (one for reservation in running for one in reservation["Instances"]):
            name = next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "Name")
            answer = self.ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
            self._tell_master("aws", name, base64.b64decode(answer["UserData"]["Value"]).decode())

    def _tell_master(self, cloud: str, name: str, user_data: str) -> None:
        line = next((line.strip() for line in user_data.splitlines() if "CONDOR_HOST" in line), "(the site's master)")
        print(f"  {cloud:<6}{name:<28}{line}")

    def scales(self) -> None:
        self.step("Three workers are enough: the burst site empties first, its master last")
        self._set_workers(3)
        self.watch(lambda: self.cluster_is(master=1, worker=3), "the smaller cluster")
        self.tell_clouds(home=4, aws=0)
        self.step("Six workers")
        self._set_workers(6)
        self.watch(lambda: self.cluster_is(master=2, worker=6), "the larger cluster")
        self.tell_clouds(home=4, aws=4)

    def _set_workers(self, count: int) -> None:
        change = json.dumps([{"op": "replace", "path": "/spec/services/1/replicas", "value": count}])
        self.kubectl("patch", "virtualcluster", "batch", "-n", "physics", "--type=json", f"--patch={change}")

    def heals(self) -> None:
        self.step("The operator is killed, a worker's VM vanishes at the cloud, the operator comes back")
        self.stage.kill()
        cloud = self.stage.simulated("physics.home")
        victim = next(vm for vm in sorted(cloud.vms(), key=lambda vm: vm.name) if "worker" in vm.name)
        cloud.vanish(victim.id)
        print(f"  operator: SIGKILL; home: {victim.name} ({victim.id}) is gone")
        self.stage.start_operator()
        self.watch(
            lambda: victim.id not in {vm.id for vm in cloud.vms()} and len(cloud.vms()) == 4, "the replacement's launch"
        )
        self.watch(lambda: self.cluster_is(master=2, worker=6), "the cluster's being whole again")
        self.kubectl("get", "events", "-n", "physics", "--field-selector=type=Warning")
        self.tell_clouds(home=4, aws=4)

    def ends(self) -> None:
        self.step("The cluster is deleted: workers, then masters; the object goes when the last VM is gone")
        self.kubectl("delete", "virtualcluster", "batch", "-n", "physics", "--wait=false")
        self.watch(lambda: not self.get("virtualclusters"), "the cluster's end")
        self.tell_clouds(home=0, aws=0)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleared away then, too
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="cloudherd-demo-") as directory:
        stage = Stage(Path(directory))
        try:
            print("== A real kube-apiserver, the CRDs, moto for EC2, and the operator")
            with stage:
                stage.start_operator()
                demo = Demo(stage)
                demo.play()
                print(f"\ndemo: all as it should be, in {time.monotonic() - demo.begun:.0f} s; nothing is left behind")
        except Failure as failure:
            print("".join(stage.supervisor.log("operator").read_text(errors="replace").splitlines(True)[-20:]))
            print(f"demo: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("demo: stopped; what it started has ended", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
