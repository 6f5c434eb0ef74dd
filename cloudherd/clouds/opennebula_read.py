"""What OpenNebula's answers say, as pyone binds them. Pure.

A VM's tags are its LABELS: the one attribute of users that short listings hold, in all versions since 5.8 (before that
listings were whole). There they stand as `key=value`, percent-encoded, so that no value can break the list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote

from pyone import LCM_STATE, VM_STATE

from cloudherd.clouds.protocol import MESSAGE_LIMIT, VM, Limits, Size, VMState

OUR_TAGS = "cloudherd-"
FLAVOR = "cloudherd-flavor"
"""The label that names the template: a short listing does not."""
_MEBIBYTE = 2**20
_PATIENCE = 30.0  # seconds: what a scheduler of 5.x takes from one try to the next
_BY_DEFAULT = -1  # of a quota; -2: there is none

_STATES = {
    VM_STATE.INIT: VMState.PENDING,
    VM_STATE.PENDING: VMState.PENDING,
    VM_STATE.HOLD: VMState.PENDING,
    VM_STATE.STOPPED: VMState.STOPPED,
    VM_STATE.SUSPENDED: VMState.SUSPENDED,
    VM_STATE.DONE: VMState.DELETED,
    VM_STATE.FAILED: VMState.ERROR,
    VM_STATE.POWEROFF: VMState.STOPPED,
    VM_STATE.UNDEPLOYED: VMState.STOPPED,
    VM_STATE.CLONING: VMState.PENDING,
    VM_STATE.CLONING_FAILURE: VMState.ERROR,
}
_COMING = """LCM_INIT PROLOG BOOT PROLOG_RESUME CLEANUP_RESUBMIT BOOT_UNKNOWN BOOT_POWEROFF BOOT_SUSPENDED BOOT_STOPPED
    PROLOG_UNDEPLOY BOOT_UNDEPLOY"""
_UP = """RUNNING MIGRATE SAVE_MIGRATE PROLOG_MIGRATE BOOT_MIGRATE HOTPLUG HOTPLUG_SNAPSHOT HOTPLUG_NIC HOTPLUG_SAVEAS
    HOTPLUG_RESIZE DISK_SNAPSHOT DISK_SNAPSHOT_REVERT DISK_SNAPSHOT_DELETE DISK_RESIZE"""
_ENDING = "SHUTDOWN EPILOG CANCEL CLEANUP_DELETE"
_ACTIVE = {
    **dict.fromkeys(_COMING.split(), VMState.PENDING),
    **dict.fromkeys(_UP.split(), VMState.RUNNING),
    **dict.fromkeys(_ENDING.split(), VMState.DELETING),
    "SAVE_SUSPEND": VMState.SUSPENDED,
    "SHUTDOWN_POWEROFF": VMState.UNKNOWN,  # it runs again where the guest is deaf
    "UNKNOWN": VMState.UNKNOWN,
}
_FINE = frozenset({VMState.RUNNING, VMState.DELETED})
_DATE = re.compile(r"^\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}: ?")
"""oned writes its messages anew at every try: without their date they are no news."""


def to_vm(item: Any) -> VM:
    """TypeError where the item lacks what every VM has: without it, one of ours could look like a stranger's."""
    state, name = _state(item)
    labels = _tags(_text(dict(item.USER_TEMPLATE), "LABELS"))
    flavor = labels.pop(FLAVOR, "")
    addresses = [nic["IP"] for nic in each(item.TEMPLATE, "NIC") if nic.get("IP")]
    private = tuple(address for address in addresses if ip_address(address).is_private)
    waits = _message(item, "SCHED_MESSAGE") if item.STATE == VM_STATE.PENDING else ""
    return VM(
        id=str(int(item.ID)),
        name=item.NAME or "",
        state=state,
        tags=labels if any(key.startswith(OUR_TAGS) for key in labels) else {},
        private=private,
        public=tuple(address for address in addresses if address not in private),
        flavor=flavor,
        detail="" if state in _FINE else (waits or _detail(item, state, name))[:MESSAGE_LIMIT],
        no_room=bool(waits),
    )


def is_unplaced(item: Any, now: float) -> bool:
    """Whether a VM has waited for a host for a while, and its item does not say that there was none; `now` in Unix
    seconds. Where the cloud's clock and ours differ it looks older than it is, which costs no more than a call.
    """
    waits = int(item.STATE) == VM_STATE.PENDING and not _message(item, "SCHED_MESSAGE")
    return waits and abs(now - int(item.STIME)) >= _PATIENCE


def _state(item: Any) -> tuple[VMState, str]:
    """With OpenNebula's own name for it."""
    if int(item.STATE) == VM_STATE.ACTIVE:
        if item.LCM_STATE not in LCM_STATE.__members__.values():
            return VMState.UNKNOWN, f"LCM state {item.LCM_STATE}"  # a newer OpenNebula's
        name = LCM_STATE(item.LCM_STATE).name
        otherwise = VMState.ERROR if "FAILURE" in name else VMState.STOPPED  # on their way to rest, or there
        return _ACTIVE.get(name, otherwise), name
    if item.STATE not in _STATES:
        return VMState.UNKNOWN, f"state {item.STATE}"
    return _STATES[item.STATE], VM_STATE(item.STATE).name


def _detail(item: Any, state: VMState, name: str) -> str:
    """ERROR stands on VMs that run well, too, so it is told of failed ones only."""
    words = _message(item, "ERROR") if state is VMState.ERROR else ""
    if state is VMState.PENDING and name not in ("HOLD", "CLONING"):
        return ""
    return f"{name}: {words}" if words else name


def _message(item: Any, key: str) -> str:
    return _DATE.sub("", " ".join(_text(item.USER_TEMPLATE, key).split()))


def labels_of(tags: Mapping[str, str]) -> str:
    return ",".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in sorted(tags.items()))


def _tags(labels: str) -> dict[str, str]:
    parts = (label.strip().partition("=") for label in labels.split(","))
    return {unquote(key): unquote(value) for key, _, value in parts if key}


def _text(attributes: Mapping[str, Any], key: str) -> str:
    value = attributes.get(key)
    return value if isinstance(value, str) else ""


def each(attributes: Mapping[str, Any], name: str) -> list[dict[str, str]]:
    """The vectors of that name: xmltodict gives one as a dict, several as a list."""
    found = attributes.get(name) or []
    return [dict(one) for one in (found if isinstance(found, list) else [found]) if isinstance(one, Mapping)]


def to_size(item: Any) -> Size | None:
    """A template as a flavor: None where it does not say how large its VMs are. CPU is what quotas count, not VCPU."""
    try:
        cpus, memory = float(item.TEMPLATE["CPU"]), int(item.TEMPLATE["MEMORY"])
    except (KeyError, TypeError, ValueError):
        return None
    return Size(str(int(item.ID)), item.NAME, cpus, memory * _MEBIBYTE)


def limits_of(user: Any, group: Any) -> Limits:
    """What this user may have in all, by the user's own quota and by what others have left of the group's.

    None in place of a group that the user may not look at.
    """
    instances = _least(user, group, ("VMS", "RUNNING_VMS"))
    cpus = _least(user, group, ("CPU", "RUNNING_CPU"))
    memory = _least(user, group, ("MEMORY", "RUNNING_MEMORY"))
    return Limits(
        instances=None if instances is None else int(instances),
        cpus=cpus,
        memory=None if memory is None else int(memory * _MEBIBYTE),
    )


def _least(user: Any, group: Any, names: Iterable[str]) -> float | None:
    found = []
    for name in names:
        own = _amount(user.VM_QUOTA, f"{name}_USED") or 0
        for holder, defaults in ((user, "DEFAULT_USER_QUOTAS"), (group, "DEFAULT_GROUP_QUOTAS")):
            limit = _limit(holder, defaults, name)
            if limit is not None:
                found.append(own + limit - (_amount(holder.VM_QUOTA, f"{name}_USED") or 0))
    return min(found, default=None)


def _limit(holder: Any, defaults: str, name: str) -> float | None:
    """A holder's own, or else the one that OpenNebula gives all users or groups; None where there is none."""
    if holder is None:
        return None
    own = _amount(holder.VM_QUOTA, name)
    if own is None or own == _BY_DEFAULT:
        own = _amount(getattr(getattr(holder, defaults, None), "VM_QUOTA", None), name)
    return own if own is not None and own >= 0 else None


def _amount(quotas: Any, name: str) -> float | None:
    """One's own quotas are a list in pyone, the default ones an object."""
    found = getattr(quotas, "VM", None) or []
    first = found[0] if isinstance(found, list) and found else found
    value = getattr(first, name, None)
    return None if value is None else float(value)
