"""Nova's own fake host, with limits of its own, that can be started a second time. No VM ever runs.

Runs in OpenStack's own environment, never in ours; nova loads such drivers from its package `nova.virt` only.
"""

from __future__ import annotations

import os
from typing import Any

from nova import context, objects
from nova.compute import power_state, vm_states
from nova.virt import fake, node

_THERE = {vm_states.ACTIVE, vm_states.STOPPED, vm_states.PAUSED, vm_states.SUSPENDED}


class Host(fake.FakeDriver):  # type: ignore[misc]
    vcpus = int(os.environ.get("CLOUDHERD_VCPUS", "1000"))
    memory_mb = 800_000
    local_gb = 600_000

    def init_host(self, host: str) -> None:
        """Nova's forgets its servers, and is then refused by the rest of nova."""
        super().init_host(host)
        for server in objects.InstanceList.get_by_host(context.get_admin_context(), host):
            if server.vm_state in _THERE:
                state = server.power_state or power_state.RUNNING
                self.instances[server.uuid] = fake.FakeInstance(server.name, state, server.uuid)

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:  # noqa: ARG002 - nova's
        return {node.get_local_node_uuid(): self._host}

    def get_available_resource(self, nodename: str) -> Any:
        found = super().get_available_resource(nodename)
        if found:
            found["uuid"] = node.get_local_node_uuid()
        return found

    def get_host_uptime(self) -> str:
        return " 00:00:00 up 1 day,  0:00,  0 users,  load average: 0.00, 0.00, 0.00"
