"""What libcloud's objects say, in our words. Pure."""

from __future__ import annotations

from typing import Any

from libcloud.compute.base import Node
from libcloud.compute.types import NodeState

from cloudherd.clouds.libcloud_tags import tags_of
from cloudherd.clouds.protocol import VM, Size, VMState

_OUR_TAGS = "cloudherd-"
FLAVOR = "cloudherd-flavor"
"""The tag that names the size: few drivers tell it of their nodes."""
_MEBIBYTE = 2**20
_GIBIBYTE = 2**30
_CPUS = ("cpus", "vcpus", "vcpu", "cpu", "vcpu_count")

_STATES = {
    NodeState.RUNNING: VMState.RUNNING,
    NodeState.MIGRATING: VMState.RUNNING,
    NodeState.UPDATING: VMState.RUNNING,
    NodeState.PENDING: VMState.PENDING,
    NodeState.STARTING: VMState.PENDING,
    NodeState.REBOOTING: VMState.PENDING,
    NodeState.RECONFIGURING: VMState.PENDING,
    NodeState.STOPPED: VMState.STOPPED,
    NodeState.STOPPING: VMState.STOPPED,
    NodeState.SUSPENDED: VMState.STOPPED,
    NodeState.PAUSED: VMState.STOPPED,
    NodeState.TERMINATED: VMState.DELETED,
    NodeState.ERROR: VMState.ERROR,
}


def to_vm(node: Node) -> VM:
    tags = tags_of(node.extra or {})
    flavor = tags.pop(FLAVOR, "")
    return VM(
        id=str(node.id),
        name=node.name or "",
        state=_STATES.get(node.state, VMState.UNKNOWN),
        tags=tags if any(key.startswith(_OUR_TAGS) for key in tags) else {},
        private=tuple(map(str, node.private_ips or ())),
        public=tuple(map(str, node.public_ips or ())),
        flavor=flavor,
    )


def _cpus(size: Any) -> float:
    """Libcloud has no common place for them; one is assumed where none of the usual ones says."""
    told = [getattr(size, "vcpus", None), *((size.extra or {}).get(name) for name in _CPUS)]
    return float(next((one for one in told if isinstance(one, int | float) and one > 0), 1))


def to_size(size: Any) -> Size:
    memory, disk = int(size.ram or 0) * _MEBIBYTE, int(size.disk or 0) * _GIBIBYTE
    return Size(str(size.id), size.name, _cpus(size), memory, disk or None, float(size.price or 0) or None)


def name_of(one: Any) -> str:
    """Of a size, image or location: its slug where there is one, which users know it by, and not the title."""
    extra = one.extra if isinstance(one.extra, dict) else {}
    return str(extra.get("slug") or one.name or "")
