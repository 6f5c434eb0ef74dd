"""What an account's loop has to look at next, and when: single Instances, all of them, some at a certain time."""

from __future__ import annotations

import asyncio
import heapq

from cloudherd.api import ObjectKey
from cloudherd.runtime.ports import Clock


class Agenda:
    """Wakes are merged: what is asked for twice is looked at once. Times are monotonic."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = asyncio.Event()
        self._woken_at: float | None = None
        self._keys: dict[ObjectKey, None] = {}
        self._all = True
        self._later: list[tuple[float, ObjectKey]] = []

    def wake(self) -> None:
        if self._woken_at is None:
            self._woken_at = self._clock.monotonic()
            self._wake.set()

    def one(self, key: ObjectKey) -> None:
        self._keys[key] = None
        self.wake()

    def everything(self) -> None:
        self._all = True
        self.wake()

    def at(self, until: float, key: ObjectKey) -> None:
        heapq.heappush(self._later, (until, key))

    def take(self, now: float) -> list[ObjectKey] | None:
        """What is due, and off the agenda with it; None for everything."""
        while self._later and self._later[0][0] <= now:
            self._keys[heapq.heappop(self._later)[1]] = None
        due = None if self._all else list(self._keys)
        self._keys.clear()
        self._all = False
        return due

    def next(self) -> float | None:
        return self._later[0][0] if self._later else None

    def begin(self) -> float | None:
        """A look begins: what comes from now on asks for another. When it was asked for, None where only time did."""
        woken_at, self._woken_at = self._woken_at, None
        self._wake.clear()
        return woken_at

    async def rest(self, seconds: float | None) -> None:
        """Until something is asked for, or so many seconds have passed."""
        if seconds is None:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            return
