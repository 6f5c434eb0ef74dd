"""The provider `openstack`: nova, with keystone, glance and neutron. One driver is one project in one region.

A listing is whole or says that it is not: all pages are read, and a cell of nova's that does not answer makes it
incomplete. Nova has no idempotency token: a launch is one POST, never sent twice, and whether it made a server is told
by the listing, which shows it, tags included, from the moment that nova has accepted it. Only then nova looks for a
host: a server that found none is in ERROR, and its VM says that there was no room.
"""

from __future__ import annotations

from collections.abc import Mapping

from cloudherd.clouds.errors import confidential, never_sent, of_creation, scrubbed, too_long
from cloudherd.clouds.openstack_connection import OpenStackApi
from cloudherd.clouds.openstack_errors import lacked_room
from cloudherd.clouds.openstack_json import (
    Json,
    NotUnderstoodError,
    addresses,
    field,
    flavor_of,
    is_whole,
    state_of,
    to_image,
    to_limits,
)
from cloudherd.clouds.openstack_launch import UUID, Lookup, server
from cloudherd.clouds.openstack_models import OpenStackCredentials, OpenStackLaunchOptions, OpenStackOptions
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
    VMState,
)
from cloudherd.clouds.validation import account_settings, check

MAX_USER_DATA = 49_149
"""Nova takes 65,535 characters of base64."""
_ACTIONS = {
    Verb.SHUT_DOWN: "os-stop",  # nova asks the guest first, and switches it off where that takes too long
    Verb.STOP: "os-stop",
    Verb.START: "os-start",
    Verb.SUSPEND: "suspend",
    Verb.RESUME: "resume",
}


class OpenStack:
    name = "openstack"
    capabilities = Capabilities(
        idempotency_token=False,
        tags_at_creation=True,
        limits_readable=True,
        max_user_data=MAX_USER_DATA,
        visibility_seconds=10,  # nova reads its own writes; several of its database's copies may lag
        calls_per_second=10,
        verbs=frozenset(Verb),
        regions=True,
    )
    credentials_model = OpenStackCredentials
    options_model = OpenStackOptions
    launch_options_model = OpenStackLaunchOptions

    def connect(self, connection: Connection) -> OpenStackDriver:
        credentials, options = account_settings(connection, OpenStackCredentials, OpenStackOptions)
        return OpenStackDriver(OpenStackApi(connection, credentials, options), connection.region, credentials.secrets)


class OpenStackDriver:
    def __init__(self, api: OpenStackApi, region: str, secrets: tuple[str, ...]) -> None:
        self._api = api
        self._region = region
        self._secrets = secrets
        self._lookup = Lookup(api)

    def list_vms(self) -> Listing:
        servers, certain = self._api.all_servers()
        vms = {vm.id: vm for vm in map(self._vm, filter(is_whole, servers))}
        complete = certain and all(map(is_whole, servers))
        return Listing(f"{self._api.project}.{self._region}", tuple(vms.values()), complete)

    def get_vm(self, vm_id: str) -> VM | None:
        try:
            found = field(self._api.servers(f"/servers/{vm_id}"), "server", dict)
        except CloudError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        if not is_whole(found):
            raise CloudError(ErrorKind.UNREACHABLE, "CellDown", "the part of nova that has this server does not answer")
        vm = self._vm(found)
        if vm.id != vm_id:
            raise NotUnderstoodError
        return vm

    def _vm(self, found: Json) -> VM:
        state = state_of(found)
        private, public = addresses(found)
        fault: Mapping[str, object] = found.get("fault") or {}
        return VM(
            field(found, "id", str),
            field(found, "name", str),
            state,
            dict(field(found, "metadata", dict)),
            private,
            public,
            flavor_of(found),
            scrubbed(" ".join(str(fault.get("message", "")).split()), self._secrets),
            state is VMState.ERROR and lacked_room(fault),
        )

    def create_vm(self, request: LaunchRequest) -> VM:
        body = self._prepared(request)
        try:
            answer = self._api.call(
                "POST", "compute", "/servers", body=body, confidential=confidential(request.user_data)
            )
            vm_id = field(field(answer, "server", dict), "id", str)
        except CloudError as error:
            failed = of_creation(error)
        else:
            return VM(vm_id, request.name, VMState.PENDING, dict(request.tags), flavor=request.flavor)
        if failed.kind in {ErrorKind.INVALID, ErrorKind.NOT_FOUND}:
            self._lookup.forget()
        raise failed

    def _prepared(self, request: LaunchRequest) -> dict[str, object]:
        """Nothing of a launch has been sent where this fails."""
        if len(request.user_data) > MAX_USER_DATA:
            raise too_long(request.user_data, f"nova takes {MAX_USER_DATA}")
        if request.public_address:
            sentence = (
                "spec.network.publicAddress: OpenStack gives floating addresses only after the launch, which is not "
                "supported; leave it out, and name a network whose addresses are public"
            )
            raise CloudError(ErrorKind.INVALID, "NoPublicAddress", sentence)
        options = check(OpenStackLaunchOptions, request.options, "machine.options")
        try:
            return server(request, options, self._lookup.ids(request))
        except CloudError as error:
            raise never_sent(error) from None

    def destroy_vm(self, vm_id: str) -> None:
        try:
            self._api.call("DELETE", "compute", f"/servers/{vm_id}")
        except CloudError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def power(self, vm_id: str, verb: Verb) -> None:
        self._api.call("POST", "compute", f"/servers/{vm_id}/action", body={_ACTIONS[verb]: None})

    def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        return self._lookup.sizes()

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        """Of a name that several images have all are told."""
        return [to_image(image) for name in wanted for image in self._images(name)]

    def _images(self, name: str) -> list[Json]:
        if not UUID.fullmatch(name):
            return self._lookup.images_called(name)
        try:
            return [self._api.call("GET", "image", f"/images/{name}")]
        except CloudError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return []
            raise

    def limits(self) -> Limits:
        found = field(self._api.call("GET", "compute", "/limits"), "limits", dict)
        return to_limits(field(found, "absolute", dict))
