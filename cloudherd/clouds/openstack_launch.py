"""What nova's POST /servers is told. Names that users write for flavors, images and networks become IDs here."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudherd.clouds.openstack_connection import OpenStackApi
from cloudherd.clouds.openstack_json import Json, field, to_size
from cloudherd.clouds.openstack_models import OpenStackLaunchOptions
from cloudherd.clouds.protocol import CloudError, ErrorKind, LaunchRequest, Size

UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


@dataclass(frozen=True)
class Ids:
    """What a launch needs by ID; an empty network is the cloud's choice."""

    flavor: str
    image: str
    network: str = ""


def server(request: LaunchRequest, options: OpenStackLaunchOptions, ids: Ids) -> dict[str, Any]:
    """The body of one launch. Pure."""
    body: dict[str, Any] = {
        "name": request.name,
        "flavorRef": ids.flavor,
        "imageRef": ids.image,
        "metadata": dict(request.tags),
    }
    if request.user_data:
        body["user_data"] = b64encode(request.user_data).decode()
    if ids.network:
        body["networks"] = [{"uuid": ids.network}]
    if request.security_groups:
        body["security_groups"] = [{"name": name} for name in request.security_groups]
    more = {
        "config_drive": options.config_drive or None,
        "key_name": options.key_name,
        "availability_zone": options.availability_zone,
    }
    return {"server": body | {name: value for name, value in more.items() if value is not None}}


class Lookup:
    """Names to IDs, each asked for once. `forget` after a refused launch: an ID may have become stale."""

    def __init__(self, api: OpenStackApi) -> None:
        self._api = api
        self._ids: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        self._ids.clear()

    def ids(self, request: LaunchRequest) -> Ids:
        """CloudError(NOT_FOUND) where flavor or image do not exist, INVALID where a name is another one's too."""
        network = self._once("network", request.network) if request.network else ""
        return Ids(self._once("flavor", request.flavor), self._once("image", request.image), network)

    def _once(self, what: str, wanted: str) -> str:
        key = (what, wanted)
        if key not in self._ids:
            self._ids[key] = getattr(self, f"_{what}")(wanted)
        return self._ids[key]

    def _flavor(self, wanted: str) -> str:
        """An ID may be any text, and goes before a name, which nova lets no two flavors have."""
        sizes = self.sizes()
        for size in (*(each for each in sizes if each.id == wanted), *(each for each in sizes if each.name == wanted)):
            return size.id
        raise CloudError(ErrorKind.NOT_FOUND, "FlavorNotFound", f"the project has no flavor {wanted}")

    def sizes(self) -> list[Size]:
        return [to_size(flavor) for flavor in self._api.items("compute", "/flavors/detail", "flavors")]

    def _image(self, wanted: str) -> str:
        if UUID.fullmatch(wanted):
            return wanted
        named = self.images_called(wanted)
        if not named:
            raise CloudError(ErrorKind.NOT_FOUND, "ImageNotFound", f"the project has no active image {wanted}")
        return _only(named, "image", wanted)

    def images_called(self, name: str) -> list[Json]:
        """Those that can be launched. The name is compared again, since glance reads some as operators."""
        found = self._api.items("image", "/images", "images", {"name": name})
        return [each for each in found if each.get("name") == name and each.get("status") == "active"]

    def _network(self, wanted: str) -> str:
        if UUID.fullmatch(wanted):
            return wanted
        found = self._api.items("network", "/networks", "networks", {"name": wanted, "fields": ["id", "name"]})
        return _only([each for each in found if each.get("name") == wanted], "network", wanted)


def _only(found: list[Mapping[str, Any]], what: str, name: str) -> str:
    ids = sorted(field(one, "id", str) for one in found)
    if len(ids) == 1:
        return ids[0]
    how = f"{len(ids)} have that name: give one of the IDs {', '.join(ids[:3])}" if ids else "none has that name"
    raise CloudError(ErrorKind.INVALID, "NotOne", f"{what} {name}: there must be one in this region, but {how}")
