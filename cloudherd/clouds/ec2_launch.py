"""What RunInstances is told. Names that users write for subnets, security groups and images become IDs here."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from cloudherd.clouds.ec2_connection import Ec2Api, filters, numbered
from cloudherd.clouds.ec2_models import Ec2LaunchOptions
from cloudherd.clouds.protocol import CloudError, ErrorKind, LaunchRequest

IMAGE_ID = re.compile(r"ami-[0-9a-f]{8}([0-9a-f]{9})?|emi-[0-9a-fA-F]{8}")  # Eucalyptus has emi-, once in capitals
GROUP_ID = re.compile(r"sg-[0-9a-f]{8}([0-9a-f]{9})?")


@dataclass(frozen=True)
class Place:
    """Where an instance goes: a subnet's ID (empty: EC2's default) and security groups by ID and by name."""

    subnet: str = ""
    group_ids: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()


def run_instances(
    request: LaunchRequest, options: Ec2LaunchOptions, image: str, place: Place, *, tags: bool = True, count: int = 1
) -> dict[str, str]:
    """The fields of one launch: a pure function, so that the same request repeats the same fields under its token. Of
    several VMs EC2 makes as many as it has room for.
    """
    fields = {
        "ImageId": image,
        "InstanceType": request.flavor,
        "MinCount": "1",
        "MaxCount": str(count),
        "ClientToken": request.token,
        **(_specification(request) if tags else {}),
        **_network(place, request.public_address),
    }
    if request.user_data:
        fields["UserData"] = b64encode(request.user_data).decode()
    if options.key_name:
        fields["KeyName"] = options.key_name
    return fields | _market(options)


def _market(options: Ec2LaunchOptions) -> dict[str, str]:
    if not options.spot and options.spot_max_price is not None:
        sentence = "machine.options.spotMaxPrice is for spot instances only: set spot: true, or leave it out"
        raise CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
    if not options.spot:
        return {}
    fields = {"InstanceMarketOptions.MarketType": "spot"}
    if options.spot_max_price is not None:
        fields["InstanceMarketOptions.SpotOptions.MaxPrice"] = f"{options.spot_max_price:f}"
    return fields


def _specification(request: LaunchRequest) -> dict[str, str]:
    tags = {f"TagSpecification.1.{key}": value for key, value in tag_fields(request).items()}
    return {"TagSpecification.1.ResourceType": "instance", **tags}


def tag_fields(request: LaunchRequest) -> dict[str, str]:
    """All tags of a VM as Tag.N fields: its name is one of them."""
    fields: dict[str, str] = {}
    for number, (key, value) in enumerate(sorted({**request.tags, "Name": request.name}.items()), start=1):
        fields |= {f"Tag.{number}.Key": key, f"Tag.{number}.Value": value}
    return fields


def _network(place: Place, public_address: bool) -> dict[str, str]:
    """With a public address subnet and groups belong to the network interface, else to the instance."""
    root = "NetworkInterface.1." if public_address else ""
    fields = numbered(f"{root}SecurityGroupId", place.group_ids) | numbered("SecurityGroup", place.group_names)
    if place.subnet:
        fields[f"{root}SubnetId"] = place.subnet
    if public_address:
        fields |= {
            f"{root}DeviceIndex": "0",
            f"{root}AssociatePublicIpAddress": "true",
            f"{root}DeleteOnTermination": "true",
        }
    return fields


class Lookup:
    """Names to IDs, each asked for once. `forget` after a refused launch: an ID may have become stale."""

    def __init__(self, api: Ec2Api) -> None:
        self._api = api
        self._answers: dict[tuple[str, ...], list[ET.Element]] = {}

    def forget(self) -> None:
        self._answers.clear()

    def image(self, name: str) -> str:
        """By name only among the account's own images: anybody may publish one that is called like another's."""
        if IMAGE_ID.fullmatch(name):
            return name
        images = self._items("DescribeImages", {"Owner.1": "self", **filters({"name": [name]})}, "imagesSet")
        named = [image for image in images if image.findtext("name") == name]
        if not named:
            raise CloudError(
                ErrorKind.NOT_FOUND, "ImageNotFound", f"none of the account's own images is called {name}; give an ID"
            )
        return _only(named, f"image {name}", "imageId")

    def place(self, network: str, groups: tuple[str, ...], public_address: bool) -> Place:
        names = tuple(group for group in groups if not GROUP_ID.fullmatch(group))
        ids = tuple(group for group in groups if group not in names)
        if not (network or (public_address and names)):
            return Place("", ids, names)
        # Where a subnet or an interface is given, EC2 takes groups by ID only, and names are unique within a VPC only.
        subnet, vpc = self._subnet(network) if network else ("", self._default_vpc())
        return Place(subnet, (*ids, *(self._group(name, vpc) for name in names)))

    def _subnet(self, name: str) -> tuple[str, str]:
        key = "subnet-id" if name.startswith("subnet-") else "tag:Name"
        found = self._items("DescribeSubnets", filters({key: [name]}), "subnetSet")
        named = {each.findtext("subnetId", ""): each for each in found if name in _names(each)}
        subnet = _only(list(named.values()), f"subnet {name}", "subnetId")
        return subnet, named[subnet].findtext("vpcId", "")

    def _default_vpc(self) -> str:
        found = self._items("DescribeVpcs", filters({"is-default": ["true"]}), "vpcSet")
        return _only(found, "default VPC", "vpcId")

    def _group(self, name: str, vpc: str) -> str:
        wanted = filters({"group-name": [name], "vpc-id": [vpc]})
        found = self._items("DescribeSecurityGroups", wanted, "securityGroupInfo")
        named = [each for each in found if each.findtext("groupName") == name]
        return _only(named, f"security group {name}", "groupId")

    def _items(self, action: str, fields: Mapping[str, str], name: str) -> list[ET.Element]:
        key = (action, *fields.values())
        if key not in self._answers:
            self._answers[key] = list(self._api.items(action, fields, name))
        return self._answers[key]


def _names(subnet: ET.Element) -> set[str]:
    tags = {tag.findtext("key"): tag.findtext("value", "") for tag in subnet.iterfind("tagSet/item")}
    return {subnet.findtext("subnetId", ""), tags.get("Name", "")}


def _only(found: list[ET.Element], what: str, key: str) -> str:
    """The ID of the one that was found by its name, which must be exact: EC2 itself would read * and ? in it as
    wildcards.
    """
    ids = sorted(each.findtext(key, "") for each in found)
    if len(ids) == 1:
        return ids[0]
    how = f"several are: give one of the IDs {', '.join(ids[:5])}" if ids else "none is"
    raise CloudError(ErrorKind.INVALID, "NotOne", f"{what}: there must be one in this region, but {how}")
