"""What a cloud must be able to do for Cloudherd: the one protocol that every provider implements.

Drivers are blocking and belong to one thread at a time; the thread adapter gives each thread its own. A driver never
retries a creation by itself, never touches a VM that it was not told to, and never passes on a client library's
exception text or a URL: both can hold user data and keys. All its failures are `CloudError`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

MESSAGE_LIMIT = 300
OWN_TAGS = ("cloudherd-name", "cloudherd-id")
"""The tags that tell a VM from another one of its cluster, account and installation."""


class ErrorKind(StrEnum):
    """What a failure means for the caller. Only `UNKNOWN` and `UNREACHABLE` leave open whether a creation happened."""

    FULL = "Full"  # no room of this flavor or on this account; nothing was made
    THROTTLED = "Throttled"  # too many calls; nothing was done
    DENIED = "Denied"  # the credentials are refused; nothing was done
    BUSY = "Busy"  # not while the VM is in the state that it is in; nothing was done, and later it may be
    UNREACHABLE = "Unreachable"  # no answer, or none that can be understood
    INVALID = "Invalid"  # the request can never succeed as it is; nothing was made
    NOT_FOUND = "NotFound"  # the VM, flavor or image named does not exist
    UNKNOWN = "UnknownOutcome"  # the call was sent and its outcome is not known


class CloudError(Exception):
    """A failure as the cloud tells it: `code` and `message` are the cloud's own words, parsed and bounded."""

    def __init__(
        self, kind: ErrorKind, code: str, message: str = "", *, flavor_only: bool = False, never_sent: bool = False
    ) -> None:
        self.kind = kind
        self.code = code[:64]
        self.message = message[:MESSAGE_LIMIT]
        super().__init__(f"{self.code}: {self.message}" if message else self.code)
        self.flavor_only = flavor_only
        """With `FULL`: only this flavor has no room (no capacity); else the account's limit is reached, which fills
        every flavor.
        """
        self.never_sent = never_sent
        """With `UNREACHABLE` of a creation: nobody was asked for it, so that nothing was made."""

    def again(self) -> CloudError:
        """The same without cause and frames, for somebody else."""
        return CloudError(self.kind, self.code, self.message, flavor_only=self.flavor_only, never_sent=self.never_sent)


class VMState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    DELETED = "deleted"  # still listed, though gone for good
    ERROR = "error"
    UNKNOWN = "unknown"


class Verb(StrEnum):
    """What can be asked of a VM that stays. Launch, look and end are every cloud's."""

    SHUT_DOWN = "shut down"  # the guest is told to go down; the VM is stopped when it has, which it may never
    STOP = "stop"  # it is switched off
    START = "start"  # from stopped
    SUSPEND = "suspend"  # its memory is kept
    RESUME = "resume"  # from suspended


@dataclass(frozen=True, slots=True)
class VM:
    """A VM as a cloud reports it. `id` is the cloud's own; `detail` the cloud's words on its state, parsed and
    bounded. `no_room`: the cloud took the launch and has no place for the VM: it waits (`PENDING`) or is given up
    (`ERROR`). `token`: what a VM without tags was launched with, from accounts that put tags on after the launch.
    """

    id: str
    name: str
    state: VMState
    tags: Mapping[str, str] = field(default_factory=dict)
    private: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    flavor: str = ""
    detail: str = ""
    no_room: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """All VMs within `scope` that the credentials can see, other people's too. `complete` is false where pages are
    missing.
    """

    scope: str
    vms: tuple[VM, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Size:
    id: str
    name: str
    cpus: float
    memory: int  # bytes
    disk: int | None = None  # bytes; None where the image or the user decides
    price: float | None = None  # per hour, where one is known


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the cloud allows in all, foreign VMs included; None where it does not say."""

    instances: int | None = None
    cpus: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """One VM to be. `token` makes the call idempotent where the cloud knows tokens; `tags` must be on the VM from its
    first moment.
    """

    token: str
    name: str
    flavor: str
    image: str
    tags: Mapping[str, str]
    user_data: bytes = b""
    network: str = ""
    security_groups: tuple[str, ...] = ()
    public_address: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do, declared so that what it lacks is told to the user and worked around, never met by
    surprise.
    """

    idempotency_token: bool
    tags_at_creation: bool
    limits_readable: bool
    max_user_data: int  # bytes
    visibility_seconds: float  # how long a new VM may be missing from listings
    calls_per_second: float = 20  # what the cloud stands from one account in the long run
    concurrent_calls: int = 4
    binary_user_data: bool = True  # else they must be UTF-8
    verbs: frozenset[Verb] = frozenset()  # what its drivers' `power` can do, beyond launch and end
    regions: bool = False  # one endpoint has several places, and spec.region names one
    spot: bool = False  # machine.options can ask for VMs that the cloud may take away
    batch: int = 1  # how many VMs one call can launch; more than 1 needs a driver with `create_vms`
    stuck_end: str = ""  # who can end a VM that stays on its way out, in a few words; empty: nobody needs to
    console_output: bool = False  # what a VM prints can be read


@dataclass(frozen=True, slots=True)
class Connection:
    """All that a driver needs to talk to one account. `credentials` must never reach a log, a message or a repr."""

    account: str  # <namespace>.<name>
    region: str = ""
    endpoint: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    simulated: Mapping[str, Any] = field(default_factory=dict)


class Driver(Protocol):
    """A live connection to one account, for one thread. Every method may raise CloudError."""

    def list_vms(self) -> Listing:
        """All pages, or an error, or `complete=False`: never a part that looks like the whole."""
        ...

    def get_vm(self, vm_id: str) -> VM | None:
        """One VM by the cloud's own ID, asked of the cloud; None only where the cloud says that it does not exist."""
        ...

    def create_vm(self, request: LaunchRequest) -> VM:
        """Launch, tags included. The same token again gives the same VM where `capabilities.idempotency_token`."""
        ...

    def destroy_vm(self, vm_id: str) -> None:
        """Ask for its end; a VM that is already gone is no error. The end itself is seen in listings."""
        ...

    def sizes(self, wanted: tuple[str, ...] = (), /) -> list[Size]:
        """All sizes; where a cloud has too many to ask for them all, at least those of the `wanted` names or IDs. Of
        several of one name all: which is meant is not the driver's to say.
        """
        ...

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        """Those of the `wanted` names or IDs that exist (a public cloud has too many to list them all), of several of
        one name all. One that is told for its ID bears no wanted name but what a launch by that name may mean.
        """
        ...

    def limits(self) -> Limits: ...


class PowerDriver(Driver, Protocol):
    """A driver of a provider whose capabilities declare verbs."""

    def power(self, vm_id: str, verb: Verb) -> None:
        """Ask for it, without waiting for it; only verbs that are declared are asked for. BUSY while the VM is in a
        state that does not allow it, which may be the one that is asked for; INVALID where this VM never can.
        """
        ...


class BatchDriver(Driver, Protocol):
    """A driver of a provider whose capabilities declare batches."""

    def create_vms(self, requests: Sequence[LaunchRequest]) -> list[VM | None]:
        """Launches with one call, alike in all but token, name and `OWN_TAGS`; in their order, None for those that the
        cloud had no room for. Each VM bears its own tags from its first moment. The name is the cloud's affair.
        """
        ...


class Provider(Protocol):
    """A kind of cloud. The class that an entry point of the group `cloudherd.clouds` names is called without
    arguments.
    """

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def credentials_model(self) -> type[BaseModel]:
        """The keys of an account's Secret."""
        ...

    @property
    def options_model(self) -> type[BaseModel]:
        """spec.options of an account."""
        ...

    @property
    def launch_options_model(self) -> type[BaseModel]:
        """machine.options of a service."""
        ...

    def connect(self, connection: Connection) -> Driver:
        """A driver; must not call the cloud."""
        ...


@runtime_checkable
class AccountDependent(Protocol):
    """A provider whose capabilities depend on an account's settings; `Provider.capabilities` is then the best case."""

    def capabilities_of(self, connection: Connection) -> Capabilities:
        """Must not call the cloud. CloudError(INVALID) where the settings make no sense."""
        ...


def account_capabilities(provider: Provider, connection: Connection) -> Capabilities:
    """Those of this very account."""
    return provider.capabilities_of(connection) if isinstance(provider, AccountDependent) else provider.capabilities
