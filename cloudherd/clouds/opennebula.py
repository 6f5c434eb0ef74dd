"""The provider `opennebula`: XML-RPC of 5.x to 7.x. One driver is one user of one OpenNebula.

A flavor is a VM template, an image takes the place of its first disk. There is no token and names are not unique, so
the agent claims before it launches. A listing is one call and shows the user's own VMs, whole or not at all; a VM that
is done is in none, and is asked for by its ID. So are a few of those that have waited long for a host, for before 6.4
no listing says that there was none.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from cloudherd.clouds.errors import confidential, never_sent, of_creation, too_long
from cloudherd.clouds.opennebula_api import OpenNebulaApi, understood
from cloudherd.clouds.opennebula_launch import Lookup, extra_template
from cloudherd.clouds.opennebula_models import OpenNebulaCredentials, OpenNebulaLaunchOptions, OpenNebulaOptions
from cloudherd.clouds.opennebula_read import is_unplaced, limits_of, to_size, to_vm
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

MAX_USER_DATA = 1_000_000  # oned itself has no limit that was met; a Secret has
_SELF = -1
_ASKED = 5  # VMs that wait for a host, at each listing
_OWN_BUT_DONE = (-3, -1, -1, -1)  # the user's, from the first to the last, in any state but DONE
_ACTIONS = {
    Verb.SHUT_DOWN: "poweroff",
    Verb.STOP: "poweroff-hard",
    Verb.START: "resume",
    Verb.SUSPEND: "suspend",
    Verb.RESUME: "resume",
}


class OpenNebula:
    name = "opennebula"
    capabilities = Capabilities(
        idempotency_token=False,
        tags_at_creation=True,
        limits_readable=True,
        max_user_data=MAX_USER_DATA,
        visibility_seconds=0,
        concurrent_calls=8,  # oned serves 15 connections at once, and is not faster from more
        verbs=frozenset(_ACTIONS),
        stuck_end="after an outage some stay so for ever, and only OpenNebula's administrator can end them, by onevm "
        "recover --success",
    )
    credentials_model = OpenNebulaCredentials
    options_model = OpenNebulaOptions
    launch_options_model = OpenNebulaLaunchOptions

    def connect(self, connection: Connection) -> OpenNebulaDriver:
        credentials, options = account_settings(connection, OpenNebulaCredentials, OpenNebulaOptions)
        return OpenNebulaDriver(OpenNebulaApi(connection, credentials, options), connection.region)


class OpenNebulaDriver:
    def __init__(self, api: OpenNebulaApi, region: str) -> None:
        self._api = api
        self._region = region
        self._scope = ""
        self._lookup = Lookup(api)

    def list_vms(self) -> Listing:
        scope = self._scoped()
        pool = self._api.read("vmpool.info", "VM_POOL", *_OWN_BUT_DONE)
        now = time.time()
        vms = understood(lambda: {int(item.ID): to_vm(item) for item in pool.VM})
        unplaced = understood(lambda: sorted(int(item.ID) for item in pool.VM if is_unplaced(item, now)))
        vms |= self._looked_up([number for number in unplaced if vms[number].tags][:_ASKED])
        return Listing(scope, tuple(vms.values()))

    def _looked_up(self, numbers: list[int]) -> dict[int, VM]:
        """Those of them that OpenNebula tells of now: a listing is as good without them."""
        found: dict[int, VM] = {}
        for number in numbers:
            try:
                vm = self.get_vm(str(number))
            except CloudError:
                break
            if vm is not None:
                found[number] = vm
        return found

    def _scoped(self) -> str:
        """The user, whose ID and name an OpenNebula tells; it has no name of its own but what spec.region says."""
        if not self._scope:
            user = self._api.read("user.info", "USER", _SELF)
            who = understood(lambda: f"{int(user.ID)}-{quote(user.NAME, safe='')}")
            self._scope = f"{quote(self._region or 'opennebula', safe='')}.{who}"
        return self._scope

    def get_vm(self, vm_id: str) -> VM | None:
        if not (vm_id.isascii() and vm_id.isdecimal()):
            return None  # no VM of OpenNebula's is called so
        try:
            found = self._api.read("vm.info", "VM", int(vm_id))
        except CloudError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        return understood(lambda: to_vm(found))

    def create_vm(self, request: LaunchRequest) -> VM:
        check(OpenNebulaLaunchOptions, request.options, "machine.options")
        if len(request.user_data) > MAX_USER_DATA:
            raise too_long(request.user_data, f"at most {MAX_USER_DATA} are taken")
        try:
            template, holds = self._lookup.template(request.flavor)
            extra = extra_template(request, holds, self._lookup.image(request.image), self._lookup.place(request))
        except CloudError as error:
            self._lookup.forget()
            raise never_sent(error) from None
        made = self._instantiate(template, request, extra)
        # What it looks like is seen in the next listing: asking now would cost a call, and could fail.
        return VM(str(made), request.name, VMState.PENDING, dict(request.tags), flavor=request.flavor)

    def _instantiate(self, template: int, request: LaunchRequest, extra: str) -> int:
        secret = confidential(request.user_data)
        hold = persistent = False
        try:
            return self._api.call(
                "template.instantiate", template, request.name, hold, extra, persistent, confidential=secret
            )
        except CloudError as error:
            failed = of_creation(error)
        self._lookup.forget()
        raise failed

    def destroy_vm(self, vm_id: str) -> None:
        """BUSY while it boots, which OpenNebula does not interrupt."""
        if not (vm_id.isascii() and vm_id.isdecimal()):
            return
        try:
            self._api.call("vm.action", "terminate-hard", int(vm_id))
        except CloudError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def power(self, vm_id: str, verb: Verb) -> None:
        self._api.call("vm.action", _ACTIONS[verb], int(vm_id))

    def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        """The templates that say how large their VMs are."""
        self._lookup.forget()
        return [size for size in map(to_size, self._lookup.pool("template")) if size]

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        if not wanted:
            return []
        self._lookup.forget()
        listed = [Image(str(int(one.ID)), one.NAME) for one in self._lookup.pool("image")]
        return [image for image in listed if image.id in wanted or image.name in wanted]

    def limits(self) -> Limits:
        user = self._api.read("user.info", "USER", _SELF)
        group = self._group(understood(lambda: int(user.GID)))
        return understood(lambda: limits_of(user, group))

    def _group(self, number: int) -> Any:
        try:
            return self._api.read("group.info", "GROUP", number)
        except CloudError as error:
            if error.kind is not ErrorKind.DENIED:
                raise
        return None  # a right that not every user has
