"""What can be made to go wrong: each fault does what it says, to whom it says, as often as it says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudherd.clouds.protocol import CloudError, ErrorKind, VMState
from cloudherd.clouds.simulated import Fault, SimulatedCloud, SimulatedDriver, faults
from tests.fakes.simulated import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except CloudError as error:
        return error.kind
    return "ok"


def test_the_next_calls_of_an_operation_fail(world: World) -> None:
    driver = world.connect()
    world.truth.inject(faults.fail("list_vms", ErrorKind.THROTTLED, code="RequestLimitExceeded", times=2))
    assert outcome(driver.limits) == "ok"
    assert [outcome(driver.list_vms) for _ in range(3)] == ["Throttled", "Throttled", "ok"]
    assert world.truth.faults() == 0


def test_faults_follow_one_another(world: World) -> None:
    driver = world.connect()
    world.truth.inject(faults.fail("", ErrorKind.THROTTLED), faults.fail("list_vms", ErrorKind.DENIED))
    world.truth.inject(faults.unreachable(times=1))
    assert [outcome(driver.list_vms) for _ in range(4)] == ["Throttled", "Denied", "Unreachable", "ok"]


@pytest.mark.parametrize(("fault", "kind"), [(faults.deny(), "Denied"), (faults.unreachable(), "Unreachable")])
def test_a_standing_fault_stands_until_it_is_healed_and_does_nothing(world: World, fault: Fault, kind: str) -> None:
    driver = world.connect()
    vm = driver.create_vm(world.request("a"))
    world.truth.inject(fault)
    calls: list[Callable[[], object]] = [
        driver.list_vms,
        lambda: driver.get_vm(vm.id),
        lambda: driver.create_vm(world.request("b")),
        lambda: driver.destroy_vm(vm.id),
        driver.sizes,
        lambda: driver.images(("sim-debian-12",)),
        driver.limits,
    ]
    assert [outcome(call) for call in calls] == [kind] * len(calls)
    assert [each.id for each in world.truth.vms()] == [vm.id]
    world.truth.heal()
    assert outcome(driver.list_vms) == "ok"


def test_a_flavor_can_be_full_by_itself(world: World) -> None:
    driver = world.connect()
    world.truth.inject(faults.full("sim.large"))
    with pytest.raises(CloudError) as caught:
        driver.create_vm(world.request("a", flavor="sim.large"))
    assert (caught.value.kind, caught.value.flavor_only) == (ErrorKind.FULL, True)
    assert outcome(lambda: driver.create_vm(world.request("a"))) == "ok"


def test_a_full_account_is_full_for_every_flavor(world: World) -> None:
    world.truth.inject(faults.full())
    with pytest.raises(CloudError) as caught:
        world.connect().create_vm(world.request())
    assert not caught.value.flavor_only


@pytest.mark.parametrize("kind", [ErrorKind.UNKNOWN, ErrorKind.UNREACHABLE])
def test_a_lost_reply_leaves_a_vm_that_its_token_finds(world: World, kind: ErrorKind) -> None:
    driver = world.connect()
    world.truth.inject(faults.lose_reply(kind=kind))
    assert outcome(lambda: driver.create_vm(world.request())) == kind
    (vm,) = world.truth.vms()
    assert driver.create_vm(world.request()).id == vm.id
    assert [(call.made, call.outcome) for call in world.truth.calls("create_vm")] == [(True, kind), (False, "ok")]


def test_a_lost_reply_waits_for_a_call_that_does_something(world: World) -> None:
    driver = world.connect()
    world.truth.inject(faults.lose_reply(), faults.full(times=1))
    answers = [outcome(lambda: driver.create_vm(world.request())) for _ in range(3)]
    assert answers == ["Full", "UnknownOutcome", "ok"]


def test_a_destruction_whose_reply_is_lost_happens(world: World) -> None:
    driver = world.connect()
    vm = driver.create_vm(world.request())
    world.truth.inject(faults.lose_reply("destroy_vm", kind=ErrorKind.UNREACHABLE))
    assert outcome(lambda: driver.destroy_vm(vm.id)) == "Unreachable"
    assert world.truth.vms() == []


def test_a_vm_can_end_in_an_error_after_a_while(world: World) -> None:
    driver = world.connect(bootSeconds=30)
    world.truth.inject(faults.bad_boot("No valid host was found.", after=10))
    bad, good = driver.create_vm(world.request("a")), driver.create_vm(world.request("b"))
    assert bad.state is VMState.PENDING
    world.clock.sleep(30)
    states = {vm.id: (vm.state, vm.detail) for vm in driver.list_vms().vms}
    assert states == {bad.id: (VMState.ERROR, "No valid host was found."), good.id: (VMState.RUNNING, "")}


def test_a_listing_can_be_short_and_say_so(world: World) -> None:
    driver = world.connect()
    for name in "abcd":
        driver.create_vm(world.request(name))
    world.truth.inject(faults.truncated(0.25))
    short, whole = driver.list_vms(), driver.list_vms()
    assert (len(short.vms), short.complete) == (1, False)
    assert (len(whole.vms), whole.complete) == (4, True)


def test_a_listing_can_be_empty_and_lie(world: World) -> None:
    driver = world.connect()
    driver.create_vm(world.request())
    world.truth.inject(faults.empty())
    listing = driver.list_vms()
    assert (listing.vms, listing.complete) == ((), True)


def test_a_slow_reply_comes_after_the_deed(world: World) -> None:
    driver = world.connect()
    world.truth.inject(faults.slow_reply(90, "create_vm"))
    started = world.clock.now()
    driver.create_vm(world.request())
    assert world.clock.now() - started == 90
    assert world.truth.calls("create_vm")[0].at == started


def test_faults_are_met_by_drivers_that_were_there_before(world: World, tmp_path: Path) -> None:
    driver = world.connect()
    driver.list_vms()
    SimulatedCloud.of(world.account, tmp_path).inject(faults.deny(times=1))
    assert outcome(driver.list_vms) == "Denied"


def test_of_calls_at_once_a_single_fault_strikes_one(world: World) -> None:
    def call(driver: SimulatedDriver) -> str:
        return outcome(driver.list_vms)

    world.truth.inject(faults.unreachable(times=3))
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(call, [world.connect() for _ in range(8)])) == ["Unreachable"] * 3 + ["ok"] * 5
