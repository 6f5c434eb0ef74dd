"""A cloud in memory, on whatever clock it is given: capacity, boot time, lag, faults, lost replies, late creations.

`FakeCloud` is the cloud itself, the truth that outlives every agent; `FakeClouds` is the CloudFactory port that leads
to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

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

FOREVER = float("inf")
TOKENS = Capabilities(
    idempotency_token=True, tags_at_creation=True, limits_readable=True, max_user_data=16384, visibility_seconds=10
)
NO_TOKENS = replace(TOKENS, idempotency_token=False)
LATE_TAGS = replace(TOKENS, tags_at_creation=False)
"""They are put on by a call of their own."""

SIZES = [Size("f-1", "sim.small", 1, 2 * 1024**3), Size("f-2", "sim.large", 4, 8 * 1024**3)]
IMAGES = [Image("i-1", "sim-debian-12")]


@dataclass(frozen=True, slots=True)
class Call:
    at: float
    operation: str
    what: str = ""


@dataclass(slots=True)
class Machine:
    """A VM as it is. Times are monotonic; it runs from `boots_at` and is gone from `gone_at`."""

    id: str
    request: LaunchRequest
    made_at: float
    boots_at: float
    ends_at: float = FOREVER
    gone_at: float = FOREVER
    broken: tuple[VMState, str] | None = None
    no_room: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    untagged: bool = False

    def state(self, at: float) -> VMState:
        if at >= self.gone_at:
            return VMState.DELETED
        if at >= self.ends_at:
            return VMState.DELETING
        if self.broken:
            return self.broken[0]
        if at < self.boots_at:
            return VMState.PENDING
        return VMState.ERROR if self.no_room else VMState.RUNNING

    def seen(self, at: float) -> VM:
        state = self.state(at)
        address = (f"10.0.0.{self.id.removeprefix('vm-')}",) if state is VMState.RUNNING else ()
        detail = self.broken[1] if self.broken else ""
        no_room = self.no_room and state is VMState.ERROR
        token = self.request.token if self.untagged else ""
        flavor = self.request.flavor
        return VM(self.id, self.request.name, state, dict(self.tags), address, (), flavor, detail, no_room, token)


Fault = Callable[[str, Literal["before", "after"], str], Awaitable[None] | None]
"""Called around every call with its name and the VM that it is about; may raise CloudError, or take its time."""


class FakeCloud:
    def __init__(self, clock: Clock, *, scope: str = "fake", capacity: int | None = None, **settings: Any) -> None:
        self.clock = clock
        self.scope = scope
        self.capacity = capacity
        self.hosts: int | None = None  # VMs that find a place; the launches of others are taken, and come to nothing
        self.capabilities: Capabilities = settings.pop("capabilities", TOKENS)
        self.boot: float = settings.pop("boot", 0)
        self.shutdown: float = settings.pop("shutdown", 0)
        self.latency: float = settings.pop("latency", 0)
        self.lag: float = settings.pop("lag", 0)
        self.linger: float = settings.pop("linger", 0)
        assert not settings, settings
        self.machines: dict[str, Machine] = {}
        self.calls: list[Call] = []
        self.fault: Fault | None = None
        self.down: CloudError | None = None
        self.hidden: set[str] = set()
        self.deaf: set[str] = set()  # VMs that do not shut down when they are told to
        self.complete = True
        self.limits: Limits | None = None
        self.sizes, self.images = list(SIZES), list(IMAGES)

    # -- the truth

    def alive(self) -> list[Machine]:
        """What costs money now."""
        return [one for one in self.machines.values() if one.made_at <= self.now() < one.gone_at]

    def names(self) -> list[str]:
        return sorted(one.request.tags.get("cloudherd-name", one.request.name) for one in self.alive())

    def count(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.calls)

    def now(self) -> float:
        return self.clock.monotonic()

    def add(self, request: LaunchRequest, *, after: float = 0) -> Machine:
        """A VM comes into being, whoever asked for it."""
        made_at = self.now() + after
        machine = Machine(
            f"vm-{len(self.machines) + 1}", request, made_at, made_at + self.boot, tags=dict(request.tags)
        )
        self.machines[machine.id] = machine
        return machine

    def vanish(self, *ids: str) -> None:
        for vm_id in ids:
            self.machines[vm_id].gone_at = self.machines[vm_id].ends_at = self.now()

    def untag(self, vm_id: str) -> None:
        machine = self.machines[vm_id]
        machine.untagged, machine.tags = True, {}

    def tag(self, vm_id: str) -> VM:
        machine = self.machines[vm_id]
        machine.untagged, machine.tags = False, dict(machine.request.tags)
        return machine.seen(self.now())

    def break_(self, vm_id: str, state: VMState, detail: str = "") -> None:
        self.machines[vm_id].broken = (state, detail)

    # -- the calls

    async def call(self, operation: str, what: str, action: Callable[[], Any]) -> Any:
        self.calls.append(Call(self.now(), operation, what))
        await self.clock.sleep(self.latency)
        if self.down:
            raise self.down
        await self._fault(operation, "before", what)
        answer = action()
        await self._fault(operation, "after", what)
        return answer

    async def _fault(self, operation: str, when: Literal["before", "after"], what: str) -> None:
        waiting = self.fault(operation, when, what) if self.fault else None
        if waiting is not None:
            await waiting

    def listed(self) -> Listing:
        at = self.now() - self.lag
        shown = [
            one.seen(at)
            for one in self.machines.values()
            if one.made_at <= at < one.gone_at + self.linger and one.id not in self.hidden
        ]
        return Listing(self.scope, tuple(shown), self.complete)

    def shown(self, vm_id: str) -> VM | None:
        machine = self.machines.get(vm_id)
        alive = machine is not None and machine.made_at <= self.now() < machine.gone_at
        return machine.seen(self.now()) if alive and machine else None

    def launch(self, request: LaunchRequest) -> VM:
        if self.capabilities.idempotency_token:
            for one in self.machines.values():
                if one.request.token == request.token:
                    one.made_at = min(one.made_at, self.now())  # the late one is here
                    return one.seen(self.now())
        if self.capacity is not None and len(self.alive()) >= self.capacity:
            raise CloudError(ErrorKind.FULL, "QuotaReached", f"no more than {self.capacity} VMs")
        placed = sum(not one.no_room for one in self.alive())
        made = self.add(request)
        made.no_room = self.hosts is not None and placed >= self.hosts
        if not self.capabilities.tags_at_creation:
            self.untag(made.id)
        return made.seen(self.now())

    def destroy(self, vm_id: str) -> None:
        machine = self.machines.get(vm_id)
        if machine is not None and machine.ends_at == FOREVER:
            machine.ends_at, machine.gone_at = self.now(), self.now() + self.shutdown

    def power(self, vm_id: str, verb: Verb) -> None:
        machine = self.machines[vm_id]
        if verb is Verb.SHUT_DOWN and vm_id in self.deaf:
            return
        at_rest = {Verb.SUSPEND: VMState.SUSPENDED, Verb.SHUT_DOWN: VMState.STOPPED, Verb.STOP: VMState.STOPPED}
        machine.broken = (at_rest[verb], "") if verb in at_rest else None


class FakeClient:
    """The Cloud port of one account."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud
        self.capabilities = cloud.capabilities
        self.closed = False

    async def list_vms(self) -> Listing:
        listing: Listing = await self._cloud.call("list_vms", "", self._cloud.listed)
        return listing

    async def get_vm(self, vm_id: str) -> VM | None:
        found: VM | None = await self._cloud.call("get_vm", vm_id, lambda: self._cloud.shown(vm_id))
        return found

    async def create_vm(self, request: LaunchRequest) -> VM:
        vm: VM = await self._cloud.call("create_vm", request.name, lambda: self._cloud.launch(request))
        if not self.capabilities.tags_at_creation:
            vm = await self._cloud.call("tag", vm.id, lambda: self._cloud.tag(vm.id))
        return vm

    async def destroy_vm(self, vm_id: str) -> None:
        await self._cloud.call("destroy_vm", vm_id, lambda: self._cloud.destroy(vm_id))

    async def power(self, vm_id: str, verb: Verb) -> None:
        await self._cloud.call("power", f"{vm_id} {verb}", lambda: self._cloud.power(vm_id, verb))

    async def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        sizes: list[Size] = await self._cloud.call("sizes", "", lambda: list(self._cloud.sizes))
        return sizes

    async def images(self, wanted: tuple[str, ...]) -> list[Image]:
        def found() -> list[Image]:
            return [one for one in self._cloud.images if {one.id, one.name} & set(wanted)]

        images: list[Image] = await self._cloud.call("images", "", found)
        return images

    async def limits(self) -> Limits:
        cloud = self._cloud
        limits: Limits = await cloud.call("limits", "", lambda: cloud.limits or Limits(instances=cloud.capacity))
        return limits

    async def close(self) -> None:
        self.closed = True


class FakeClouds:
    """Leads an account, by `<namespace>.<name>`, to its cloud; where keys are set, only with the right ones."""

    def __init__(self, clouds: Mapping[str, FakeCloud]) -> None:
        self.clouds = dict(clouds)
        self.clients: list[FakeClient] = []
        self.made: list[tuple[str, dict[str, str]]] = []

    def __call__(
        self, account: str, provider: str, settings: Mapping[str, Any], credentials: Mapping[str, str]
    ) -> FakeClient:
        if provider != "fake":
            raise CloudError(ErrorKind.INVALID, "UnknownProvider", f"spec.provider {provider} is not known")
        if credentials and "key" not in credentials:
            raise CloudError(ErrorKind.INVALID, "InvalidSettings", "the Secret lacks the key key")
        self.made.append((account, dict(credentials)))
        self.clients.append(FakeClient(self.clouds[account]))
        return self.clients[-1]
