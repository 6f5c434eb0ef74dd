"""What a simulated cloud does with a call: the state machine over SQLite. Runs within one transaction, never waits.

A listing shows the cloud as it was `listingLagSeconds` ago, so a new VM is missing and an ended one lingers; a look by
ID shows it as it is. Tokens follow EC2's rules: the same token and request give the same VM, another request with it is
IdempotentParameterMismatch, the token of an ended VM IdempotentInstanceTerminated; a refused request leaves no token.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from cloudherd.api.account import SimulatedSettings
from cloudherd.clouds.protocol import VM, CloudError, ErrorKind, LaunchRequest, Limits, Listing, Verb
from cloudherd.clouds.simulated.catalog import IMAGES, SIZES
from cloudherd.clouds.simulated.faults import Striking
from cloudherd.clouds.simulated.machine import ADDRESSES, ASLEEP, NEVER, Machine, address, vm_id, vm_number
from cloudherd.clouds.simulated.shown import Shown

MAX_USER_DATA = 16384  # bytes, as EC2's
_LIFE = "number, created, ready, stopped, failed, ending, gone, message, tags"
_COLUMNS = "number, name, flavor, image, tags, address, created, ready, stopped, failed, ending, gone, message"


@dataclass(frozen=True, slots=True)
class Moment:
    """One call: the database within its transaction, the time, the settings and the faults that it meets."""

    db: sqlite3.Connection
    account: str
    now: float
    settings: SimulatedSettings
    faults: Striking


@dataclass(frozen=True, slots=True)
class Order:
    """A launch request, its user data's digest, and a digest of all of it but the token."""

    request: LaunchRequest
    digest: bytes
    fingerprint: bytes

    @classmethod
    def of(cls, request: LaunchRequest) -> Order:
        digest = hashlib.sha256(request.user_data).digest()
        parts = {each.name: getattr(request, each.name) for each in fields(request)}
        parts |= {"token": "", "user_data": digest.hex(), "tags": dict(request.tags), "options": dict(request.options)}
        fingerprint = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).digest()
        return cls(request, digest, fingerprint)


def listing(moment: Moment, shown: Shown) -> Listing:
    at = moment.now - moment.settings.listing_lag_seconds
    lives = moment.db.execute(f"SELECT {_LIFE} FROM vm WHERE gone > ? AND created <= ?", (at, at))  # noqa: S608
    vms = shown.listing(lives.fetchall(), lambda numbers: _numbered(moment.db, numbers), at)
    fault = moment.faults.take("listing")
    if fault is None:
        return Listing(moment.account, vms)
    return Listing(moment.account, vms[: int(len(vms) * fault.share)], fault.complete)


def look(moment: Moment, wanted: str) -> VM | None:
    machine = find(moment.db, wanted)
    return machine.seen(moment.now) if machine else None


def create(moment: Moment, order: Order) -> tuple[VM, bool]:
    """The VM, and whether this call made it."""
    if earlier := _replay(moment, order):
        return earlier, False
    _check(order.request)
    _check_room(moment)
    return _launch(moment, order).record(moment.now), True


def destroy(moment: Moment, wanted: str) -> None:
    machine = find(moment.db, wanted)
    if machine is None or moment.now >= machine.ending:
        return
    fault = moment.faults.take("slow-end")
    gone = moment.now + (fault.seconds if fault else 0)
    moment.db.execute("UPDATE vm SET ending = ?, gone = ? WHERE number = ?", (moment.now, gone, machine.number))


def power(moment: Moment, wanted: str, verb: Verb) -> None:
    """All of them at once, but for a guest that is deaf to being shut down."""
    machine = find(moment.db, wanted)
    if machine is None or moment.now >= machine.ending:
        raise CloudError(ErrorKind.NOT_FOUND, "NotFound", "There is no such VM.")
    if moment.now < machine.ready:
        raise CloudError(ErrorKind.BUSY, "IncorrectInstanceState", "The VM is still starting.")
    if verb is Verb.SHUT_DOWN and moment.faults.take("deaf"):
        return
    down = NEVER if verb in (Verb.START, Verb.RESUME) else min(machine.stopped, moment.now)
    message = ASLEEP if verb is Verb.SUSPEND else ""
    moment.db.execute("UPDATE vm SET stopped = ?, message = ? WHERE number = ?", (down, message, machine.number))


def limits(moment: Moment) -> Limits:
    return Limits(instances=moment.settings.capacity) if moment.settings.limits_readable else Limits()


def find(db: sqlite3.Connection, wanted: str) -> Machine | None:
    return next(_numbered(db, [vm_number(wanted)]), None)


def _numbered(db: sqlite3.Connection, numbers: list[int]) -> Iterator[Machine]:
    query = f"SELECT {_COLUMNS} FROM vm WHERE number IN (SELECT value FROM json_each(?))"  # noqa: S608
    return map(_machine, db.execute(query, (json.dumps(numbers),)))


def living(db: sqlite3.Connection, now: float) -> Iterator[Machine]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM vm WHERE gone > ? ORDER BY number", (now,))  # noqa: S608
    return map(_machine, rows)


def held(db: sqlite3.Connection, now: float) -> int:
    """How many VMs take up room, those on their way out included."""
    query = "SELECT lasting + (SELECT count(*) FROM vm WHERE gone > ? AND gone < 9e999) FROM tally"
    return int(db.execute(query, (now,)).fetchone()[0])


def insert(db: sqlite3.Connection, machine: Machine, order: Order) -> None:
    db.execute("INSERT OR IGNORE INTO user_data VALUES (?, ?)", (order.digest, order.request.user_data))
    values = (
        *(machine.number, machine.name, machine.flavor, machine.image, json.dumps(dict(machine.tags))),
        *(machine.address, machine.created, machine.ready, machine.stopped, machine.failed),
        *(machine.ending, machine.gone, machine.message),
        *(order.request.token, order.fingerprint, order.digest),
    )
    db.execute(f"INSERT INTO vm VALUES ({','.join('?' * len(values))})", values)  # noqa: S608


def next_machine(db: sqlite3.Connection, account: str, now: float, request: LaunchRequest, boot: float) -> Machine:
    """A machine with the next number and a free address, not yet in the database."""
    (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM vm").fetchone()
    return Machine(
        number=number,
        name=request.name,
        flavor=request.flavor,
        image=request.image,
        tags=request.tags,
        address=_free_address(db, account, now, number),
        created=now,
        ready=now + boot,
    )


def _launch(moment: Moment, order: Order) -> Machine:
    request, boot = order.request, moment.settings.boot_seconds
    machine = next_machine(moment.db, moment.account, moment.now, request, boot)
    insert(moment.db, machine, order)
    if fault := moment.faults.take("bad-boot"):
        mark_failed(moment.db, machine.number, moment.now + fault.seconds, fault.message)
    return find(moment.db, vm_id(machine.number)) or machine


def mark_failed(db: sqlite3.Connection, number: int, at: float, message: str) -> None:
    db.execute("UPDATE vm SET failed = ?, message = ? WHERE number = ?", (at, message, number))


def _replay(moment: Moment, order: Order) -> VM | None:
    if not order.request.token:
        return None
    found = moment.db.execute(
        "SELECT number, fingerprint FROM vm WHERE token = ? AND token <> ''", (order.request.token,)
    ).fetchone()
    if found is None:
        return None
    number, fingerprint = found
    if fingerprint != order.fingerprint:
        raise CloudError(
            ErrorKind.INVALID, "IdempotentParameterMismatch", "This token was used with another request before."
        )
    machine = find(moment.db, vm_id(number))
    if machine is None or moment.now >= machine.ending:
        raise CloudError(
            ErrorKind.INVALID, "IdempotentInstanceTerminated", "This token belongs to a VM that has ended."
        )
    return machine.record(moment.now)


def _check(request: LaunchRequest) -> None:
    if request.flavor not in SIZES:
        raise CloudError(ErrorKind.NOT_FOUND, "FlavorNotFound", f"There is no size {request.flavor[:64]!r}.")
    if request.image not in IMAGES:
        raise CloudError(ErrorKind.NOT_FOUND, "ImageNotFound", f"There is no image {request.image[:64]!r}.")
    if len(request.user_data) > MAX_USER_DATA:
        raise CloudError(
            ErrorKind.INVALID,
            "InvalidUserData",
            f"User data has {len(request.user_data)} bytes, at most {MAX_USER_DATA} are allowed.",
        )


def _check_room(moment: Moment) -> None:
    if fault := moment.faults.take("full"):
        raise CloudError(ErrorKind.FULL, fault.code, fault.message, flavor_only=bool(fault.flavor))
    capacity = moment.settings.capacity
    if capacity is None:
        return
    if held(moment.db, moment.now) >= capacity:
        raise CloudError(ErrorKind.FULL, "InstanceLimitExceeded", f"This cloud holds at most {capacity} VMs.")


def _free_address(db: sqlite3.Connection, account: str, now: float, number: int) -> str:
    for index in range(number, number + ADDRESSES):
        candidate = address(account, index)
        if not db.execute("SELECT 1 FROM vm WHERE address = ? AND gone > ? LIMIT 1", (candidate, now)).fetchone():
            return candidate
    raise CloudError(ErrorKind.FULL, "InsufficientFreeAddresses", "This cloud has no free address left.")


def _machine(row: tuple[Any, ...]) -> Machine:
    number, name, flavor, image, tags, *times = row
    return Machine(number, name, flavor, image, json.loads(tags), *times)
