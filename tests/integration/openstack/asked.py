"""What the tests of the provider openstack ask of it: requests, and the state in which all servers are at rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cloudherd.clouds.openstack import OpenStackDriver
from cloudherd.clouds.protocol import VM, VMState
from devenv.openstack_seed import IMAGE, TINY
from tests.e2e.world import until
from tests.integration.asked import launch

UNLIMITED = {"instances": -1, "cores": -1, "ram": -1}
Connect = Callable[..., OpenStackDriver]
request = partial(launch, "physics.home", ("owner", "Zoë & co / 東京"), flavor=TINY, image=IMAGE)


def settled(driver: OpenStackDriver) -> list[VM]:
    """All servers, once none is on its way."""

    found: list[VM] = []

    def at_rest() -> bool:
        found[:] = driver.list_vms().vms
        return not any(vm.state in {VMState.PENDING, VMState.DELETING} for vm in found)

    until("all servers are at rest", at_rest)
    return found
