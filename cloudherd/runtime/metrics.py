"""What the loops tell of themselves to whoever measures them. Nothing is decided by it, and nothing waits for it."""

from __future__ import annotations

from typing import Literal, Protocol

from cloudherd.api import ObjectKey

Loop = Literal["cluster", "context", "eviction", "account", "launch"]
Outcome = Literal["ok", "refused", "later", "defect"]
"""`refused`: the API server did not take something; `later`: for a reason that passes; `defect`: of ours."""


class Metrics(Protocol):
    """Cheap, never raises. Seconds are monotonic."""

    def waited(self, loop: Loop, seconds: float, /) -> None:
        """From the wake to the begin of the work."""
        ...

    def reconciled(self, loop: Loop, outcome: Outcome, seconds: float, /) -> None:
        """One pass of a loop, from its begin to its end."""
        ...

    def listed(self, account: ObjectKey, now: float, /) -> None:
        """A good listing of this account came in. Unix seconds."""
        ...

    def orphans(self, account: ObjectKey, count: int, /) -> None:
        """VMs of this account that a listing showed and no Instance accounts for, however young; of its last sweep."""
        ...


class Unmeasured:
    """Where nobody measures."""

    def waited(self, *_: object) -> None: ...
    def reconciled(self, *_: object) -> None: ...
    def listed(self, *_: object) -> None: ...
    def orphans(self, *_: object) -> None: ...


UNMEASURED = Unmeasured()
