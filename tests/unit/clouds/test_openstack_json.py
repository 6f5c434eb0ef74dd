from __future__ import annotations

import pytest

from cloudherd.clouds.openstack_json import NotUnderstoodError, addresses, flavor_of, state_of, to_limits, to_size
from cloudherd.clouds.protocol import Limits, VMState


def test_addresses_are_private_or_public_and_ipv4_goes_first() -> None:
    networks = {
        "shared": [
            {"version": 6, "addr": "fd00::5", "OS-EXT-IPS:type": "fixed"},
            {"version": 4, "addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed"},
            {"version": 4, "addr": "192.168.1.9", "OS-EXT-IPS:type": "floating"},
        ],
        "world": [{"version": 4, "addr": "8.8.8.8", "OS-EXT-IPS:type": "fixed"}],
    }
    assert addresses({"addresses": networks}) == (("10.0.0.5", "fd00::5"), ("192.168.1.9", "8.8.8.8"))
    assert addresses({"addresses": {}}) == addresses({}) == ((), ())


def test_an_address_that_is_none_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError):
        addresses({"addresses": {"shared": [{"addr": "nowhere"}]}})


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("ACTIVE", None, VMState.RUNNING),
        ("ACTIVE", "deleting", VMState.DELETING),
        ("BUILD", "scheduling", VMState.PENDING),
        ("ERROR", "deleting", VMState.DELETING),
        ("ERROR", None, VMState.ERROR),
        ("SHUTOFF", None, VMState.STOPPED),
        ("SUSPENDED", None, VMState.SUSPENDED),
        ("SOFT_DELETED", None, VMState.DELETED),
        ("DELETED", "deleting", VMState.DELETED),
        ("SOMETHING_NEW", None, VMState.UNKNOWN),
    ],
)
def test_states(status: str, task: str | None, state: VMState) -> None:
    assert state_of({"status": status, "OS-EXT-STS:task_state": task}) is state


def test_newer_novas_name_the_flavor_and_older_ones_tell_its_id() -> None:
    assert flavor_of({"flavor": {"original_name": "m1.tiny", "vcpus": 1}}) == "m1.tiny"
    assert flavor_of({"flavor": {"id": "1", "links": []}}) == "1"


def test_limits_below_zero_are_none() -> None:
    absolute = {"maxTotalInstances": 10, "maxTotalCores": -1, "maxTotalRAMSize": 51200, "maxPersonality": 5}
    assert to_limits(absolute) == Limits(instances=10, cpus=None, memory=51200 * 2**20)
    assert to_limits({"maxTotalInstances": 0, "maxTotalCores": 0, "maxTotalRAMSize": -1}) == Limits(0, 0, None)
    with pytest.raises(NotUnderstoodError):
        to_limits({})


def test_a_flavor_without_a_disk_of_its_own_sets_no_bounds() -> None:
    small = {"id": "1", "name": "m1.small", "vcpus": 1, "ram": 2048, "disk": 20}
    assert to_size(small).disk == 20 * 2**30
    assert to_size(small | {"disk": 0}).disk is None
