"""The log of calls: complete, in order, and without a secret."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from cloudherd.clouds.protocol import CloudError
from cloudherd.clouds.simulated import SimulatedCloud, faults
from tests.fakes.simulated import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_call_has_a_line(world: World) -> None:
    driver = world.connect(capacity=1)
    vm = driver.create_vm(world.request("a"))
    driver.create_vm(world.request("a"))
    with pytest.raises(CloudError):
        driver.create_vm(world.request("b"))
    driver.get_vm(vm.id)
    driver.get_vm("i-999999")
    driver.list_vms()
    driver.sizes()
    driver.images(("sim-debian-12",))
    driver.limits()
    driver.destroy_vm(vm.id)
    driver.destroy_vm(vm.id)
    lines = [(call.operation, call.vm, call.token, call.made, call.outcome) for call in world.truth.calls()]
    assert lines == [
        ("create_vm", "i-000001", "token-of-a", True, "ok"),
        ("create_vm", "i-000001", "token-of-a", False, "ok"),
        ("create_vm", "", "token-of-b", False, "Full"),
        ("get_vm", "i-000001", "", False, "ok"),
        ("get_vm", "i-999999", "", False, "ok"),
        ("list_vms", "", "", False, "ok"),
        ("sizes", "", "", False, "ok"),
        ("images", "", "", False, "ok"),
        ("limits", "", "", False, "ok"),
        ("destroy_vm", "i-000001", "", False, "ok"),
        ("destroy_vm", "i-000001", "", False, "ok"),
    ]


def test_a_line_holds_the_time_and_the_arguments_that_matter(world: World) -> None:
    world.connect(capacity=0, latencySeconds=1)
    driver = world.connect()
    world.clock.sleep(5)
    driver.create_vm(world.request("a"))
    world.truth.inject(faults.truncated(0))
    driver.list_vms()
    created, listed = world.truth.calls()
    assert created.at == world.clock.now()
    assert created.arguments == {
        "name": "a",
        "flavor": "sim.small",
        "image": "sim-debian-12",
        "tags": {"cloudherd-name": "a"},
        "userDataBytes": 16,
    }
    assert listed.arguments == {"vms": 0, "complete": False}


def test_an_error_is_logged_with_the_clouds_word(world: World) -> None:
    world.truth.inject(faults.deny(times=1))
    with pytest.raises(CloudError):
        world.connect().list_vms()
    (call,) = world.truth.calls()
    assert (call.outcome, call.code) == ("Denied", "AuthFailure")


def test_the_log_can_be_read_on_from_where_one_stopped(world: World) -> None:
    driver = world.connect()
    driver.list_vms()
    last = world.truth.calls()[-1].number
    driver.limits()
    driver.list_vms()
    assert [call.operation for call in world.truth.calls(after=last)] == ["limits", "list_vms"]
    assert len(world.truth.calls("list_vms")) == 2


def test_what_is_done_from_the_other_side_is_not_a_call(world: World) -> None:
    foreign = world.truth.add_foreign()
    world.truth.stop(foreign)
    world.truth.vanish(foreign)
    world.truth.inject(faults.deny())
    world.truth.heal()
    world.truth.vms()
    assert world.truth.calls() == []


def test_credentials_never_reach_the_disk_and_user_data_not_the_log(world: World) -> None:
    driver = world.connect()
    driver.create_vm(world.request())
    driver.list_vms()
    on_disk = b"".join(path.read_bytes() for path in sorted(world.truth.path.parent.iterdir()))
    assert world.request().user_data in on_disk
    for form in (world.key.encode(), base64.b64encode(world.key.encode())):
        assert form not in on_disk
    assert world.password not in repr(world.truth.calls())
    assert world.key not in repr(world.connection())


def test_the_cloud_is_found_by_its_account(world: World, tmp_path: Path) -> None:
    world.connect().list_vms()
    assert len(SimulatedCloud.of("physics.home", tmp_path).calls()) == 1
    assert SimulatedCloud.of("physics.away", tmp_path).calls() == []
