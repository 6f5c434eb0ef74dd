"""Merged wakes: each key is worked on by one task at a time, and once more if it was woken meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cloudherd.api import ObjectKey
from cloudherd.runtime.metrics import Loop, Metrics, Outcome
from cloudherd.runtime.ports import ApiError, Clock, Random

log = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0


class TryAgainError(Exception):
    """The work could not be done for a reason that passes; the message is for the log."""


class Wakes:
    """Calls `work` for every key that was woken. What it returns is the seconds until it wants to be called again."""

    def __init__(
        self,
        loop: Loop,
        work: Callable[[ObjectKey], Awaitable[float | None]],
        clock: Clock,
        random: Random,
        metrics: Metrics,
        at_once: int = 64,
    ) -> None:
        self._loop, self._work, self._clock, self._random, self._metrics = loop, work, clock, random, metrics
        self._places = asyncio.Semaphore(at_once)
        self._woken: dict[ObjectKey, float] = {}  # and since when (monotonic)
        self._due: list[ObjectKey] = []  # those of them that nobody works on
        self._running: dict[ObjectKey, asyncio.Task[None]] = {}
        self._timers: dict[ObjectKey, asyncio.Task[None]] = {}
        self._soon: dict[ObjectKey, asyncio.Task[None]] = {}
        self._failures: dict[ObjectKey, int] = {}
        self._something = asyncio.Event()

    def wake(self, key: ObjectKey) -> None:
        if key in self._woken:
            return
        self._woken[key] = self._clock.monotonic()
        if key not in self._running:
            self._start_soon(key)

    def soon(self, key: ObjectKey, seconds: float) -> None:
        """Wakes it within so many seconds: with whatever else wakes it before."""
        if key not in self._woken and key not in self._soon:
            self._soon[key] = asyncio.create_task(self._later(self._soon, key, seconds))

    @property
    def idle(self) -> bool:
        """Nothing is woken and nothing is worked on (timers may run)."""
        return not self._woken and not self._running

    async def run(self) -> None:
        """Until cancelled; what is under way is cancelled with it."""
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                due, self._due = self._due, []
                for key in due:
                    self._running[key] = asyncio.create_task(self._one(key, self._woken.pop(key)))
        finally:
            tasks = [*self._running.values(), *self._timers.values(), *self._soon.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start_soon(self, key: ObjectKey) -> None:
        self._due.append(key)
        self._something.set()

    async def _one(self, key: ObjectKey, woken_at: float) -> None:
        self._stop_timers(key)
        try:
            async with self._places:
                begun = self._clock.monotonic()
                self._metrics.waited(self._loop, begun - woken_at)
                again, outcome = await self._work_on(key)
                self._metrics.reconciled(self._loop, outcome, self._clock.monotonic() - begun)
        finally:
            del self._running[key]
        if key in self._woken:
            self._start_soon(key)
        elif again is not None:
            self._timers[key] = asyncio.create_task(self._later(self._timers, key, again))

    async def _work_on(self, key: ObjectKey) -> tuple[float | None, Outcome]:
        """Seconds until it wants to be worked on again, and how it went."""
        outcome: Outcome = "ok"
        try:
            again = await self._work(key)
            self._failures.pop(key, None)
        except ApiError as error:
            again, outcome = self._delay(key), "refused"
            level = logging.DEBUG if error.reason in ("Conflict", "NotFound") else logging.WARNING
            log.log(level, "%s: %s (%s); tried again in %.1f s", key, error, error.reason, again)
        except TryAgainError as error:
            again, outcome = self._delay(key), "later"
            log.warning("%s: %s; tried again in %.1f s", key, error, again)
        except Exception:
            again, outcome = self._delay(key), "defect"
            log.exception("%s: a defect of ours; tried again in %.1f s", key, again)
        return again, outcome

    def _delay(self, key: ObjectKey) -> float:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (count - 1)) * self._random.uniform(0.8, 1.2)

    async def _later(self, timers: dict[ObjectKey, asyncio.Task[None]], key: ObjectKey, seconds: float) -> None:
        await self._clock.sleep(seconds)
        timers.pop(key, None)
        self.wake(key)

    def _stop_timers(self, key: ObjectKey) -> None:
        for timers in (self._timers, self._soon):
            timer = timers.pop(key, None)
            if timer:
                timer.cancel()
