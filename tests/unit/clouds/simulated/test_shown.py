"""A VM that is as it was is listed as the same object; one that is not is listed as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudherd.clouds.protocol import Connection, LaunchRequest, VMState
from cloudherd.clouds.simulated import Simulated, SimulatedCloud
from cloudherd.clouds.simulated.driver import SimulatedDriver


class Cloud:
    """Two drivers of one account, as two threads have them."""

    def __init__(self, directory: Path) -> None:
        self.now = 1000.0
        provider = Simulated(directory=directory, now=lambda: self.now)
        connection = Connection("physics.home", simulated={"bootSeconds": 10})
        self.control = SimulatedCloud.of("physics.home", directory, now=lambda: self.now)
        self.one, self.other = provider.connect(connection), provider.connect(connection)

    def launch(self, name: str) -> None:
        self.one.create_vm(LaunchRequest(name, name, "sim.small", "sim-debian-12", {"of": name}))


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path)
    cloud.launch("a")
    cloud.launch("b")
    return cloud


def states(driver: SimulatedDriver) -> dict[str, VMState]:
    return {vm.name: vm.state for vm in driver.list_vms().vms}


def test_what_did_not_change_is_the_same_object_whoever_lists(cloud: Cloud) -> None:
    before = cloud.one.list_vms().vms
    cloud.launch("c")
    after = cloud.other.list_vms().vms
    assert [vm.name for vm in after] == ["a", "b", "c"]
    assert all(new is old for new, old in zip(after[:2], before, strict=True))


def test_what_time_changed_is_shown_as_it_is_now(cloud: Cloud) -> None:
    assert states(cloud.one) == {"a": VMState.PENDING, "b": VMState.PENDING}
    cloud.now += 10
    booted = cloud.one.list_vms().vms
    assert [(vm.state, len(vm.private)) for vm in booted] == [(VMState.RUNNING, 1), (VMState.RUNNING, 1)]


def test_what_others_changed_is_shown_as_it_is_now(cloud: Cloud) -> None:
    cloud.now += 10
    first, second = cloud.one.list_vms().vms
    cloud.other.destroy_vm(first.id)
    cloud.control.retag(second.id, {"of": "nobody"})
    (left,) = cloud.one.list_vms().vms
    assert (left.id, left.tags) == (second.id, {"of": "nobody"})
