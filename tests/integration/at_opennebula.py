"""What the tests of the provider opennebula ask of it: a driver for a user of the server, launches, a VM that runs."""

from __future__ import annotations

from functools import partial
from typing import Any

from cloudherd.clouds.opennebula import OpenNebula as Provider
from cloudherd.clouds.opennebula import OpenNebulaDriver
from cloudherd.clouds.protocol import VM, Connection, VMState
from tests.fakes.opennebula import OpenNebula
from tests.integration.asked import launch, seen
from tests.integration.waiting import eventually

ALICE = {"username": "alice", "password": "open sesame"}
request = partial(
    launch,
    "physics.one",
    ("a,b=c", "Zoë, 100% & <co>"),
    flavor="small",
    image="debian-12",
    user_data=b"#cloud-config\npassword: hunter2-hunter2 $HOME ${X}\n",
)


def connected(server: OpenNebula, options: dict[str, Any] | None = None, **changes: Any) -> OpenNebulaDriver:
    settings = {"account": "physics.one", "endpoint": server.url, "credentials": ALICE}
    return Provider().connect(Connection(options=options or {}, **{**settings, **changes}))


def running(driver: OpenNebulaDriver, **changes: Any) -> VM:
    vm = driver.create_vm(request(**changes))
    eventually(lambda: seen(driver, vm.id).state is VMState.RUNNING)
    return seen(driver, vm.id)
