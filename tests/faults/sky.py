"""A cloud that goes wrong in every way that clouds do, and that tells a witness the truth of what comes and goes.

`Sky` is the cloud itself, which outlives every operator; `Uplink` is one operator's connection to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from cloudherd.clouds.batches import Batches
from cloudherd.clouds.protocol import (
    VM,
    Capabilities,
    CloudError,
    ErrorKind,
    Image,
    LaunchRequest,
    Limits,
    Listing,
    Size,
    Verb,
    VMState,
)
from cloudherd.runtime.ports import Clock
from tests.fakes.cloud import FOREVER, IMAGES, SIZES, TOKENS, Call, FakeCloud, Machine
from tests.faults.dice import Dice
from tests.faults.story import Story

T = TypeVar("T")

BEYOND = "beyond"
"""The key that leads to another project of the same cloud: another scope, with VMs of its own."""

WRITES = ("create_vm", "destroy_vm")
LATEST = 590.0
"""Seconds after which a creation that timed out has succeeded, if it ever will."""


class Witness(Protocol):
    """Who watches a cloud, told at once."""

    def asked(self, sky: Sky, request: LaunchRequest) -> None: ...
    def launched(self, sky: Sky, machine: Machine) -> None: ...
    def destroying(self, sky: Sky, machine: Machine) -> None: ...


class Sky(FakeCloud):
    """Times are virtual seconds. `lag` is how far its listings lie behind; what they hide, a look by ID shows unless it
    is younger than `lag`. While it is `gone` nobody reaches it, while it is `full` it makes no VM, while it is `blind`
    it says of every VM that there is none.
    """

    def __init__(self, name: str, clock: Clock, dice: Dice, story: Story, *, first: int, **settings: Any) -> None:
        tokens, batch = settings.pop("tokens", True), settings.pop("batch", 1)
        super().__init__(clock, scope=settings.pop("scope", name), **settings)
        seconds = max(10.0, self.lag)
        self.capabilities = replace(TOKENS, idempotency_token=tokens, visibility_seconds=seconds, batch=batch)
        self.name, self.dice, self.story = name, dice, story
        self.first = first
        self.keys = {"key-1"}
        self.gone = False
        self.full = False
        self.blind = False
        self.hides_for = 300.0
        """The longest time for which listings lack a VM by chance, in seconds."""
        self.hidden_until: dict[str, float] = {}
        self.asked_at: dict[str, float] = {}
        self.addresses = 0  # how many there are; they are used again. 0: no end of them
        self.witness: Witness | None = None
        self.beyond: Sky | None = None
        self.caller: Caller | None = None
        """Whose call is taking place now."""
        self.made_by: dict[str, Caller | None] = {}

    # -- what it holds

    def add(self, request: LaunchRequest, *, after: float = 0) -> Machine:
        made_at = self.now() + after
        vm_id = f"vm-{self.first + len(self.machines)}"
        machine = Machine(vm_id, request, made_at, made_at + self.boot, tags=dict(request.tags))
        self.machines[vm_id] = machine
        self.asked_at[vm_id], self.made_by[vm_id] = self.now(), self.caller
        return machine

    def coming(self) -> list[Machine]:
        """Those alive, and those that will be though nobody was told."""
        return [one for one in self.machines.values() if self.now() < one.gone_at]

    def hide(self, machine: Machine, seconds: float) -> None:
        """Listings lack it for so long. A young one of a cloud without tokens shows itself before it is given up."""
        until = self.now() + seconds
        given_up = self.asked_at[machine.id] + LATEST
        if not self.capabilities.idempotency_token and self.now() < given_up + 60:
            until = min(until, given_up)
        self.hidden_until[machine.id] = until

    def strangers(self) -> list[Machine]:
        """VMs of other people, with names like ours: without tags, and with those of another installation."""
        other = {"cloudherd-installation": "another", "cloudherd-account": self.name, "cloudherd-namespace": "physics"}
        whole = {**other, "cloudherd-name": "batch-worker-1", "cloudherd-id": "other"}
        tags: tuple[dict[str, str], ...] = ({}, {"Name": "batch-worker-0"}, whole)
        return [
            self.add(LaunchRequest(f"foreign-{number}", f"batch-worker-{number}", "sim.small", "sim-debian-12", one))
            for number, one in enumerate(tags)
        ]

    # -- what it answers

    def listed(self) -> Listing:
        now = self.now()
        for one in self.alive():
            if one.id not in self.hidden_until and self.dice.hits("cloud: VM hidden"):
                self.hide(one, self.dice.skewed(1, self.hides_for))
        if self.blind:
            return Listing(self.scope, ())
        at = now - self.lag
        if any(at < one.made_at for one in self.alive()):
            self.dice.count("cloud: listing lags")
        shown = [
            self._dressed(one.seen(at))
            for one in self.machines.values()
            if one.made_at <= at < one.gone_at + self.linger
            and one.id not in self.hidden
            and self.hidden_until.get(one.id, 0) <= now
        ]
        if shown and self.dice.hits("cloud: listing truncated"):
            return Listing(self.scope, tuple(shown[: self.dice.number(0, len(shown) - 1)]), complete=False)
        if shown and self.dice.hits("cloud: pages twice"):
            shown += shown[: self.dice.number(1, len(shown))]
        return Listing(self.scope, tuple(shown))

    def shown(self, vm_id: str) -> VM | None:
        if self.blind:
            return None
        machine = self.machines.get(vm_id)
        young = machine is not None and self.now() < machine.made_at + self.lag
        found = None if young else super().shown(vm_id)
        return found and self._dressed(found)

    def launch(self, request: LaunchRequest) -> VM:
        if self.witness:
            self.witness.asked(self, request)
        same = [one for one in self.machines.values() if one.request.token == request.token]
        known = self.capabilities.idempotency_token and bool(same)
        if known and same[0].made_at > self.now():
            raise CloudError(ErrorKind.UNKNOWN, "RequestInProgress", "a request with this token is being worked on")
        crowded = self.capacity is not None and len(self.alive()) >= self.capacity
        if not known and (self.full or crowded):
            self.dice.count("creation: refused as full")
        if not known and (self.full or self.dice.hits("creation: full for a moment")):
            raise CloudError(ErrorKind.FULL, "InsufficientCapacity", "no capacity for this flavor", flavor_only=True)
        if known or not self.dice.hits("creation: succeeds late"):
            before = len(self.machines)
            vm = super().launch(request)
            if len(self.machines) > before:
                self._made(self.machines[vm.id])
            return self._dressed(vm)
        machine = self.add(request, after=self.dice.skewed(1, self._latest()))
        self.story.tell(
            f"{self.name} takes {request.name} and times out; {machine.id} comes at {machine.made_at:.0f} s"
        )
        self._made(machine)
        raise CloudError(ErrorKind.UNKNOWN, "RequestTimeout", "the cloud did not answer in time")

    def launch_all(self, requests: Sequence[LaunchRequest]) -> list[VM | None]:
        """With one call. Where some come late nobody is told of any; a limit refuses all, a want of capacity some."""
        if len(requests) > 1:
            self.dice.count("creation: several with one call")
        if self.capacity is not None and len(self.alive()) + len(requests) > self.capacity and self.dice.chance(0.5):
            self.dice.count("creation: refused as full")
            raise CloudError(ErrorKind.FULL, "InstanceLimitExceeded", f"no more than {self.capacity} VMs")
        made: list[VM | None] = []
        doubt: CloudError | None = None
        for request in requests:
            try:
                made.append(self.launch(request))
            except CloudError as error:
                if error.kind is ErrorKind.FULL and not made:
                    raise
                if error.kind is ErrorKind.FULL:
                    break
                doubt = error
                made.append(None)
        if doubt:
            raise doubt
        return [*made, *[None] * (len(requests) - len(made))]

    def destroy(self, vm_id: str) -> None:
        machine = self.machines.get(vm_id)
        if machine is not None and machine.ends_at == FOREVER:
            self.story.tell(f"{self.name} ends {vm_id} {machine.request.name}")
            if self.witness:
                self.witness.destroying(self, machine)
        super().destroy(vm_id)

    def _latest(self) -> float:
        """Where there are no tokens, a late VM must have shown itself before it is given up."""
        return LATEST if self.capabilities.idempotency_token else LATEST - self.capabilities.visibility_seconds

    def _made(self, machine: Machine) -> None:
        if machine.made_at <= self.now():
            self.story.tell(f"{self.name} makes {machine.id} for {machine.request.name}")
        if self.witness:
            self.witness.launched(self, machine)
        if self.dice.hits("creation: ends in error"):
            asyncio.get_running_loop().call_later(self.dice.skewed(1, 120), self._break, machine)

    def _break(self, machine: Machine) -> None:
        self.story.tell(f"{machine.id} ends in an error")
        self.break_(machine.id, VMState.ERROR, "No valid host was found")

    def address_of(self, vm_id: str) -> str:
        number = int(vm_id.removeprefix("vm-"))
        return f"10.0.0.{number % self.addresses if self.addresses else number}"

    def _dressed(self, vm: VM) -> VM:
        return replace(vm, private=(self.address_of(vm.id),)) if vm.private else vm


class Caller(Protocol):
    """The operator that calls: it may have been killed, or be killed by calling."""

    started_at: float
    """Virtual seconds."""

    def check(self) -> None:
        """CancelledError where it is dead."""
        ...

    def step(self, what: str) -> None:
        """Just before or after something that others can see."""
        ...


class Uplink:
    """The Cloud port of one account, as one operator with one key."""

    def __init__(self, sky: Sky, key: str, caller: Caller) -> None:
        self._sky, self._key, self._caller = sky, key, caller
        self._batches = Batches(self._create_vms, sky.capabilities.batch) if sky.capabilities.batch > 1 else None

    @property
    def capabilities(self) -> Capabilities:
        return self._sky.capabilities

    @capabilities.setter
    def capabilities(self, _: Capabilities) -> None:
        raise AttributeError("a cloud's capabilities are its own")

    async def list_vms(self) -> Listing:
        return await self._call("list_vms", "", self._sky.listed)

    async def get_vm(self, vm_id: str) -> VM | None:
        return await self._call("get_vm", vm_id, lambda: self._sky.shown(vm_id))

    async def create_vm(self, request: LaunchRequest) -> VM:
        if self._batches:
            return await self._batches.launch(request)
        return await self._call("create_vm", request.name, lambda: self._sky.launch(request))

    async def _create_vms(self, requests: Sequence[LaunchRequest]) -> list[VM | None]:
        names = " ".join(one.name for one in requests)
        return await self._call("create_vm", names, lambda: self._sky.launch_all(requests))

    async def destroy_vm(self, vm_id: str) -> None:
        await self._call("destroy_vm", vm_id, lambda: self._sky.destroy(vm_id))

    async def power(self, vm_id: str, verb: Verb) -> None:
        await self._call("power", f"{vm_id} {verb}", lambda: self._sky.power(vm_id, verb))

    async def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        return await self._call("sizes", "", lambda: list(SIZES))

    async def images(self, wanted: tuple[str, ...]) -> list[Image]:
        return await self._call("images", "", lambda: [one for one in IMAGES if one.name in wanted])

    async def limits(self) -> Limits:
        sky = self._sky
        return await self._call("limits", "", lambda: sky.limits or Limits(instances=sky.capacity))

    async def close(self) -> None:
        return

    async def _call(self, operation: str, what: str, action: Callable[[], T]) -> T:
        sky, dice = self._sky, self._sky.dice
        self._caller.check()
        label = f"{operation} {what}".strip()
        sky.calls.append(Call(sky.now(), operation, what))
        self._caller.step(f"before {label}")
        await sky.clock.sleep(dice.skewed(1, 60) if dice.hits("cloud: slow") else dice.between(0, sky.latency))
        self._refuse(label)
        if operation == "destroy_vm" and dice.hits("cloud: destruction failed"):
            raise CloudError(ErrorKind.UNREACHABLE, "InternalError", "internal error")
        # Once it is sent, it takes place whatever becomes of the caller.
        again = operation in WRITES and sky.capabilities.idempotency_token and dice.hits("cloud: request sent twice")
        sent = asyncio.ensure_future(self._take_place(action, twice=again))
        sent.add_done_callback(_heard)
        try:
            answer = await asyncio.shield(sent)
        finally:
            self._caller.step(f"after {label}")
        if dice.hits("cloud: answer lost"):
            sky.story.tell(f"the answer to {label} is lost")
            raise CloudError(ErrorKind.UNKNOWN, "ConnectionReset", "the connection broke")
        return answer

    def _refuse(self, label: str) -> None:
        sky, dice = self._sky, self._sky.dice
        self._caller.check()
        if sky.gone:
            raise CloudError(ErrorKind.UNREACHABLE, "NoRoute", "no route to host")
        if self._key not in sky.keys:
            raise CloudError(ErrorKind.DENIED, "AuthFailure", "the credentials have expired")
        if dice.hits("cloud: throttled"):
            raise CloudError(ErrorKind.THROTTLED, "RequestLimitExceeded", "too many requests")
        if dice.hits("cloud: call failed"):
            sky.story.tell(f"{label} fails with 500")
            raise CloudError(ErrorKind.UNREACHABLE, "InternalError", "internal error")

    async def _take_place(self, action: Callable[[], T], *, twice: bool) -> T:
        """A client library may send a request a second time; only a cloud with tokens can tell."""
        await self._sky.clock.sleep(0)
        self._sky.caller = self._caller
        if twice:
            action()
        return action()


def _heard(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
