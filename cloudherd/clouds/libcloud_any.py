"""The provider `libcloud`: any of apache-libcloud's compute drivers by its name, as far as libcloud's common part goes.

What a driver lacks is told before anything is launched: one whose create_node takes no tags cannot be used, for its VMs
could not be known again as ours, nor one whose listings may lack a page; one that takes no user data can only launch
VMs without. A VM that comes back without its tags is ended at once. There is no token. An object is for one thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from libcloud.compute.base import Node, NodeDriver

from cloudherd.clouds.errors import never_sent, of_creation, too_long
from cloudherd.clouds.libcloud_connection import connected
from cloudherd.clouds.libcloud_errors import failure
from cloudherd.clouds.libcloud_kind import Kind, kind_for
from cloudherd.clouds.libcloud_models import LibcloudCredentials, LibcloudLaunchOptions, LibcloudOptions
from cloudherd.clouds.libcloud_read import FLAVOR, name_of, to_size, to_vm
from cloudherd.clouds.libcloud_tags import put, strings_of
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

T = TypeVar("T")
MAX_USER_DATA = 16_384  # what most clouds take


class Libcloud:
    name = "libcloud"
    capabilities = Capabilities(
        idempotency_token=False,
        tags_at_creation=True,
        limits_readable=False,
        max_user_data=MAX_USER_DATA,
        binary_user_data=False,
        visibility_seconds=60,  # of most clouds it is not known
        calls_per_second=2,
        concurrent_calls=2,
        verbs=frozenset({Verb.STOP, Verb.START}),
        regions=True,
    )
    credentials_model = LibcloudCredentials
    options_model = LibcloudOptions
    launch_options_model = LibcloudLaunchOptions

    def connect(self, connection: Connection) -> LibcloudDriver:
        credentials, options = account_settings(connection, LibcloudCredentials, LibcloudOptions)
        kind = kind_for(connection)
        return LibcloudDriver(
            connected(kind, connection, credentials, options), kind, options, connection, credentials.key
        )

    def capabilities_of(self, connection: Connection) -> Capabilities:
        kind = kind_for(connection)
        most = MAX_USER_DATA if kind.user_data else 0
        return replace(self.capabilities, max_user_data=most, verbs=kind.verbs, regions=kind.places)


class LibcloudDriver:
    def __init__(
        self, driver: NodeDriver, kind: Kind, options: LibcloudOptions, connection: Connection, key: str
    ) -> None:
        self._driver = driver
        self._kind = kind
        self._options = options
        self._region = connection.region
        digest = hashlib.sha256(f"{connection.endpoint} {key}".encode()).hexdigest()[:10]
        self._scope = options.scope or ".".join(filter(None, (options.driver, connection.region, digest)))
        self._known: dict[str, list[Any]] = {}
        self._unfit: CloudError | None = None

    def list_vms(self) -> Listing:
        vms = {str(node.id): to_vm(node) for node in self._nodes()}  # one can be on two pages where another one came
        return Listing(self._scope, tuple(vms.values()))

    def _nodes(self) -> list[Node]:
        return _called(lambda: list(self._driver.list_nodes()))

    def _node(self, vm_id: str) -> Node | None:
        if not self._kind.one:
            return next((node for node in self._nodes() if str(node.id) == vm_id), None)
        try:
            return _called(lambda: getattr(self._driver, self._kind.one)(vm_id))
        except CloudError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
        return None

    def get_vm(self, vm_id: str) -> VM | None:
        node = self._node(vm_id)
        return to_vm(node) if node else None

    def create_vm(self, request: LaunchRequest) -> VM:
        if self._unfit:
            raise self._unfit.again()
        check(LibcloudLaunchOptions, request.options, "machine.options")
        self._refuse_what_cannot_be(request)
        try:
            arguments = self._arguments(request)
        except CloudError as error:
            self._known.clear()
            raise never_sent(error) from None
        try:
            node = _called(lambda: self._driver.create_node(**arguments))
        except CloudError as error:
            failed = of_creation(error)
        else:
            return self._with_its_tags(node, request)
        self._known.clear()
        raise failed

    def _with_its_tags(self, node: Node, request: LaunchRequest) -> VM:
        """One that bears others could not be known again, and would be paid for ever: it is ended at once."""
        kind, why = ErrorKind.INVALID, "does not show its tags"
        made = to_vm(node)
        try:
            vm = made if _bears(made, request) else self.get_vm(made.id)
        except CloudError as error:
            vm, kind, why = None, ErrorKind.UNKNOWN, f"cannot be looked at ({error.code})"
        if vm is not None and _bears(vm, request):
            return vm
        end = "and was ended"
        try:
            _called(lambda: self._driver.destroy_node(node))
        except CloudError as error:
            end = f"and cannot be ended ({error.code}): end it by hand"
        sentence = f"libcloud's driver {self._options.driver} made the VM {made.id}, which {why}, {end}"
        failed = CloudError(kind, "TagsNotKept", sentence)
        self._unfit = failed if kind is ErrorKind.INVALID else None
        raise failed

    def _refuse_what_cannot_be(self, request: LaunchRequest) -> None:
        if request.network or request.security_groups or request.public_address:
            sentence = (
                "spec.network: the provider libcloud passes no networks on, since each driver has its own arguments; "
                "put them in spec.options.createArguments"
            )
            raise CloudError(ErrorKind.INVALID, "NoNetworks", sentence)
        most = MAX_USER_DATA if self._kind.user_data else 0
        if len(request.user_data) > most:
            raise too_long(request.user_data, f"libcloud's driver {self._options.driver} takes {most}")

    def _arguments(self, request: LaunchRequest) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "name": request.name,
            "size": self._one("size", request.flavor),
            "image": self._one("image", request.image),
        }
        if self._region:
            arguments["location"] = self._one("location", self._region)
        for path, value in self._options.create_arguments.items():
            put(arguments, path, value)
        tags = {**request.tags, FLAVOR: request.flavor}
        put(arguments, self._kind.tags, strings_of(tags) if self._kind.strings else tags)
        if request.user_data:
            put(arguments, self._kind.user_data, _text(request.user_data))
        return arguments

    def _one(self, what: str, name: str) -> Any:
        """The size, image or location of that ID, or else name."""
        listed = self._all(what)
        found = [one for one in listed if str(one.id) == name] or [one for one in listed if name_of(one) == name]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(sorted(str(one.id) for one in found)[:5])
            sentence = f"{what} {name}: several have this name; give one of the IDs {ids}"
            raise CloudError(ErrorKind.INVALID, "NotOne", sentence)
        kind = ErrorKind.INVALID if what == "location" else ErrorKind.NOT_FOUND
        raise CloudError(kind, "NoSuchName", f"{what} {name}: the cloud shows none of this name")

    def _all(self, what: str) -> list[Any]:
        if what not in self._known:
            self._known[what] = _called(lambda: list(getattr(self._driver, f"list_{what}s")()))
        return self._known[what]

    def destroy_vm(self, vm_id: str) -> None:
        node = self._node(vm_id)
        if node is None:
            return
        try:
            _called(lambda: self._driver.destroy_node(node))  # some answer False though it worked
        except CloudError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise

    def power(self, vm_id: str, verb: Verb) -> None:
        node = self._node(vm_id)
        if node is None:
            raise CloudError(ErrorKind.NOT_FOUND, "NoSuchNode", f"there is no VM {vm_id}")
        _called(lambda: self._driver.start_node(node) if verb is Verb.START else self._driver.stop_node(node))

    def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        self._known.pop("size", None)
        return [to_size(one) for one in self._all("size")]

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        if not wanted:
            return []
        self._known.pop("image", None)
        listed = (Image(str(one.id), name_of(one)) for one in self._all("image"))
        return [image for image in listed if image.id in wanted or image.name in wanted]

    def limits(self) -> Limits:
        return Limits()


def _bears(vm: VM, request: LaunchRequest) -> bool:
    return vm.flavor == request.flavor and request.tags.items() <= vm.tags.items()


def _called(call: Callable[[], T]) -> T:
    """What libcloud raises would carry the request; its error is raised without it."""
    try:
        return call()
    except Exception as raised:  # noqa: BLE001 - drivers raise bare Exceptions, KeyErrors, and much else
        failed = failure(raised)
    raise failed


def _text(user_data: bytes) -> str:
    try:
        return user_data.decode()
    except UnicodeDecodeError:
        sentence = "the user data are no UTF-8, and libcloud's drivers take only text; do not compress them"
    raise CloudError(ErrorKind.INVALID, "UserDataNotText", sentence)
