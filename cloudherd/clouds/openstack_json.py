"""OpenStack's JSON: what we need of it, and no more. Pure. What is no answer to a question is never read as empty."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from cloudherd.clouds.errors import not_from
from cloudherd.clouds.protocol import CloudError, ErrorKind, Image, Limits, Size, VMState

T = TypeVar("T")
Json = Mapping[str, Any]
_MEBIBYTE = 2**20
_GIBIBYTE = 2**30

_STATES = {
    "ACTIVE": VMState.RUNNING,
    "BUILD": VMState.PENDING,
    "DELETED": VMState.DELETED,
    "ERROR": VMState.ERROR,
    "HARD_REBOOT": VMState.PENDING,
    "MIGRATING": VMState.RUNNING,
    "PASSWORD": VMState.RUNNING,
    "PAUSED": VMState.STOPPED,
    "REBOOT": VMState.PENDING,
    "REBUILD": VMState.PENDING,
    "RESCUE": VMState.STOPPED,
    "RESIZE": VMState.PENDING,
    "REVERT_RESIZE": VMState.PENDING,
    "SHELVED": VMState.STOPPED,
    "SHELVED_OFFLOADED": VMState.STOPPED,
    "SHUTOFF": VMState.STOPPED,
    "SOFT_DELETED": VMState.DELETED,
    "SUSPENDED": VMState.SUSPENDED,
    "VERIFY_RESIZE": VMState.RUNNING,
}


class NotUnderstoodError(CloudError):
    """What came is not OpenStack's JSON, or not the answer to what was asked. Holds nothing of it."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.UNREACHABLE, "NotUnderstood", not_from("OpenStack"))


def parse(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise NotUnderstoodError from None
    if not isinstance(found, dict):
        raise NotUnderstoodError
    return found


def field(found: Json, name: str, kind: type[T]) -> T:
    """The field, which must be there and of that type."""
    value = found.get(name)
    if not isinstance(value, kind):
        raise NotUnderstoodError
    return value


def items(found: Json, name: str) -> list[Json]:
    listed = field(found, name, list)
    if not all(isinstance(each, dict) for each in listed):
        raise NotUnderstoodError
    return listed


def next_marker(found: Json, name: str) -> str:
    """Where the next page begins, empty after the last one. Of the link only that is used: it leads anywhere."""
    link = found.get("next") or next(
        (each.get("href") for each in found.get(f"{name}_links") or () if each.get("rel") == "next"), None
    )
    if link is None:
        return ""
    marker = parse_qs(urlsplit(str(link)).query).get("marker", [""])[0]
    if not marker:
        raise NotUnderstoodError
    return marker


def is_whole(server: Json) -> bool:
    """False of a server in a cell that does not answer, of which nova tells the ID and little more."""
    return isinstance(server.get("metadata"), dict)


def state_of(server: Json) -> VMState:
    status = field(server, "status", str)
    if server.get("OS-EXT-STS:task_state") in {"deleting", "soft-deleting"} and status != "DELETED":
        return VMState.DELETING
    return _STATES.get(status, VMState.UNKNOWN)


def addresses(server: Json) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Private and public ones, IPv4 first. An address that the whole world can reach is public, floating or not."""
    private: list[str] = []
    public: list[str] = []
    listed = [each for network in (server.get("addresses") or {}).values() for each in network]
    for each in sorted(listed, key=lambda each: int(each.get("version", 4))):
        address = field(each, "addr", str)
        try:
            everywhere = ip_address(address).is_global
        except ValueError:
            raise NotUnderstoodError from None
        (public if everywhere or each.get("OS-EXT-IPS:type") == "floating" else private).append(address)
    return tuple(private), tuple(public)


def flavor_of(server: Json) -> str:
    """By name where nova tells it, which newer ones do instead of the ID."""
    flavor = server.get("flavor") or {}
    return str(flavor.get("original_name") or flavor.get("id") or "")


def to_size(flavor: Json) -> Size:
    disk = flavor.get("disk")  # 0 takes the image's
    return Size(
        field(flavor, "id", str),
        field(flavor, "name", str),
        field(flavor, "vcpus", int),
        _bytes(field(flavor, "ram", int)),
        disk * _GIBIBYTE if disk and isinstance(disk, int) else None,
    )


def to_image(image: Json) -> Image:
    return Image(field(image, "id", str), str(image.get("name") or ""))


def to_limits(absolute: Json) -> Limits:
    """-1 is no limit."""
    memory = _limit(absolute, "maxTotalRAMSize")
    return Limits(
        instances=_limit(absolute, "maxTotalInstances"),
        cpus=_limit(absolute, "maxTotalCores"),
        memory=None if memory is None else _bytes(memory),
    )


def _limit(absolute: Json, name: str) -> int | None:
    value = field(absolute, name, int)
    return None if value < 0 else value


def _bytes(mebibytes: int) -> int:
    return mebibytes * _MEBIBYTE
