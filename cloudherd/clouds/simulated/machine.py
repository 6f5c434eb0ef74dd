"""The life of a simulated VM as a pure function of time: when each thing happens to it is known, nothing needs to run.

Times are Unix seconds of the cloud's clock; `NEVER` is later than all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cloudherd.clouds.protocol import VM, VMState

NEVER = float("inf")
ASLEEP = "suspended"
ADDRESSES = 256 * 254  # in one cloud's /16
Look = tuple[VMState, bool]
"""All of a VM that time alone changes: its state, and whether it has its address."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A VM and the times of its life. `message` is why it failed, or `ASLEEP` where it is not stopped but suspended."""

    number: int
    name: str
    flavor: str
    image: str
    tags: Mapping[str, str]
    address: str
    created: float
    ready: float
    stopped: float = NEVER
    failed: float = NEVER
    ending: float = NEVER
    gone: float = NEVER
    message: str = ""

    def state(self, at: float) -> VMState | None:
        """None before its creation and once it is gone."""
        if at < self.created or at >= self.gone:
            return None
        for since, state in (
            (self.ending, VMState.DELETING),
            (self.failed, VMState.ERROR),
            (self.stopped, VMState.SUSPENDED if self.message == ASLEEP else VMState.STOPPED),
            (self.ready, VMState.RUNNING),
        ):
            if at >= since:
                return state
        return VMState.PENDING

    def look(self, at: float) -> Look | None:
        """What is to be seen of it at that time, None where it does not exist."""
        state = self.state(at)
        return None if state is None else (state, self._has_address(at))

    def seen(self, at: float) -> VM | None:
        look = self.look(at)
        return None if look is None else self.shown(look)

    def record(self, at: float) -> VM:
        """As `seen`, but a VM that is gone is still shown, as deleted."""
        return self.shown((self.state(at) or VMState.DELETED, self._has_address(at)))

    def shown(self, look: Look) -> VM:
        state, has_address = look
        return VM(
            id=vm_id(self.number),
            name=self.name,
            state=state,
            tags=self.tags,
            private=(self.address,) if has_address else (),
            flavor=self.flavor,
            detail=self.message if state is VMState.ERROR else "",
        )

    def _has_address(self, at: float) -> bool:
        return self.ready <= at and self.ready <= self.failed


def vm_id(number: int) -> str:
    return f"i-{number:06d}"


def vm_number(text: str) -> int:
    """The number within an ID; 0, which no VM has, where it is no ID of a simulated cloud."""
    number = int(text[2:]) if text.startswith("i-") and text[2:].isdecimal() and len(text) < 18 else 0
    return number if vm_id(number) == text else 0


def address(account: str, index: int) -> str:
    """The address number `index` (modulo `ADDRESSES`) of an account's cloud; the account's name chooses the /16."""
    network = hashlib.sha256(account.encode()).digest()[0]
    row, column = divmod(index % ADDRESSES, 254)
    return f"10.{network}.{row}.{column + 1}"
