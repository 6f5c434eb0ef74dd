"""What the tests of the provider openstack ask of it: requests, and the state in which all servers are at rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from cloudherd.clouds.openstack import OpenStackDriver
from cloudherd.clouds.protocol import VM, CloudError, LaunchRequest, VMState
from devenv.openstack_seed import IMAGE, TINY
from tests.e2e.world import until

UNLIMITED = {"instances": -1, "cores": -1, "ram": -1}
Connect = Callable[..., OpenStackDriver]
_numbers = count()


def request(**changes: Any) -> LaunchRequest:
    number = next(_numbers)
    made = LaunchRequest(
        token=f"ch-{number:040x}",
        name=f"batch-worker-{number}",
        flavor=TINY,
        image=IMAGE,
        tags={"cloudherd-id": f"id-{number}", "cloudherd-account": "physics.home", "owner": "Zoë & co / 東京"},
        user_data=b"#cloud-config\npassword: hunter2-hunter2\n",
    )
    return replace(made, **changes)


def failure(call: Callable[[], object]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def settled(driver: OpenStackDriver) -> list[VM]:
    """All servers, once none is on its way."""

    found: list[VM] = []

    def at_rest() -> bool:
        found[:] = driver.list_vms().vms
        return not any(vm.state in {VMState.PENDING, VMState.DELETING} for vm in found)

    until("all servers are at rest", at_rest)
    return found
