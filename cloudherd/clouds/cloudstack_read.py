"""What CloudStack's answers say. Pure.

deployVirtualMachine takes no tags, so the identity of a VM stands in its display name, the one text of ours that is
there from its first moment; users' own tags are resource tags, set right after.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cloudherd.clouds.cloudstack_api import Json, NotUnderstoodError, text
from cloudherd.clouds.protocol import VM, CloudError, ErrorKind, Image, Limits, Size, VMState

OURS = "cloudherd-"
_MARK = "cloudherd:"
_LONGEST = 255
_MEBIBYTE = 2**20
_JOB_PENDING = 0

_STATES = {
    "Starting": VMState.PENDING,
    "Running": VMState.RUNNING,
    "Migrating": VMState.RUNNING,
    "Stopping": VMState.UNKNOWN,  # it may run again, if that fails
    "Stopped": VMState.STOPPED,
    "Shutdown": VMState.STOPPED,
    "Destroyed": VMState.DELETED,  # it holds nothing any more, and is removed in the cloud's own time
    "Expunging": VMState.DELETED,
    "Error": VMState.ERROR,
}
_FINE = frozenset({VMState.PENDING, VMState.RUNNING, VMState.DELETED})


def display_name(tags: Mapping[str, str]) -> str:
    """The identity among the tags. CloudError(INVALID) where it is too long for CloudStack."""
    own = {key.removeprefix(OURS): value for key, value in sorted(tags.items()) if key.startswith(OURS)}
    name = _MARK + urlencode(own)
    if len(name) > _LONGEST:
        sentence = (
            f"CloudStack's display name has no room for the VM's identity ({len(name)} of {_LONGEST} characters): use "
            "shorter names for the namespace, the account, the cluster or the service"
        )
        raise CloudError(ErrorKind.INVALID, "NamesTooLong", sentence)
    return name


def _identity(name: str) -> dict[str, str]:
    if not name.startswith(_MARK):
        return {}
    return {f"{OURS}{key}": value for key, value in parse_qsl(name.removeprefix(_MARK))}


def to_vm(item: Json) -> VM:
    identity = _identity(_text(item, "displayname"))
    tags = {_text(tag, "key"): _text(tag, "value") for tag in _items(item, "tags")} if identity else {}
    private, public = _addresses(item)
    state = _state(item)
    return VM(
        id=text(item),
        name=_text(item, "name"),
        state=state,
        tags={**tags, **identity},
        private=private,
        public=public,
        flavor=_text(item, "serviceofferingid"),
        detail="" if state in _FINE else _text(item, "state"),
    )


def _state(item: Json) -> VMState:
    """A new VM is Stopped until the job that starts it has begun, and is that job's meanwhile."""
    name = item.get("state")
    if not isinstance(name, str):
        raise NotUnderstoodError
    if name == "Stopped" and item.get("jobstatus") == _JOB_PENDING:
        return VMState.PENDING
    return _STATES.get(name, VMState.UNKNOWN)


def _addresses(item: Json) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = [address for nic in _items(item, "nic") if (address := _text(nic, "ipaddress"))]
    private = tuple(address for address in found if _is_private(address))
    public = dict.fromkeys((*(address for address in found if address not in private), _text(item, "publicip")))
    return private, tuple(address for address in public if address)


def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        raise NotUnderstoodError from None


def to_size(item: Json) -> Size | None:
    """None for an offering whose size is each VM's own choice."""
    cpus, memory = item.get("cpunumber"), item.get("memory")
    if not (isinstance(cpus, int) and isinstance(memory, int)):
        return None
    return Size(text(item), _text(item, "name"), cpus, memory * _MEBIBYTE)


def to_image(item: Json) -> Image:
    return Image(text(item), _text(item, "name"))


def to_limits(item: Json) -> Limits:
    """Of an account or a project; CloudStack says Unlimited, or -1, where there is none."""
    memory = _limit(item, "memorylimit")
    return Limits(_limit(item, "vmlimit"), _limit(item, "cpulimit"), None if memory is None else memory * _MEBIBYTE)


def _limit(item: Json, name: str) -> int | None:
    told = str(item.get(name, ""))
    return int(told) if told.isdecimal() else None


def _items(item: Json, name: str) -> list[Json]:
    found = item.get(name) or []
    return [each for each in found if isinstance(each, dict)]


def _text(item: Json, name: str) -> str:
    value: Any = item.get(name)
    return value if isinstance(value, str) else ""
