"""The provider `simulated` and its driver: each call is one transaction that also writes the call's line in the log.

The line is written whatever comes out, and never holds user data or credentials. A call that does not get as far as its
transaction (its caller was killed while it was on its way) has not happened.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, ConfigDict, SecretStr

from cloudherd.api.account import SimulatedSettings
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
from cloudherd.clouds.simulated import cloud
from cloudherd.clouds.simulated.catalog import IMAGES, SIZES
from cloudherd.clouds.simulated.cloud import Moment, Order
from cloudherd.clouds.simulated.faults import Fault, Striking
from cloudherd.clouds.simulated.log import Entry, append
from cloudherd.clouds.simulated.shown import Shown
from cloudherd.clouds.simulated.storage import cloud_path, open_cloud, transaction
from cloudherd.clouds.validation import check

T = TypeVar("T")


class SimulatedCredentials(BaseModel):
    """Needs none. A `key` is taken and not looked at, so that an account can be tried out with its Secret."""

    model_config = ConfigDict(extra="forbid")

    key: SecretStr | None = None


class NoOptions(BaseModel):
    """There are none."""

    model_config = ConfigDict(extra="forbid")


class Simulated:
    """The provider. `directory` defaults to `cloud_directory()`; clock and sleep can be virtual."""

    name = "simulated"
    capabilities = Capabilities(
        idempotency_token=True,
        tags_at_creation=True,
        limits_readable=True,
        max_user_data=cloud.MAX_USER_DATA,
        visibility_seconds=0,
        calls_per_second=10_000,
        concurrent_calls=8,
        verbs=frozenset(Verb),
    )
    credentials_model: type[BaseModel] = SimulatedCredentials
    options_model: type[BaseModel] = NoOptions
    launch_options_model: type[BaseModel] = NoOptions

    def __init__(
        self,
        *,
        directory: Path | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = directory
        self._now = now
        self._sleep = sleep
        self._shown: WeakValueDictionary[Path, Shown] = WeakValueDictionary()  # as long as anybody is connected

    def connect(self, connection: Connection) -> SimulatedDriver:
        path = cloud_path(connection.account, self._directory)
        shown = self._shown.setdefault(path, Shown())
        return SimulatedDriver(path, connection.account, _settings(connection), shown, self._now, self._sleep)

    def capabilities_of(self, connection: Connection) -> Capabilities:
        settings = _settings(connection)
        return replace(
            self.capabilities,
            limits_readable=settings.limits_readable,
            visibility_seconds=settings.listing_lag_seconds,
        )


def _settings(connection: Connection) -> SimulatedSettings:
    return check(SimulatedSettings, connection.simulated, "spec.simulated")


@dataclass(slots=True)
class _Reply:
    """What a call leads to: a value or an error, the line of the log, and how long the answer takes on top."""

    entry: Entry
    value: Any = None
    error: CloudError | None = None
    slow: float = 0


class SimulatedDriver:
    """One thread's connection to one simulated cloud; the file is opened by the first call."""

    def __init__(
        self,
        path: Path,
        account: str,
        settings: SimulatedSettings,
        shown: Shown,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._path = path
        self._account = account
        self._settings = settings
        self._shown = shown
        self._now = now
        self._sleep = sleep
        self._db: sqlite3.Connection | None = None

    def list_vms(self) -> Listing:
        def work(moment: Moment, entry: Entry) -> Listing:
            listing = cloud.listing(moment, self._shown)
            entry.arguments |= {"vms": len(listing.vms), "complete": listing.complete}
            return listing

        return self._call(Entry("list_vms"), work)

    def get_vm(self, vm_id: str) -> VM | None:
        return self._call(Entry("get_vm", vm=vm_id), lambda moment, _: cloud.look(moment, vm_id))

    def create_vm(self, request: LaunchRequest) -> VM:
        order = Order.of(request)

        def work(moment: Moment, entry: Entry) -> VM:
            vm, entry.made = cloud.create(moment, order)
            entry.vm = vm.id
            return vm

        arguments = {
            "name": request.name,
            "flavor": request.flavor,
            "image": request.image,
            "tags": dict(request.tags),
            "userDataBytes": len(request.user_data),
        }
        return self._call(Entry("create_vm", token=request.token, arguments=arguments), work, request.flavor)

    def destroy_vm(self, vm_id: str) -> None:
        self._call(Entry("destroy_vm", vm=vm_id), lambda moment, _: cloud.destroy(moment, vm_id))

    def power(self, vm_id: str, verb: Verb) -> None:
        entry = Entry("power", vm=vm_id, arguments={"verb": verb.value})
        self._call(entry, lambda moment, _: cloud.power(moment, vm_id, verb))

    def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        return self._call(Entry("sizes"), lambda *_: list(SIZES.values()))

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        entry = Entry("images", arguments={"wanted": list(wanted)})
        return self._call(entry, lambda *_: [IMAGES[name] for name in dict.fromkeys(wanted) if name in IMAGES])

    def limits(self) -> Limits:
        return self._call(Entry("limits"), lambda moment, _: cloud.limits(moment))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def __del__(self) -> None:
        self.close()

    def _call(self, entry: Entry, work: Callable[[Moment, Entry], T], flavor: str = "") -> T:
        """There, the deed, and back: the latency is half each way."""
        self._wait(self._settings.latency_seconds / 2)
        reply = self._transact(entry, work, flavor)
        self._wait(self._settings.latency_seconds / 2 + reply.slow)
        if reply.error is not None:
            raise reply.error
        value: T = reply.value
        return value

    def _transact(self, entry: Entry, work: Callable[[Moment, Entry], object], flavor: str) -> _Reply:
        try:
            if self._db is None:
                self._db = open_cloud(self._path)
            with transaction(self._db):
                now = self._now()
                faults = Striking(self._db, entry.operation, flavor)
                reply = _act(Moment(self._db, self._account, now, self._settings, faults), entry, work)
                append(self._db, now, entry, reply.error)
        except (OSError, sqlite3.Error) as error:
            trouble = type(error).__name__
        else:
            return reply
        self.close()
        raise CloudError(
            ErrorKind.UNREACHABLE,
            "SimulatedStorage",
            f"The file of this simulated cloud cannot be used ({trouble}): "
            "CLOUDHERD_SIMULATED_DIR must name a directory on a local disk that can be written.",
        )

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)


def _act(moment: Moment, entry: Entry, work: Callable[[Moment, Entry], object]) -> _Reply:
    reply = _Reply(entry)
    if slow := moment.faults.take("slow-reply"):
        reply.slow = slow.seconds
    try:
        if fault := moment.faults.take("fail"):
            raise _error(fault)
        reply.value = work(moment, entry)
        if lost := moment.faults.take("lose"):
            raise _error(lost)
    except CloudError as error:
        reply.error = error
    return reply


def _error(fault: Fault) -> CloudError:
    return CloudError(fault.kind, fault.code, fault.message)
