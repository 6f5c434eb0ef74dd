"""When an account's cloud is listed next: seldom while nothing changes, often while a VM is on its way."""

from __future__ import annotations

from cloudherd.api import CloudAccount
from cloudherd.api.quantity import parse_duration

DOUBLINGS = 16


class Pace:
    """Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.due_at = now
        self._begun = now
        self._failures = 0

    @property
    def failing(self) -> bool:
        return self._failures > 0

    def now(self, now: float) -> None:
        self.due_at = min(self.due_at, now)

    def ended(self, account: CloudAccount, begun: float, *, good: bool) -> None:
        """A listing that was begun at `begun` is over."""
        self._begun = begun
        self._failures = 0 if good else self._failures + 1
        self.due_at = self._regular(account)

    def keep(self, account: CloudAccount) -> None:
        """To intervals that somebody may have made shorter since."""
        self.due_at = min(self.due_at, self._regular(account))

    def _regular(self, account: CloudAccount) -> float:
        steady = parse_duration(account.spec.poll_interval)
        if not self._failures:
            return self._begun + steady
        changing = parse_duration(account.spec.changing_poll_interval)
        return self._begun + min(steady, changing * 2.0 ** min(self._failures, DOUBLINGS))

    def hurry(self, account: CloudAccount) -> None:
        """Something is on its way up or down. A cloud that fails is given its time all the same."""
        if not self._failures:
            self.due_at = min(self.due_at, self._begun + parse_duration(account.spec.changing_poll_interval))
