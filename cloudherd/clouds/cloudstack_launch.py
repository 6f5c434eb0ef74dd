"""What deployVirtualMachine is told. Names that users write for zones, templates and networks become IDs here."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from cloudherd.clouds.cloudstack_api import CloudStackApi, Json, text
from cloudherd.clouds.cloudstack_models import CloudStackLaunchOptions
from cloudherd.clouds.cloudstack_read import OURS, display_name
from cloudherd.clouds.protocol import CloudError, ErrorKind, LaunchRequest

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Ids:
    zone: str
    offering: str
    template: str
    network: str = ""
    groups: tuple[str, ...] = ()


def deployment(request: LaunchRequest, options: CloudStackLaunchOptions, ids: Ids) -> dict[str, str]:
    """The fields of one launch."""
    fields = {
        "name": request.name,
        "displayname": display_name(request.tags),
        "zoneid": ids.zone,
        "serviceofferingid": ids.offering,
        "templateid": ids.template,
        "networkids": ids.network,
        "securitygroupids": ",".join(ids.groups),
        "userdata": b64encode(request.user_data).decode(),
        "keypair": options.key_name or "",
    }
    return {key: value for key, value in fields.items() if value}


def own_tags(vm_id: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The fields that put the users' own tags on a VM; empty where there are none."""
    own = sorted((key, value) for key, value in tags.items() if not key.startswith(OURS))
    if not own:
        return {}
    fields = {"resourceids": vm_id, "resourcetype": "UserVm"}
    for number, (key, value) in enumerate(own):
        fields |= {f"tags[{number}].key": key, f"tags[{number}].value": value}
    return fields


class Lookup:
    """Names to IDs, each asked for once. `forget` after a refused launch: an ID may have become stale."""

    def __init__(self, api: CloudStackApi, region: str) -> None:
        self._api = api
        self._region = region
        self._zone = ""
        self._known: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        self._known.clear()

    def ids(self, request: LaunchRequest) -> Ids:
        if request.public_address:
            sentence = (
                "spec.network.publicAddress: CloudStack gives VMs the addresses of their networks; name a shared "
                "network of public addresses in spec.network.name, and leave this out"
            )
            raise CloudError(ErrorKind.INVALID, "NoPublicAddress", sentence)
        return Ids(
            self.zone(),
            self._id("service offering", request.flavor),
            self._id("template", request.image),
            self._id("network", request.network) if request.network else "",
            tuple(self._id("security group", group) for group in request.security_groups),
        )

    def zone(self) -> str:
        """The zone that spec.region names; where it names none, the only one there is."""
        if not self._zone:
            zones = self._api.items("listZones", {"available": "true"}, "zone")
            named = [zone for zone in zones if self._region in ("", zone.get("name"), zone.get("id"))]
            if len(named) != 1:
                names = ", ".join(sorted(str(zone.get("name")) for zone in zones)[:10])
                sentence = f"spec.region: {self._region or 'left out'}, but it must name one of the zones {names}"
                raise CloudError(ErrorKind.INVALID, "NotOneZone", sentence)
            self._zone = text(named[0])
        return self._zone

    def templates(self, wanted: str) -> list[Json]:
        """Those of that ID or name which VMs can be made of, here."""
        by = "id" if UUID.fullmatch(wanted) else "name"
        fields = {"templatefilter": "executable", "zoneid": self.zone(), by: wanted}
        try:
            found = self._api.items("listTemplates", fields, "template")
        except CloudError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return []
            raise
        return [item for item in found if item.get(by) == wanted]

    def _id(self, what: str, name: str) -> str:
        if UUID.fullmatch(name):
            return name
        if (what, name) not in self._known:
            found = self.templates(name) if what == "template" else self._named(what, name)
            self._known[what, name] = _only(found, what, name)
        return self._known[what, name]

    def _named(self, what: str, name: str) -> list[Json]:
        command, item = _LISTS[what]
        zoned = {"zoneid": self.zone()} if what == "network" else {}
        return [each for each in self._api.items(command, zoned, item) if each.get("name") == name]


_LISTS = {
    "service offering": ("listServiceOfferings", "serviceoffering"),
    "network": ("listNetworks", "network"),
    "security group": ("listSecurityGroups", "securitygroup"),
}


def _only(found: list[Json], what: str, name: str) -> str:
    if len(found) == 1:
        return text(found[0])
    if found:
        ids = ", ".join(sorted(map(text, found))[:3])
        raise CloudError(
            ErrorKind.INVALID, "NotOne", f"{what} {name}: several have this name; give one of the IDs {ids}"
        )
    kind = ErrorKind.NOT_FOUND if what in ("service offering", "template") else ErrorKind.INVALID
    raise CloudError(kind, "NoSuchName", f"{what} {name}: the cloud shows none of this name to the account")
