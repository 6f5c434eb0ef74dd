"""A provider to be copied: a table is the cloud, a row in it is a VM. Nothing in it computes anything.

One that talks to a real cloud has pages to read, answers to take apart and more kinds of failure to translate; what
it must do and must not do is the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict

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
    VMState,
)
from cloudherd.clouds.validation import check

MAX_USER_DATA = 16384
SIZES = [Size("box", "box", cpus=1, memory=2**30), Size("crate", "crate", cpus=4, memory=2**33)]
IMAGES = [Image("plain", "plain")]
TABLE = "CREATE TABLE IF NOT EXISTS vm (number INTEGER PRIMARY KEY, token TEXT UNIQUE, request TEXT, ended INTEGER)"


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")  # what is not known is refused by name


class Options(Nothing):
    file: str


class Shelf:
    """What the entry point names; it is called without arguments."""

    name = "shelf"
    capabilities = Capabilities(
        idempotency_token=True,
        tags_at_creation=True,
        limits_readable=False,
        max_user_data=MAX_USER_DATA,
        visibility_seconds=0,  # a new VM is in the next listing
    )
    credentials_model = Nothing  # the keys of the account's Secret
    options_model = Options  # spec.options of a CloudAccount
    launch_options_model = Nothing  # machine.options of a service

    def connect(self, connection: Connection) -> ShelfDriver:
        return ShelfDriver(check(Options, connection.options, "spec.options").file)


class ShelfDriver:
    """One account, for one thread. A shelf that cannot be read is an error, never a shelf without VMs."""

    def __init__(self, file: str) -> None:
        self._file = file

    def list_vms(self) -> Listing:
        with self._cloud() as cloud:
            return Listing(
                self._file, tuple(_vm(*row) for row in cloud.execute("SELECT number, request, ended FROM vm"))
            )

    def get_vm(self, vm_id: str) -> VM | None:
        return next((vm for vm in self.list_vms().vms if vm.id == vm_id), None)

    def create_vm(self, request: LaunchRequest) -> VM:
        """The same token again is the same VM, also when it has ended, and also from another thread at once."""
        _refuse_what_cannot_be(request)
        content = json.dumps(
            {
                "name": request.name,
                "flavor": request.flavor,
                "image": request.image,
                "tags": dict(request.tags),
                "user_data": request.user_data.hex(),
            }
        )
        with self._cloud() as cloud:
            cloud.execute("INSERT OR IGNORE INTO vm (token, request, ended) VALUES (?, ?, 0)", (request.token, content))
            row = cloud.execute("SELECT number, request, ended FROM vm WHERE token = ?", (request.token,)).fetchone()
        if row[1] != content:
            raise CloudError(ErrorKind.INVALID, "TokenUsed", "another VM was made with this token")
        return _vm(*row)

    def destroy_vm(self, vm_id: str) -> None:
        with self._cloud() as cloud:
            cloud.execute("UPDATE vm SET ended = 1 WHERE 'vm-' || number = ?", (vm_id,))

    def sizes(self, _wanted: tuple[str, ...] = (), /) -> list[Size]:
        return SIZES

    def images(self, wanted: tuple[str, ...]) -> list[Image]:
        return [image for image in IMAGES if image.id in wanted]

    def limits(self) -> Limits:
        return Limits()

    @contextmanager
    def _cloud(self) -> Iterator[sqlite3.Connection]:
        """Failures become ours here: a kind, a code, a sentence. Nothing of an exception's own text is passed on."""
        try:
            with closing(sqlite3.connect(self._file)) as cloud, cloud:
                cloud.execute(TABLE)
                yield cloud
        except sqlite3.Error as error:
            raise CloudError(ErrorKind.UNREACHABLE, type(error).__name__, "the shelf gives no answer") from None


def _refuse_what_cannot_be(request: LaunchRequest) -> None:
    if request.flavor not in {size.id for size in SIZES}:
        raise CloudError(ErrorKind.NOT_FOUND, "NoSuchFlavor", f"the shelf has no flavor {request.flavor}")
    if request.image not in {image.id for image in IMAGES}:
        raise CloudError(ErrorKind.NOT_FOUND, "NoSuchImage", f"the shelf has no image {request.image}")
    if len(request.user_data) > MAX_USER_DATA:
        raise CloudError(ErrorKind.INVALID, "UserDataTooLong", f"user data may have {MAX_USER_DATA} bytes")


def _vm(number: int, request: str, ended: int) -> VM:
    content: dict[str, Any] = json.loads(request)
    return VM(
        id=f"vm-{number}",
        name=content["name"],
        state=VMState.DELETED if ended else VMState.RUNNING,
        tags=content["tags"],
        private=(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",),
        flavor=content["flavor"],
    )
