"""The cloud that the conformance suite is pointed at, and the suite's ways of looking at it. Decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar, cast

import pytest

from cloudherd.clouds.protocol import (
    VM,
    Capabilities,
    CloudError,
    Connection,
    Driver,
    ErrorKind,
    LaunchRequest,
    PowerDriver,
    Provider,
    Verb,
    VMState,
    account_capabilities,
)

T = TypeVar("T")

UP_OR_COMING = frozenset({VMState.PENDING, VMState.RUNNING})
ENDED = frozenset({VMState.DELETING, VMState.DELETED})
PATIENCE = 60.0  # seconds of real time for what a cloud does in its own time


def _pause() -> None:
    time.sleep(0.02)


@dataclass(kw_only=True)
class CloudUnderTest:
    """A provider with an account to try it on. What is left None is not tried."""

    provider: Provider
    connection: Connection
    flavor: str
    image: str
    absent_flavor: str | None = None  # well-formed, and not there
    absent_image: str | None = None
    absent_vm: str
    many: int = 12  # VMs made for a long listing: more than one page where the provider's page size can be set
    pause: Callable[[], None] = _pause  # between two looks at the cloud; moves the clock where it is a virtual one
    user_data: Callable[[str], bytes] | None = None  # what the VM of that ID was given, read behind the driver's back
    add_foreign: Callable[[], str] | None = None  # makes a VM that is not ours, behind the driver's back; its ID
    elsewhere: Connection | None = None  # an account of another scope
    refused: Callable[[], Connection] | None = None  # one whose credentials the cloud refuses from now on
    dead: Callable[[], Connection] | None = None  # one that nothing answers from now on
    fill: Callable[[], None] | None = None  # from now on the cloud has no room
    lose_next_reply: Callable[[], None] | None = None  # the next creation happens, its answer never arrives
    deafen: Callable[[], None] | None = None  # from now on guests do not go down when they are told to
    break_listing: Callable[[], None] | None = None  # the next listing of `many` VMs fails after its first page

    @property
    def capabilities(self) -> Capabilities:
        return account_capabilities(self.provider, self.connection)

    def driver(self) -> Driver:
        return self.provider.connect(self.connection)


_numbers = count(1)


def launch(cloud: CloudUnderTest, **changes: object) -> LaunchRequest:
    """A request that no other equals: as the agent makes them, with the identity tags."""
    unique = f"{next(_numbers)}-{time.time_ns():x}"
    request = LaunchRequest(
        token=f"token-{unique}",
        name=f"batch-worker-{unique}",
        flavor=cloud.flavor,
        image=cloud.image,
        tags={
            "cloudherd-installation": "0b6e0b0c-6c0f-4b7e-8f0a-5a2f6f6f4c11",
            "cloudherd-account": "physics.home",
            "cloudherd-namespace": "physics",
            "cloudherd-name": f"batch-worker-{unique}",
            "cloudherd-id": "1e5",
            "owner": "Zoë, group 42 / analysis",
        },
        user_data=b"#cloud-config\n{}\n",
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def failure(call: Callable[[], object]) -> CloudError:
    """The CloudError that the call ends in; anything else that comes out of a driver is a breach of the protocol."""
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def wait_for(cloud: CloudUnderTest, what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {PATIENCE:.0f} s")
        cloud.pause()


def listed(driver: Driver) -> dict[str, VM]:
    """The VMs of a complete listing by ID, without those that have ended or are about to."""
    listing = driver.list_vms()
    assert listing.complete
    assert len({vm.id for vm in listing.vms}) == len(listing.vms), "a VM is listed twice"
    return {vm.id: vm for vm in listing.vms if vm.state not in ENDED}


def wait_listed(cloud: CloudUnderTest, driver: Driver, *ids: str) -> None:
    wait_for(cloud, "the new VMs are listed", lambda: set(ids) <= set(listed(driver)))


def end(cloud: CloudUnderTest, driver: Driver, vm_id: str) -> None:
    """Asks for a VM's end, again and again while the cloud says that it cannot be ended just now."""
    _insist(cloud, f"{vm_id} can be ended", lambda: driver.destroy_vm(vm_id))


def ask(cloud: CloudUnderTest, driver: Driver, vm_id: str, verb: Verb) -> None:
    """Asks for it, again and again while the cloud says that it cannot be done just now."""
    _insist(cloud, f"{vm_id} can be told to {verb}", lambda: cast(PowerDriver, driver).power(vm_id, verb))


def _insist(cloud: CloudUnderTest, what: str, call: Callable[[], None]) -> None:
    def done() -> bool:
        try:
            call()
        except CloudError as error:
            if error.kind is not ErrorKind.BUSY:
                raise
            return False
        return True

    wait_for(cloud, what, done)


def wait_state(cloud: CloudUnderTest, driver: Driver, vm_id: str, state: VMState) -> None:
    def seen() -> bool:
        vm = driver.get_vm(vm_id)
        return vm is not None and vm.state is state

    wait_for(cloud, f"{vm_id} is {state}", seen)


def wait_gone(cloud: CloudUnderTest, driver: Driver, vm_id: str) -> None:
    def gone() -> bool:
        vm = driver.get_vm(vm_id)
        return vm_id not in listed(driver) and (vm is None or vm.state is VMState.DELETED)

    wait_for(cloud, f"{vm_id} is gone", gone)


def given(value: T | None, lacking: str) -> T:
    """The value; skips the test where there is none."""
    if value is None:
        pytest.skip(lacking)
    return value


def declared(capability: bool, what: str) -> None:
    if not capability:
        pytest.skip(f"the provider declares no {what}")
