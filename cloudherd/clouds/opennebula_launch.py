"""What a template is instantiated with. Names that users write for templates, images and networks become IDs here.

The extra template replaces whole attributes of the template (all disks, all of CONTEXT), so what the template has there
is repeated. User data go in base64, for oned expands $NAME in CONTEXT and refuses some of what looks like it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudherd.clouds.opennebula_api import OpenNebulaApi
from cloudherd.clouds.opennebula_read import FLAVOR, each, labels_of
from cloudherd.clouds.protocol import CloudError, ErrorKind, LaunchRequest

_VISIBLE = (-2, -1, -1)  # all that the user may use, in one page
_WHICH_IMAGE = frozenset({"IMAGE", "IMAGE_ID", "IMAGE_UNAME", "IMAGE_UID"})


@dataclass(frozen=True)
class Place:
    """Networks and security groups by ID; empty: as the template has them."""

    network: str = ""
    groups: tuple[str, ...] = ()


def extra_template(request: LaunchRequest, template: Mapping[str, Any], image: str, place: Place) -> str:
    """The XML that is laid over `template`: a pure function of what is asked for and of what the template holds."""
    root = ET.Element("TEMPLATE")
    for disk in _disks(template, image):
        _vector(root, "DISK", disk)
    for nic in _nics(template, place):
        _vector(root, "NIC", nic)
    _vector(root, "CONTEXT", _context(request, template))
    ET.SubElement(root, "LABELS").text = labels_of({**request.tags, FLAVOR: request.flavor})
    return ET.tostring(root, encoding="unicode")


def _vector(root: ET.Element, name: str, values: Mapping[str, str]) -> None:
    vector = ET.SubElement(root, name)
    for key, value in values.items():
        ET.SubElement(vector, key).text = value


def _disks(template: Mapping[str, Any], image: str) -> list[dict[str, str]]:
    """The first disk is the image's; what else the template says of it, and its other disks, stay."""
    first, *others = each(template, "DISK") or [{}]
    return [{"IMAGE_ID": image, **{key: value for key, value in first.items() if key not in _WHICH_IMAGE}}, *others]


def _nics(template: Mapping[str, Any], place: Place) -> list[dict[str, str]]:
    """None where the template's own stay as they are."""
    if not (place.network or place.groups):
        return []
    nics = [{"NETWORK_ID": place.network}] if place.network else each(template, "NIC")
    groups = {"SECURITY_GROUPS": ",".join(place.groups)} if place.groups else {}
    return [{**nic, **groups} for nic in nics]


def _context(request: LaunchRequest, template: Mapping[str, Any]) -> dict[str, str]:
    (found,) = each(template, "CONTEXT")[:1] or [{}]
    context = {"NETWORK": "YES", "SET_HOSTNAME": request.name, **found}
    if request.user_data:
        context["USER_DATA"] = b64encode(request.user_data).decode()
        context["USER_DATA_ENCODING"] = "base64"
    return context


class Lookup:
    """Names to IDs, each pool read once. `forget` after a refused launch: an ID may have become stale."""

    def __init__(self, api: OpenNebulaApi) -> None:
        self._api = api
        self._pools: dict[str, list[Any]] = {}

    def forget(self) -> None:
        self._pools.clear()

    def template(self, name: str) -> tuple[int, Mapping[str, Any]]:
        """Its ID, and what it holds now."""
        number = int(self._id("template", name))
        return number, self._api.read("template.info", "VMTEMPLATE", number).TEMPLATE or {}

    def image(self, name: str) -> str:
        return self._id("image", name)

    def place(self, request: LaunchRequest) -> Place:
        if request.public_address:
            sentence = (
                "spec.network.publicAddress: OpenNebula gives addresses by the network alone; name one of public "
                "addresses in spec.network.name, and leave this out"
            )
            raise CloudError(ErrorKind.INVALID, "NoPublicAddress", sentence)
        return Place(
            self._id("network", request.network) if request.network else "",
            tuple(self._id("security group", group) for group in request.security_groups),
        )

    def pool(self, what: str) -> list[Any]:
        """All that the user may see of it."""
        if what not in self._pools:
            method, root, item = _POOLS[what]
            self._pools[what] = list(getattr(self._api.read(method, root, *_VISIBLE), item))
        return self._pools[what]

    def _id(self, what: str, name: str) -> str:
        if name.isascii() and name.isdecimal():
            return name
        found = {int(one.ID): str(one.UNAME) for one in self.pool(what) if name == one.NAME}
        if len(found) == 1:
            return str(*found)
        if found:
            raise CloudError(ErrorKind.INVALID, "NotOne", _ambiguous(what, name, found))
        kind = ErrorKind.NOT_FOUND if what in ("template", "image") else ErrorKind.INVALID
        raise CloudError(kind, "NoSuchName", f"{what} {name}: this OpenNebula shows none of this name to the account")


def _ambiguous(what: str, name: str, owners: Mapping[int, str]) -> str:
    """`owners` of those of that name, by ID: at an OpenNebula each user may have one."""
    shown = [f"{number} of {owners[number]}" for number in sorted(owners)[:5]]
    more = f" and {len(owners) - len(shown)} more" if len(owners) > len(shown) else ""
    return (
        f"{what} {name}: {len(owners)} of this name are shown to the account; "
        f"write the ID of one of them in place of the name: {', '.join(shown)}{more}"
    )


_POOLS = {
    "template": ("templatepool.info", "VMTEMPLATE_POOL", "VMTEMPLATE"),
    "image": ("imagepool.info", "IMAGE_POOL", "IMAGE"),
    "network": ("vnpool.info", "VNET_POOL", "VNET"),
    "security group": ("secgrouppool.info", "SECURITY_GROUP_POOL", "SECURITY_GROUP"),
}
