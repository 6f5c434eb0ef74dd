"""Watches EC2 for a whole run, and asks no operator: are there more VMs than a ceiling allows, at any moment?

There are two ways to the truth, and they must agree: every call is noted by the tests' proxy as it is done, one at a
time, and boto3 lists all regions again and again while no call is done.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.front import Ec2Call, Front
from tests.faults.story import Story
from tests.integration.ec2_truth import Truth

BETWEEN = 0.5
SHARE = 4
"""Of the time one part in so many, at most, is taken by listings: no call is done meanwhile."""
LIVING = [{"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]}]
TAG_KEY = re.compile(r"TagSpecification\.1\.Tag\.\d+\.Key")
FIXED = "master"


@dataclass(frozen=True)
class Vm:
    """As its launch asked for it."""

    id: str
    identity: str
    instance: str
    account: str

    @property
    def service(self) -> str:
        return self.instance.split("-")[1]

    @property
    def units(self) -> tuple[str, str]:
        """What it counts towards: its account, and its service, which is counted by account where it is Fixed."""
        return self.account, f"{FIXED} {self.account}" if self.service == FIXED else self.service


def count(vms: Iterable[Vm]) -> Counter[str]:
    """By unit."""
    return Counter(unit for vm in vms for unit in vm.units)


@dataclass
class Watch:
    """`regions` are the truth at each of them. `ceilings` are by unit; a unit without one may hold nothing."""

    front: Front
    regions: list[Truth]
    story: Story
    ceilings: Mapping[str, int] = field(default_factory=dict)
    highest: int = 0
    looks: int = 0
    violations: list[str] = field(default_factory=list)
    made: dict[str, Vm] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    on_deed: Callable[[], None] = field(default=lambda: None)
    """Called when a VM was made or ended, before the operator hears of it."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block."""
        over = threading.Event()
        with self.front.striking(self.heard), ThreadPoolExecutor(1) as beside:
            looking = beside.submit(self._look_until, over)
            try:
                yield
            finally:
                over.set()
            looking.result()

    @property
    def living(self) -> list[Vm]:
        """By the proxy's log."""
        ended = set(self.ended)
        return [vm for vm in list(self.made.values()) if vm.id not in ended]

    def look(self) -> set[str]:
        """The IDs of the VMs that live, as boto3 lists them, judged like everything else."""
        with self.front.turn():
            found = {vm_id for truth in self.regions for vm_id in _living_at(truth)}
            self.looks += 1
            logged = {vm.id for vm in self.living}
            self._judge([self.made[vm_id] for vm_id in found if vm_id in self.made], "as boto3 lists them")
        if found != logged:
            self.violated(f"EC2 holds {sorted(found)}, but by the calls that were done {sorted(logged)}")
        return found

    def violated(self, what: str) -> None:
        self.story.tell(f"VIOLATION: {what}")
        self.violations.append(what)

    def _look_until(self, over: threading.Event) -> None:
        pause = BETWEEN
        while not over.wait(pause):
            begun = time.monotonic()
            self.look()
            pause = max(BETWEEN, (SHARE - 1) * (time.monotonic() - begun))

    def heard(self, call: Ec2Call) -> None:
        """Of a call that was done; the next one waits until this returns."""
        if call.status != 200 or call.action not in ("RunInstances", "TerminateInstances"):
            return
        news = False
        for vm_id in call.instances:
            if call.action == "RunInstances" and vm_id not in self.made:
                self._made(_asked_for(vm_id, call.parameters))
                news = True
            elif call.action == "TerminateInstances" and vm_id in self.made and vm_id not in self.ended:
                self.ended.append(vm_id)
                self.story.tell(f"EC2 ends {vm_id} {self.made[vm_id].instance}, {len(self.living)} live")
                news = True
        if news:
            self.on_deed()

    def _made(self, vm: Vm) -> None:
        twins = [other.id for other in self.made.values() if other.identity == vm.identity]
        self.made[vm.id] = vm
        self.story.tell(f"EC2 makes {vm.id} {vm.instance} at {vm.account}, {len(self.living)} live")
        if twins:
            self.violated(f"{vm.id} is another VM of {vm.instance}, which has had {', '.join(twins)}")
        self._judge(self.living, f"when {vm.id} {vm.instance} is made at {vm.account}")

    def _judge(self, living: list[Vm], when: str) -> None:
        self.highest = max(self.highest, len(living))
        for unit, number in count(living).items():
            if number > self.ceilings.get(unit, 0):
                self.violated(f"{number} VMs of {unit} {when}; the ceiling is {self.ceilings.get(unit, 0)}")


def _living_at(truth: Truth) -> Iterator[str]:
    for page in truth.ec2.get_paginator("describe_instances").paginate(Filters=LIVING):
        for reservation in page["Reservations"]:
            yield from (instance["InstanceId"] for instance in reservation["Instances"])


def _asked_for(vm_id: str, parameters: Mapping[str, str]) -> Vm:
    keys = [key for key in parameters if TAG_KEY.fullmatch(key)]
    tags = {parameters[key]: parameters[f"{key.removesuffix('Key')}Value"] for key in keys}
    account = tags["cloudherd-account"].rpartition(".")[2]
    return Vm(vm_id, tags["cloudherd-id"], tags["cloudherd-name"], account)
