"""Simulated agents: each looks at the Instances of its account and takes every one of them a step further.

They behave as the real ones do as far as the planner can tell: "full" is learnt by being refused, written on the
account before the Instance fails, and taken off it only after the record of the VM that made room is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from cloudherd.api import Instance, ObjectKey
from cloudherd.api.account import FullMark
from cloudherd.api.conditions import merged
from cloudherd.api.instance import Addresses
from tests.unit.plan.objects import at, true
from tests.unit.plan.world import World

FULL_FOR = 60.0
Log = Callable[[str, str], None]
"""Told of what happened, and to which Instance (empty: to the account)."""


@dataclass
class Vm:
    number: int
    state: Literal["running", "error", "ending"]


@dataclass
class Agent:
    """One account's. `capacity` is what its cloud holds in truth; `faults` are services whose VMs end in an error
    there, with the cloud's words; `acts` decides whether an Instance gets its step in this pass.
    """

    world: World
    key: ObjectKey
    capacity: int | None = None
    faults: dict[str, str] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)  # services whose VMs never get ready
    acts: Callable[[], bool] = lambda: True
    vms: dict[str, Vm] = field(default_factory=dict)
    """What the cloud holds, by the identity that its VMs bear: spec.id."""
    reachable: bool = True
    freed: bool = False
    launches: int = 0
    """All there ever were, by which VMs are numbered."""

    def look(self, log: Log) -> None:
        """One pass over the account's Instances."""
        if not self._reach(log):
            return
        self._lift_mark(log)
        for one in sorted(self.world.instances.values(), key=lambda one: one.name):
            if one.account == self.key and self.acts():
                self._step(one, log)

    def _reach(self, log: Log) -> bool:
        account = self.world.accounts.get(self.key)
        if account is None:
            return False
        known = any(one.type == "Ready" and one.status == "True" for one in account.status.conditions)
        if known != self.reachable:
            log("answers again" if self.reachable else "cannot be reached", "")
            verdict = true("Ready", "Ready") if self.reachable else true("Ready", "Unreachable", "no answer", "False")
            self._write(conditions=merged(account.status.conditions, verdict))
        if not self.reachable:
            for one in list(self.world.instances.values()):
                if one.account == self.key and one.status.phase == "Ready":
                    self.world.set_status(one, true("Ready", "AccountUnreachable", status="Unknown"))
        return self.reachable

    def _step(self, one: Instance, log: Log) -> None:
        vm = self.vms.get(one.spec.id)
        phase = one.status.phase
        if one.deleting and vm and vm.state != "ending":
            vm.state = "ending"
            self.world.changes += 1
            log("being ended", one.name)
        elif one.deleting:
            self.freed = self.freed or vm is not None or bool(one.status.provider_id)
            self.vms.pop(one.spec.id, None)
            self.world.remove_instance(one)
            log("gone", one.name)
        elif phase == "Pending":
            self._launch(one, vm, log)
        elif phase in ("Launching", "Ready") and vm is None:
            self.world.set_status(
                one, true("Ready", "VMVanished", "it does not exist any more", "False"), phase="Failed"
            )
            log("vanished", one.name)
        elif phase == "Launching" and vm and vm.state == "error":
            words = self.faults.get(one.spec.service_name, "it broke")
            self.world.set_status(one, true("Ready", "VMError", words, "False"), phase="Failed")
            log(f"failed ({words})", one.name)
        elif phase == "Launching" and vm and one.spec.service_name not in self.stuck:
            addresses = Addresses(private=[f"10.{sorted(self.world.accounts).index(self.key) + 1}.0.{vm.number}"])
            self.world.set_status(one, true("Ready", "ServiceReady"), phase="Ready", addresses=addresses)
            log("ready", one.name)
        elif phase == "Ready":
            self.world.set_status(one, true("Ready", "ServiceReady"))

    def _launch(self, one: Instance, vm: Vm | None, log: Log) -> None:
        account = self.world.accounts[self.key]
        marked = any(mark.flavor in ("", one.spec.flavor) for mark in account.status.full)
        if vm is None and not marked and self.capacity is not None and len(self.vms) >= self.capacity:
            mark = FullMark(until=at(self.world.monotonic + FULL_FOR), reason="CloudFull", message="no room")
            self._write(full=[mark])
            log("refuses a launch, since it is full", "")
            marked = True
        if vm is None and marked:
            self.world.set_status(one, true("Ready", "CloudFull", "no room", "False"), phase="Failed")
            log("failed (no room)", one.name)
            return
        log("found again" if vm else "starting", one.name)
        if vm is None:
            self.launches += 1
            vm = Vm(self.launches, "error" if one.spec.service_name in self.faults else "running")
            self.vms[one.spec.id] = vm
        self.world.set_status(
            one,
            true("Ready", "Launching", status="False"),
            phase="Launching",
            provider_id=f"simulated://{self.key.name}/i-{vm.number}",
        )

    def _lift_mark(self, log: Log) -> None:
        marks = self.world.accounts[self.key].status.full
        if marks and (self.freed or marks[0].until <= at(self.world.monotonic)):
            self._write(full=[])
            log("may have room again", "")
        self.freed = False

    def _write(self, **status: object) -> None:
        account = self.world.accounts[self.key]
        self.world.put_account(account.model_copy(update={"status": account.status.model_copy(update=status)}))

    def lose(self, service: str, count: int = 1) -> None:
        """What a cloud does to VMs without being asked."""
        found = [
            one.spec.id
            for one in sorted(self.world.instances.values(), key=lambda one: one.name)
            if one.account == self.key and one.spec.service_name == service and not one.deleting
        ]
        for vm in [vm for vm in found if vm in self.vms][:count]:
            del self.vms[vm]
