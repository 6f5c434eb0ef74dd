"""What can be made to go wrong at a simulated cloud, at run time and from any process: faults lie in its database.

A fault is a value, made by one of the functions below and handed to `SimulatedCloud.inject`. Operations go by the names
of the driver's methods. `times` is how often it strikes, None until it is healed; of several that fit a call and have
the same effect the oldest strikes, so that they follow one another.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, replace
from typing import Literal

from cloudherd.clouds.protocol import ErrorKind

Effect = Literal["fail", "full", "lose", "slow-reply", "slow-end", "bad-boot", "deaf", "listing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. Empty `operation` or `flavor`: every one."""

    effect: Effect
    operation: str = ""
    flavor: str = ""
    times: int | None = 1
    kind: ErrorKind = ErrorKind.UNREACHABLE
    code: str = ""
    message: str = ""
    seconds: float = 0
    share: float = 1
    complete: bool = True


def fail(
    operation: str, kind: ErrorKind, *, code: str = "", message: str = "", flavor: str = "", times: int | None = 1
) -> Fault:
    """The calls fail with this error and do nothing; those that ask for room, `FULL`, only where a VM would be made."""
    effect: Effect = "full" if kind is ErrorKind.FULL else "fail"
    return Fault(
        effect=effect, operation=operation, kind=kind, code=code or kind, message=message, flavor=flavor, times=times
    )


def full(flavor: str = "", *, times: int | None = None) -> Fault:
    """No room for this flavor, or, without one, for any VM (the account's limit)."""
    code = "InsufficientInstanceCapacity" if flavor else "InstanceLimitExceeded"
    message = f"No room for {flavor}." if flavor else "The limit of instances is reached."
    return fail("create_vm", ErrorKind.FULL, code=code, message=message, flavor=flavor, times=times)


def deny(*, times: int | None = None) -> Fault:
    """The credentials are refused."""
    return fail("", ErrorKind.DENIED, code="AuthFailure", message="The credentials are not accepted.", times=times)


def unreachable(*, times: int | None = None) -> Fault:
    """Calls do not get there, and nothing happens."""
    return fail("", ErrorKind.UNREACHABLE, code="ConnectionRefused", times=times)


def lose_reply(operation: str = "create_vm", *, kind: ErrorKind = ErrorKind.UNKNOWN, times: int | None = 1) -> Fault:
    """The call does what it should, and its caller gets an error."""
    return Fault(effect="lose", operation=operation, kind=kind, code="ReplyLost", times=times)


def slow_reply(seconds: float, operation: str = "", *, times: int | None = 1) -> Fault:
    """The call does what it should at once, and its answer takes so long."""
    return Fault(effect="slow-reply", operation=operation, seconds=seconds, times=times)


def slow_end(seconds: float, *, times: int | None = 1) -> Fault:
    """A destroyed VM takes so long to go."""
    return Fault(effect="slow-end", operation="destroy_vm", seconds=seconds, times=times)


def bad_boot(message: str, *, after: float = 0, flavor: str = "", times: int | None = 1) -> Fault:
    """A VM is accepted and ends in an error so many seconds later."""
    return Fault(effect="bad-boot", operation="create_vm", message=message, seconds=after, flavor=flavor, times=times)


def deaf(*, times: int | None = 1) -> Fault:
    """A VM that is told to shut down does not."""
    return Fault(effect="deaf", operation="power", times=times)


def truncated(share: float = 0.5, *, complete: bool = False, times: int | None = 1) -> Fault:
    """A listing holds only this share of the VMs; with `complete` it claims to be whole."""
    return Fault(effect="listing", operation="list_vms", share=share, complete=complete, times=times)


def empty(*, times: int | None = 1) -> Fault:
    """A listing is empty and claims to be whole."""
    return truncated(0, complete=True, times=times)


class Striking:
    """The faults that one call may meet; to be used within its transaction."""

    def __init__(self, db: sqlite3.Connection, operation: str, flavor: str) -> None:
        self._db = db
        rows = db.execute("SELECT number, fault, times FROM fault ORDER BY number").fetchall()
        found = [(number, decode(text, times)) for number, text, times in rows]
        self._found = [
            (number, fault)
            for number, fault in found
            if fault.operation in ("", operation) and fault.flavor in ("", flavor)
        ]

    def take(self, effect: Effect) -> Fault | None:
        """The oldest with this effect, which then has one time less."""
        for number, fault in self._found:
            if fault.effect == effect:
                self._db.execute("UPDATE fault SET times = times - 1 WHERE number = ?", (number,))
                self._db.execute("DELETE FROM fault WHERE times <= 0")
                return fault
        return None


def encode(fault: Fault) -> str:
    return json.dumps(asdict(fault))


def decode(text: str, times: int | None) -> Fault:
    fields = json.loads(text)
    return replace(Fault(**fields), kind=ErrorKind(fields["kind"]), times=times)
