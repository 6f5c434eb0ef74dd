"""The provider `ec2`: Amazon EC2, and services that speak its API. One driver is one account in one region.

A listing is whole or an error: all pages are read, and terminated instances, which EC2 lists for an hour or so, are
deleted ones. Launches carry a client token, so that EC2 makes one instance however often a launch is sent. With
`spec.options.batch` a call launches several, and the token is theirs together: every Instance is claimed first then, as
where there are no tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from cloudherd.api.quantity import parse_quantity
from cloudherd.clouds import ec2_xml
from cloudherd.clouds.ec2_batch import MOST
from cloudherd.clouds.ec2_connection import OFFSET_PAGES, Ec2Api, filters, numbered
from cloudherd.clouds.ec2_creation import MAX_USER_DATA, Creation
from cloudherd.clouds.ec2_launch import IMAGE_ID
from cloudherd.clouds.ec2_models import Ec2Credentials, Ec2LaunchOptions, Ec2Options
from cloudherd.clouds.ec2_prices import prices
from cloudherd.clouds.protocol import (
    VM,
    Capabilities,
    CloudError,
    Connection,
    ErrorKind,
    Image,
    LaunchRequest,
    Limits,
    Listing,
    Size,
    Verb,
)
from cloudherd.clouds.validation import account_settings, check

_ACTIONS: dict[Verb, tuple[str, dict[str, str]]] = {
    Verb.SHUT_DOWN: ("StopInstances", {}),
    Verb.STOP: ("StopInstances", {"Force": "true"}),
    Verb.START: ("StartInstances", {}),
}
"""To suspend, an instance would have to be launched for hibernation, which few images and sizes allow."""


_NOT_BOUND = ("HTTP400", "HTTP412")
"""In plain text, as Eucalyptus answers to fields that a call of its does not have. AWS refuses a list of names of which
it does not know one, and so is asked by a filter.
"""


class Ec2:
    name = "ec2"
    capabilities = Capabilities(
        idempotency_token=True,
        tags_at_creation=True,
        limits_readable=False,  # they are Service Quotas', another API, counted in vCPUs of families of sizes
        max_user_data=MAX_USER_DATA,
        visibility_seconds=60,
        calls_per_second=5,  # AWS stands 20 descriptions a second, and less of what changes something
        verbs=frozenset(_ACTIONS),
        regions=True,
        spot=True,
        batch=MOST,
    )
    credentials_model = Ec2Credentials
    options_model = Ec2Options
    launch_options_model = Ec2LaunchOptions

    def connect(self, connection: Connection) -> Ec2Driver:
        credentials, options = account_settings(connection, Ec2Credentials, Ec2Options)
        return Ec2Driver(Ec2Api(connection, credentials, options), connection.region, options)

    def capabilities_of(self, connection: Connection) -> Capabilities:
        options = check(Ec2Options, connection.options, "spec.options")
        if options.batch == 1:
            return replace(self.capabilities, tags_at_creation=options.tags_at_launch, batch=1)
        if not options.tags_at_launch:
            sentence = "spec.options.batch needs tags at the launch: leave it out, or tagsAtLaunch: false"
            raise CloudError(ErrorKind.INVALID, "InvalidSettings", sentence)
        return replace(self.capabilities, idempotency_token=False, batch=options.batch)


class Ec2Driver:
    def __init__(self, api: Ec2Api, region: str, options: Ec2Options) -> None:
        self._api = api
        self._region = region
        self._options = options
        self._paged = {"MaxResults": str(options.page_size)}
        self._owner = ""
        self._creation = Creation(api, options)
        self._to_vm = partial(ec2_xml.to_vm, tells_token=not options.tags_at_launch)

    def list_vms(self) -> Listing:
        try:
            return self._listed()
        except CloudError as error:
            if error.code != OFFSET_PAGES or not self._paged:
                raise
        self._paged = {}  # all in one page, from now on
        return self._listed()

    def _listed(self) -> Listing:
        vms: dict[str, VM] = {}
        owners: set[str] = set()
        for reservation in self._api.items("DescribeInstances", self._paged, "reservationSet"):
            owners.add(reservation.findtext("ownerId", ""))
            for item in ec2_xml.items(reservation, "instancesSet"):
                vm = self._to_vm(item)
                vms[vm.id] = vm
        return Listing(self._scope(owners), tuple(vms.values()))

    def _scope(self, owners: set[str]) -> str:
        """By the owner that the API itself names, which an empty region names only when asked for something else."""
        if not self._owner:
            self._owner = _one_owner(owners or self._group_owners())
        if owners - {self._owner}:
            raise CloudError(ErrorKind.UNREACHABLE, "OwnerUnclear", "the listing holds another owner's instances")
        return f"{self._owner}.{self._region}"

    def _group_owners(self) -> set[str]:
        """Every VPC has a group called default, which cannot be shared: its owner is the account."""
        wanted = filters({"group-name": ["default"]})
        groups = self._api.items("DescribeSecurityGroups", wanted, "securityGroupInfo")
        return {group.findtext("ownerId", "") for group in groups}

    def get_vm(self, vm_id: str) -> VM | None:
        try:
            found = list(self._described(vm_id))
        except CloudError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        if found and found[0].id != vm_id:
            raise ec2_xml.NotUnderstoodError
        return found[0] if found else None

    def _described(self, vm_id: str) -> Iterator[VM]:
        for reservation in self._api.items("DescribeInstances", {"InstanceId.1": vm_id}, "reservationSet"):
            yield from map(self._to_vm, ec2_xml.items(reservation, "instancesSet"))

    def create_vm(self, request: LaunchRequest) -> VM:
        return self._creation.one(request)

    def create_vms(self, requests: Sequence[LaunchRequest]) -> list[VM | None]:
        return self._creation.several(requests) if len(requests) > 1 else [self._creation.one(requests[0])]

    def destroy_vm(self, vm_id: str) -> None:
        try:
            self._api.call("TerminateInstances", {"InstanceId.1": vm_id})
        except CloudError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def power(self, vm_id: str, verb: Verb) -> None:
        action, how = _ACTIONS[verb]
        self._api.call(action, {"InstanceId.1": vm_id, **how})

    def sizes(self, wanted: tuple[str, ...] = (), /) -> list[Size]:
        """All that libcloud knows of, and the `wanted` ones as the region itself has them.

        EC2's own list of all of them is 6 MB. A service that does not have the call (OpenStack's ec2-api), or keys that
        may not make it, leave libcloud's word for it, and what the account's options say.
        """
        sizes = {size.id: size for size in _known_sizes()}
        asked = self._described_sizes(wanted) if wanted else None
        if asked is not None:
            sizes = {name: size for name, size in sizes.items() if name not in wanted}
            sizes |= {size.id: size for size in asked}
        if wanted:
            priced = prices(self._region)
            sizes |= {name: replace(sizes[name], price=priced.get(name)) for name in wanted if name in sizes}
        return list((sizes | self._told_sizes()).values())

    def _described_sizes(self, wanted: tuple[str, ...]) -> list[Size] | None:
        """None where they cannot be asked for."""
        try:
            return self._sizes_by(filters({"instance-type": wanted}))
        except CloudError as error:
            if error.code not in _NOT_BOUND:
                if not _cannot_be_asked(error):
                    raise
                return None
        return self._sizes_by(numbered("InstanceType", wanted))

    def _sizes_by(self, fields: Mapping[str, str]) -> list[Size]:
        return [ec2_xml.to_size(item) for item in self._api.items("DescribeInstanceTypes", fields, *ec2_xml.SIZES)]

    def _told_sizes(self) -> dict[str, Size]:
        told = self._options.sizes.items()
        return {name: Size(name, name, size.cpus, int(parse_quantity(size.memory))) for name, size in told}

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        """By ID whoever owns them; by name the account's own: others' may be called alike.

        Where they cannot be asked for, as sizes, an ID is believed, and a launch will tell.
        """
        ids = {each for each in wanted if IMAGE_ID.fullmatch(each)}
        names = set(wanted) - ids
        found: list[Image] = []
        if ids:
            told = self._described_images(ids)
            found += [replace(image, name=image.id) if image.name in names else image for image in told]
        if names:
            own = self._images({"Owner.1": "self"}, filters({"name": sorted(names)}))
            found += [image for image in own if image.name in names]
        return found

    def _described_images(self, ids: set[str]) -> list[Image]:
        try:
            return self._images({}, filters({"image-id": sorted(ids)}))
        except CloudError as error:
            if not _cannot_be_asked(error):
                raise
        return [Image(each, each) for each in sorted(ids)]

    def _images(self, owner: dict[str, str], wanted: dict[str, str]) -> list[Image]:
        items = self._api.items("DescribeImages", owner | wanted, "imagesSet")
        return [ec2_xml.to_image(item) for item in items]

    def limits(self) -> Limits:
        return Limits()


def _cannot_be_asked(error: CloudError) -> bool:
    """Whether the service lacks the call, or the keys may not make it."""
    return error.kind is ErrorKind.INVALID or error.code == "UnauthorizedOperation"


def _one_owner(owners: set[str]) -> str:
    if len(owners) != 1 or "" in owners:
        raise CloudError(ErrorKind.UNREACHABLE, "OwnerUnclear", "the cloud's answer names no owner, or several")
    return next(iter(owners))


def _known_sizes() -> Iterator[Size]:
    from libcloud.compute.constants.ec2_instance_types import INSTANCE_TYPES  # large, and seldom needed

    for name, size in INSTANCE_TYPES.items():
        yield Size(name, name, float(size["extra"]["vcpu"]), size["ram"] * 2**20)
