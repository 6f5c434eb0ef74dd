"""EC2's XML: what we need of it, and no more. Pure. What is not the answer to a question is never read as empty."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping

from cloudherd.clouds.ec2_batch import own_tags
from cloudherd.clouds.errors import not_from
from cloudherd.clouds.protocol import MESSAGE_LIMIT, VM, CloudError, ErrorKind, Image, Size, VMState

OUR_TAGS = "cloudherd-"

_STATES = {
    "pending": VMState.PENDING,
    "running": VMState.RUNNING,
    "stopping": VMState.UNKNOWN,  # its guest may still work, for as long as its grace lasts
    "stopped": VMState.STOPPED,
    "shutting-down": VMState.DELETING,
    "terminated": VMState.DELETED,
    "error": VMState.ERROR,  # OpenStack's ec2-api
}
_FINE = frozenset({VMState.PENDING, VMState.RUNNING})


class NotUnderstoodError(CloudError):
    """What came is not EC2's XML, or not the answer to what was asked. Holds nothing of it."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.UNREACHABLE, "NotUnderstood", not_from("EC2"))


def parse(body: bytes) -> ET.Element:
    """The root of an XML document, its names without namespaces: services that speak EC2's API differ in them."""
    if b"<!DOCTYPE" in body:  # HTML; and EC2 defines no entities
        raise NotUnderstoodError
    try:
        root = ET.fromstring(body)  # noqa: S314 - without a DTD there is nothing to expand
    except (ET.ParseError, ValueError, LookupError):
        raise NotUnderstoodError from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def answer(body: bytes, action: str) -> ET.Element:
    """The answer to `action`. Another service's (moto's S3, a portal's) would have none of the elements we look for."""
    root = parse(body)
    if root.tag != f"{action}Response":
        raise NotUnderstoodError
    return root


def items(root: ET.Element, *names: str) -> list[ET.Element]:
    """The items of the set of one of these names, which must be there, though it may be empty."""
    found = next((each for each in root if each.tag in names), None)
    if found is None:
        raise NotUnderstoodError
    return found.findall("item")


def to_vm(item: ET.Element, *, tells_token: bool = False) -> VM:
    """`tells_token`: of a VM without our tags, the token that it was launched with."""
    state_name = item.findtext("instanceState/name", "")
    state = _STATES.get(state_name, VMState.UNKNOWN)
    tags = {tag.findtext("key", ""): tag.findtext("value", "") for tag in item.iterfind("tagSet/item")}
    ours = _ours(tags, item)
    return VM(
        id=_text(item, "instanceId"),
        name=tags.get("Name", ""),
        state=state,
        tags=ours,
        private=_present(item.findtext("privateIpAddress", "")),
        public=_present(item.findtext("ipAddress", "")),
        flavor=item.findtext("instanceType", ""),
        detail="" if state in _FINE else _detail(item, state_name if state is VMState.UNKNOWN else ""),
        token=item.findtext("clientToken", "") if tells_token and not ours else "",
    )


def launch_index(item: ET.Element) -> int:
    """The number of a VM in the call that launched it."""
    index = item.findtext("amiLaunchIndex", "")
    if not index.isdecimal():
        raise NotUnderstoodError
    return int(index)


def _ours(tags: dict[str, str], item: ET.Element) -> Mapping[str, str]:
    """Other people's are not ours to carry."""
    ours = any(key.startswith(OUR_TAGS) for key in tags)
    return own_tags(tags, item.findtext("amiLaunchIndex", "")) if ours else {}


def _detail(item: ET.Element, otherwise: str) -> str:
    words = item.findtext("stateReason/message", "") or item.findtext("reason", "") or otherwise
    return " ".join(words.split())[:MESSAGE_LIMIT]


SIZES = ("instanceTypeSet", "instanceTypeDetails")
"""AWS's set of them, and that of Eucalyptus."""


def to_size(item: ET.Element) -> Size:
    """As AWS tells it, or as Eucalyptus does, whose disk is a size's own."""
    if item.find("instanceType") is not None:
        name, cpus, mebibytes = _text(item, "instanceType"), "vCpuInfo/defaultVCpus", "memoryInfo/sizeInMiB"
        return Size(name, name, _number(item, cpus), _number(item, mebibytes) * 2**20)
    name = _text(item, "name")
    return Size(name, name, _number(item, "cpu"), _number(item, "memory") * 2**20, _number(item, "disk") * 2**30)


def _number(item: ET.Element, path: str) -> int:
    text = _text(item, path)
    if not text.isdecimal():
        raise NotUnderstoodError
    return int(text)


def to_image(item: ET.Element) -> Image:
    return Image(_text(item, "imageId"), item.findtext("name", ""))


def _text(item: ET.Element, path: str) -> str:
    text = item.findtext(path, "").strip()
    if not text:
        raise NotUnderstoodError
    return text


def _present(address: str) -> tuple[str, ...]:
    return (address,) if address else ()
