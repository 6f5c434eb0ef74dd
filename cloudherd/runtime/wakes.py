"""Merged wakes: each key is worked on by one task at a time, and once more if it was woken meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cloudherd.api import ObjectKey
from cloudherd.runtime.ports import ApiError, Clock, Random

log = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0


class TryAgainError(Exception):
    """The work could not be done for a reason that passes; the message is for the log."""


class Wakes:
    """Calls `work` for every key that was woken. What it returns is the seconds until it wants to be called again."""

    def __init__(
        self, work: Callable[[ObjectKey], Awaitable[float | None]], clock: Clock, random: Random, at_once: int = 64
    ) -> None:
        self._work, self._clock, self._random = work, clock, random
        self._places = asyncio.Semaphore(at_once)
        self._woken: dict[ObjectKey, None] = {}
        self._running: dict[ObjectKey, asyncio.Task[None]] = {}
        self._timers: dict[ObjectKey, asyncio.Task[None]] = {}
        self._failures: dict[ObjectKey, int] = {}
        self._something = asyncio.Event()

    def wake(self, key: ObjectKey) -> None:
        self._woken[key] = None
        self._something.set()

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
                for key in [key for key in self._woken if key not in self._running]:
                    del self._woken[key]
                    self._running[key] = asyncio.create_task(self._one(key))
        finally:
            tasks = [*self._running.values(), *self._timers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, key: ObjectKey) -> None:
        self._stop_timer(key)
        again: float | None
        try:
            async with self._places:
                again = await self._work(key)
            self._failures.pop(key, None)
        except ApiError as error:
            again = self._delay(key)
            level = logging.DEBUG if error.reason in ("Conflict", "NotFound") else logging.WARNING
            log.log(level, "%s: %s (%s); tried again in %.1f s", key, error, error.reason, again)
        except TryAgainError as error:
            again = self._delay(key)
            log.warning("%s: %s; tried again in %.1f s", key, error, again)
        except Exception:
            again = self._delay(key)
            log.exception("%s: a defect of ours; tried again in %.1f s", key, again)
        finally:
            del self._running[key]
        if key in self._woken:
            self._something.set()
        elif again is not None:
            self._timers[key] = asyncio.create_task(self._later(key, again))

    def _delay(self, key: ObjectKey) -> float:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (count - 1)) * self._random.uniform(0.8, 1.2)

    async def _later(self, key: ObjectKey, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timers.pop(key, None)
        self.wake(key)

    def _stop_timer(self, key: ObjectKey) -> None:
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()
