"""What a simulated cloud does with calls: life, room, tokens, listings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloudherd.clouds.protocol import CloudError, ErrorKind, VMState
from cloudherd.clouds.simulated import faults
from tests.fakes.simulated import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def code_of(error: pytest.ExceptionInfo[CloudError]) -> tuple[ErrorKind, str]:
    return error.value.kind, error.value.code


def test_ids_count_up_and_are_never_used_again(world: World) -> None:
    driver = world.connect()
    first = driver.create_vm(world.request("a"))
    driver.destroy_vm(first.id)
    assert [first.id, driver.create_vm(world.request("b")).id] == ["i-000001", "i-000002"]


def test_a_vm_boots_by_itself_while_nobody_looks(world: World) -> None:
    driver = world.connect(bootSeconds=30)
    vm = driver.create_vm(world.request())
    assert (vm.state, vm.private) == (VMState.PENDING, ())
    world.clock.sleep(30)
    seen = driver.get_vm(vm.id)
    assert seen is not None
    assert seen.state is VMState.RUNNING
    assert len(seen.private) == 1
    assert driver.list_vms().vms == (seen,)


def test_settings_are_understood_in_both_spellings(world: World) -> None:
    for driver in (world.connect(bootSeconds=30), world.connect(boot_seconds=30)):
        vm = driver.create_vm(world.request(str(world.clock.time)))
        assert vm.state is VMState.PENDING
        world.clock.sleep(1)


def test_settings_that_make_no_sense_are_refused_by_name(world: World) -> None:
    with pytest.raises(CloudError) as caught:
        world.connect(bootSeconds="soon")
    assert caught.value.kind is ErrorKind.INVALID
    assert "spec.simulated: bootSeconds: input should be a valid number" in caught.value.message


def test_a_changed_setting_acts_at_once(world: World) -> None:
    world.connect(capacity=1).create_vm(world.request("a"))
    with pytest.raises(CloudError):
        world.connect(capacity=1).create_vm(world.request("b"))
    world.connect(capacity=2).create_vm(world.request("b"))


def test_latency_is_spent_half_on_the_way_there(world: World) -> None:
    started = world.clock.now()
    world.connect(latencySeconds=4).list_vms()
    (call,) = world.truth.calls()
    assert (call.at - started, world.clock.now() - started) == (2, 4)


# Room


def test_a_full_cloud_has_room_again_when_a_vm_has_gone(world: World) -> None:
    driver = world.connect(capacity=2)
    first = driver.create_vm(world.request("a"))
    world.truth.add_foreign()
    with pytest.raises(CloudError) as caught:
        driver.create_vm(world.request("b"))
    assert code_of(caught) == (ErrorKind.FULL, "InstanceLimitExceeded")
    assert not caught.value.flavor_only
    driver.destroy_vm(first.id)
    driver.create_vm(world.request("b"))


def test_a_vm_on_its_way_out_still_takes_its_place(world: World) -> None:
    driver = world.connect(capacity=1)
    vm = driver.create_vm(world.request("a"))
    world.truth.inject(faults.slow_end(60))
    driver.destroy_vm(vm.id)
    seen = driver.get_vm(vm.id)
    assert seen is not None
    assert seen.state is VMState.DELETING
    with pytest.raises(CloudError):
        driver.create_vm(world.request("b"))
    world.clock.sleep(60)
    assert driver.get_vm(vm.id) is None
    driver.create_vm(world.request("b"))


def test_limits_are_told_only_where_they_are_readable(world: World) -> None:
    assert world.connect(capacity=4).limits().instances == 4
    assert world.connect(capacity=4, limitsReadable=False).limits().instances is None
    assert world.connect().limits().instances is None


def test_capabilities_follow_the_accounts_settings(world: World) -> None:
    capabilities = world.provider.capabilities_of(world.connection(listingLagSeconds=15, limitsReadable=False))
    assert capabilities.visibility_seconds == 15
    assert not capabilities.limits_readable


# Tokens


def test_a_token_finds_its_vm_though_the_cloud_is_full(world: World) -> None:
    driver = world.connect(capacity=1)
    vm = driver.create_vm(world.request())
    world.truth.inject(faults.full())
    assert driver.create_vm(world.request()).id == vm.id


def test_a_refused_request_leaves_its_token_unused(world: World) -> None:
    full, roomy = world.connect(capacity=0), world.connect()
    request = world.request()
    with pytest.raises(CloudError):
        full.create_vm(request)
    with pytest.raises(CloudError):
        roomy.create_vm(replace(request, image="sim-windows-95"))
    assert roomy.create_vm(request).id == "i-000001"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"flavor": "sim.large"},
        {"image": "sim-debian-13"},
        {"tags": {}},
        {"user_data": b"other"},
        {"network": "other"},
        {"security_groups": ("other",)},
        {"public_address": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_token_belongs_to_all_of_its_request(world: World, change: dict[str, object]) -> None:
    driver = world.connect()
    request = world.request()
    driver.create_vm(request)
    with pytest.raises(CloudError) as caught:
        driver.create_vm(replace(request, **change))  # type: ignore[arg-type]
    assert code_of(caught) == (ErrorKind.INVALID, "IdempotentParameterMismatch")


def test_the_order_of_tags_makes_no_other_request(world: World) -> None:
    driver = world.connect()
    request = world.request()
    vm = driver.create_vm(replace(request, tags={"a": "1", "b": "2"}))
    assert driver.create_vm(replace(request, tags={"b": "2", "a": "1"})).id == vm.id


@pytest.mark.parametrize("end", ["destroyed", "vanished"])
def test_the_token_of_an_ended_vm_is_spent(world: World, end: str) -> None:
    driver = world.connect()
    vm = driver.create_vm(world.request())
    if end == "destroyed":
        driver.destroy_vm(vm.id)
    else:
        world.truth.vanish(vm.id)
    with pytest.raises(CloudError) as caught:
        driver.create_vm(world.request())
    assert code_of(caught) == (ErrorKind.INVALID, "IdempotentInstanceTerminated")
    assert world.truth.vms() == []


def test_without_a_token_every_call_makes_a_vm(world: World) -> None:
    driver = world.connect()
    request = replace(world.request(), token="")
    assert driver.create_vm(request).id != driver.create_vm(request).id


# Listings


def test_a_lagging_listing_lacks_what_is_new_and_keeps_what_is_gone(world: World) -> None:
    driver = world.connect(listingLagSeconds=10)
    vm = driver.create_vm(world.request())
    assert driver.list_vms().vms == ()
    assert driver.get_vm(vm.id) is not None
    world.clock.sleep(10)
    assert [(each.id, each.state) for each in driver.list_vms().vms] == [(vm.id, VMState.RUNNING)]
    driver.destroy_vm(vm.id)
    assert [(each.id, each.state) for each in driver.list_vms().vms] == [(vm.id, VMState.RUNNING)]
    assert driver.get_vm(vm.id) is None
    world.clock.sleep(10)
    assert driver.list_vms().vms == ()


def test_a_listing_is_of_the_account(world: World) -> None:
    assert world.connect().list_vms().scope == "physics.home"


def test_addresses_come_round_and_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudherd.clouds.simulated.machine.ADDRESSES", 3)
    monkeypatch.setattr("cloudherd.clouds.simulated.cloud.ADDRESSES", 3)
    world = World(tmp_path)
    driver = world.connect()
    made = [driver.create_vm(world.request(str(number))) for number in range(3)]
    with pytest.raises(CloudError) as caught:
        driver.create_vm(world.request("one too many"))
    assert code_of(caught) == (ErrorKind.FULL, "InsufficientFreeAddresses")
    driver.destroy_vm(made[1].id)
    assert driver.create_vm(world.request("again")).private == made[1].private


# The other side


def test_what_happens_behind_the_back_is_seen(world: World) -> None:
    driver = world.connect()
    stopped, broken, renamed, gone = (driver.create_vm(world.request(name)).id for name in "abcd")
    world.truth.stop(stopped)
    world.truth.set_error(broken, "The host died.")
    world.truth.retag(renamed, {"owner": "somebody"})
    world.truth.vanish(gone)
    seen = {vm.id: vm for vm in driver.list_vms().vms}
    assert gone not in seen
    assert seen[stopped].state is VMState.STOPPED
    assert (seen[broken].state, seen[broken].detail) == (VMState.ERROR, "The host died.")
    assert seen[renamed].tags == {"owner": "somebody"}
    assert world.truth.vms() == list(driver.list_vms().vms)
    world.truth.start(stopped)
    assert driver.list_vms().vms[0].state is VMState.RUNNING


def test_a_vm_that_never_was_cannot_be_changed(world: World) -> None:
    with pytest.raises(KeyError):
        world.truth.vanish("i-000001")
    with pytest.raises(KeyError):
        world.truth.user_data("i-000001")


def test_the_user_data_of_an_ended_vm_can_still_be_read(world: World) -> None:
    driver = world.connect()
    vm = driver.create_vm(world.request(user_data=b"#cloud-config"))
    driver.destroy_vm(vm.id)
    assert world.truth.user_data(vm.id) == b"#cloud-config"


def test_a_dropped_cloud_starts_anew(world: World) -> None:
    driver = world.connect()
    driver.create_vm(world.request())
    driver.close()
    world.truth.drop()
    assert not list(world.truth.path.parent.iterdir())
    assert world.connect().list_vms().vms == ()
